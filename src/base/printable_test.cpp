#include "base/printable.h"

#include <gtest/gtest.h>

namespace vicha {
namespace {

using namespace std::string_literals;

TEST(Printable, ControlCharactersAreEscaped) {
  EXPECT_EQ(printable("a\x1b[31mred\x07\n\t\r\x7f"s), "a\\x1b[31mred\\x07\\n\\t\\r\\x7f");
  EXPECT_EQ(printable("nul\0here"s), "nul\\x00here");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m\xc2\x85"),
            "\\u009b31m\\u0085");  // C1: one character that opens a sequence
}

TEST(Printable, DirectionSeparatorsAndWhatHasNoWidthAreEscaped) {
  EXPECT_EQ(printable("cod\u202egpj.exe"), "cod\\u202egpj.exe");
  EXPECT_EQ(printable("\u2066a\u2069\u200e\u200f\u061c"), "\\u2066a\\u2069\\u200e\\u200f\\u061c");
  EXPECT_EQ(printable("a\u2028b\u2029c"), "a\\u2028b\\u2029c");
  EXPECT_EQ(printable("\ufeff\u200b\u2060\u00ad"), "\\ufeff\\u200b\\u2060\\u00ad");
  EXPECT_EQ(printable("\U000e0041"), "\\U000e0041");
}

TEST(Printable, WhatIsNoUtf8IsEscapedByteByByte) {
  EXPECT_EQ(printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(printable("caf\xe9"), "caf\\xe9");
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");                             // cut
  EXPECT_EQ(printable("\xc0\x80\xe0\x80\xaf"), "\\xc0\\x80\\xe0\\x80\\xaf");  // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");                    // surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");           // beyond Unicode
}

TEST(Printable, AllElseStays) {
  for (const char* text : {"", "plain.jpg", "C:\\pictures\\x1b", "café", "日本語", "🐈 ❤️", "\xf4\x8f\xbf\xbd"}) {
    EXPECT_EQ(printable(text), text);
  }
  const std::string once = printable("a\x1b\n\xff");
  EXPECT_EQ(printable(once), once);
}

TEST(Printable, LayoutOfTheProgramStays) {
  EXPECT_EQ(printable_text("word\tcount\ncat\x1b\t3\r\n"), "word\tcount\ncat\\x1b\t3\\r\n");
}

TEST(Printable, JsonStaysJsonOfTheSameValue) {
  EXPECT_EQ(printable_json("{\n \"a\": \"x\x7f\u202e\U000e0041\\n café\"\n}"),
            "{\n \"a\": \"x\\u007f\\u202e\\udb40\\udc41\\n café\"\n}");
}

}  // namespace
}  // namespace vicha

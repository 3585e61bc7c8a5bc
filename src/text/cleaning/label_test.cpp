#include "text/cleaning/label.h"

#include <gtest/gtest.h>

namespace vicha::cleaning {
namespace {

TEST(Label, CleanMakesQuotesPlainAndBlanksSingle) {
  EXPECT_EQ(clean("  Japanese\t“here”\xc2\xa0 button\n"), "Japanese \"here\" button");
  EXPECT_EQ(clean("man’s shoe"), "man's shoe");
  EXPECT_EQ(clean(" \n"), "");
}

TEST(Label, LowerGoesCodePointByCodePoint) {
  EXPECT_EQ(lower("PIÑATA Σ"), "piñata σ");
  EXPECT_EQ(lower("ΟΔΟΣ"), "οδοσ");  // no final sigma: that is a matter of words
}

TEST(Label, Utf8IsToldFromOtherBytes) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("é\xf0\x9f\x98\x80"));
  EXPECT_FALSE(is_utf8("\xe9"));
  EXPECT_FALSE(is_utf8("a\xf0\x9f"));
}

}  // namespace
}  // namespace vicha::cleaning

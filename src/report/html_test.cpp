#include "report/html.h"

#include <gtest/gtest.h>

#include "report/report_test_support.h"

namespace vicha {
namespace {

using report_testing::parse_page;

TEST(EscapeHtml, SpecialCharactersBecomeEntities) {
  EXPECT_EQ(escape_html("a < b && c > \"d\" 'e'"), "a &lt; b &amp;&amp; c &gt; &quot;d&quot; &#39;e&#39;");
  EXPECT_EQ(escape_html("→ größer 😀\n\t"), "→ größer 😀\n\t");
}

TEST(EscapeHtml, WhatIsNotTextIsReplaced) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(escape_html(std::string_view("a\0b\x1B", 4)), "a" + bad + "b" + bad);
  EXPECT_EQ(escape_html("\x80"), bad);
  EXPECT_EQ(escape_html("\xC3"), bad);
  EXPECT_EQ(escape_html("\xC3<"), bad + "&lt;");              // half a character hides no bracket
  EXPECT_EQ(escape_html("\xC0\xBC"), bad + bad);              // an overlong "<"
  EXPECT_EQ(escape_html("\xED\xA0\x80"), bad + bad + bad);    // a surrogate
  EXPECT_EQ(escape_html("\xF4\x90\x80\x80").size(), 4 * 3u);  // beyond U+10FFFF
  EXPECT_EQ(escape_html("\xF0\x9F\x98\x80"), "😀");
  EXPECT_EQ(escape_html("\xEF\xBF\xBF\xC2\x85"), bad + bad);
}

TEST(DataUri, PadsToGroupsOfFour) {
  EXPECT_EQ(data_uri("image/png", ""), "data:image/png;base64,");
  EXPECT_EQ(data_uri("a/b", "f"), "data:a/b;base64,Zg==");
  EXPECT_EQ(data_uri("a/b", "fo"), "data:a/b;base64,Zm8=");
  EXPECT_EQ(data_uri("a/b", "foo"), "data:a/b;base64,Zm9v");
  EXPECT_EQ(data_uri("a/b", "\xFF\xFE\xFD\xFC"), "data:a/b;base64,//79/A==");
}

TEST(Html, ElementsCloseThemselvesInOrder) {
  Html html;
  {
    const auto outer = html.element("div", {{"class", "a\"b"}});
    html.leaf("p", {}, "1 < 2");
    html.empty("img", {{"alt", "<x>"}});
    const auto inner = html.element("q");
    html.text("&");
  }
  EXPECT_EQ(html.str(), "<div class=\"a&quot;b\"><p>1 &lt; 2</p><img alt=\"&lt;x&gt;\" /><q>&amp;</q></div>");
}

TEST(PageReader, RefusesWhatIsNotWellFormed) {
  EXPECT_NO_THROW(parse_page("<!DOCTYPE html>\n<p class=\"a b\">x<br /></p>\n"));
  for (const char* bad : {"<p>", "<p></q>", "<p><b></p></b>", "<p a=b></p>", "<p>a & b</p>", "<p>a > b</p>", "< p></p>",
                          "<p a=\"1\" a=\"2\"></p>", "<p a=\"<\"></p>", "<script>x", "</p>"}) {
    EXPECT_THROW(parse_page(bad), std::runtime_error) << bad;
  }
}

}  // namespace
}  // namespace vicha

#include "text/cleaning/html_entities.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

namespace vicha {
namespace {

using namespace std::string_literals;
using text_detail::find_html_entity;
using text_detail::unescape_html;

TEST(HtmlEntities, TheTableIsWhole) {
  EXPECT_EQ(text_detail::html_entities().size(), 2125U);  // with the bare ones, the standard's 2,231
  EXPECT_EQ(std::ranges::count(text_detail::html_entities(), true, &text_detail::HtmlEntity::bare), 106);
  ASSERT_NE(find_html_entity("zwnj"), nullptr);
  EXPECT_EQ(find_html_entity("zwnj")->first, U'\u200C');
  EXPECT_EQ(find_html_entity("AElig")->first, U'\u00C6');
  EXPECT_TRUE(find_html_entity("AElig")->bare);
  EXPECT_EQ(find_html_entity("NotEqualTilde")->second, U'\u0338');
  EXPECT_EQ(find_html_entity("aelig;"), nullptr);
  EXPECT_EQ(find_html_entity(""), nullptr);
}

/// What Python 3.11's html.unescape makes of them.
TEST(HtmlEntities, UnescapedAsPythonDoes) {
  const std::pair<std::string, std::string> cases[] = {
      {"&lt;&LT;&lt &ltx &lte; &notin; &notit; &notin", "<<< <x <e; ∉ ¬it; ¬in"},
      {"&CounterClockwiseContourIntegral; &NotEqualTilde; &ngE; &fjlig;", "∳ ≂̸ ≧̸ fj"},
      {"&#38; &#x26 &#X26; &#038;lt; &#; &#x; &# &#xg", "& & & &lt; &#; &#x; &# &#xg"},
      {"&#128;&#x81;&#159;|&#13;|&#10;|&#1;|&#127;|&#xFDD0;|&#xFFFF;|&#x1FFFE;|", "€\302\201Ÿ|\015|\012||||||"},
      {"&#0;&#xD800;&#1114112;&#99999999999999999999;", "����"},
      {"& &; &a; &unknown; &amp", "& &; &a; &unknown; &"},
      {"&frac12x &frac1 &sup1 &sup11 &there4;", "½x &frac1 ¹ ¹1 ∴"},
      {"&&amp;&amp", "&&&"},
      {"&aé;&é;", "&aé;&é;"},
      {"\0&lt;"s, "\0<"s},
      {"", ""},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(unescape_html(text), expected) << text;
}

}  // namespace
}  // namespace vicha

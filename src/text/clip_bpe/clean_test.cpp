#include "text/clip_bpe/clean.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

#include "text/clip_bpe/clip_bpe.h"

namespace vicha {
namespace {

using namespace std::string_literals;

/// What openai-clip 1.0.1 makes of them (ftfy 6.3.1, Python 3.11).
TEST(ClipClean, AsOpenAIsTokenizerDoes) {
  const std::pair<std::string, std::string> cases[] = {
      {"  A  Dog\011\012 runs ", "a dog runs"},
      {"", ""},
      {" \n", ""},
      {"it’s “so” ‚low‛ ʼn", "it's \"so\" 'low' 'n"},
      {"ﬁne ﬂuﬃ ﬅ Ǆ ŉ", "fine fluffi ſt dž 'n"},
      {"ＦＵＬＬ\343\200\200ｗｉｄｔｈ ｱﾞ", "full width ア\343\202\231"},
      {"e\314\201 cafe\314\201", "é café"},
      {"ΟΔΟΣ Σ İstanbul", "οδος σ i\314\207stanbul"},
      {"a\000b\013c\033[31;4md\033e\177\357\273\277"s, "abcde"},
      {"bit \302\205 \302\223quoted\302\224 \302\201", "bit … \"quoted\" \302\201"},
      {"&amp;amp;lt;3", "<3"},
      {"&lt;b&gt; <i>&amp;lt;", "<b> <i><"},
      {"one <\012&EACUTE; two", "one < &eacute; two"},
      {"P&EACUTE;REZ &SZLIG; &nTILDE; &notin; &notit;", "pérez ss &ntilde; ∉ ¬it;"},
      {"&hellip;&nbsp;&copy 2020 &ampx", "… © 2020 &x"},
      {"&#233;&#xE9 &#12a; &#59; &#0;&#xD800;&#x110000;&#11;", "éé a; ; ���"},
      {"&rsquo;", "'"},
      {"\342\200\250\343\200\200\302\240x\342\200\212\341\232\200y\342\201\237", "x y"},
      {"\315\205a", "\315\205a"},
      {"TWO\015\012LINES", "two lines"},
      {"broken \377 bytes", "broken \357\277\275 bytes"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(ClipBpe::clean(text), expected) << text;
}

TEST(ClipClean, LevelsWithoutEndDoNotTakeForEver) {
  std::string text = "&";
  for (int i = 0; i < 100000; ++i) text += "amp;";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_GT(ClipBpe::clean(text).size(), 1000U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

}  // namespace
}  // namespace vicha

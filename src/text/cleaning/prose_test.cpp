#include "text/cleaning/prose.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <utility>

namespace vicha::text_detail {
namespace {

/// With runs of blanks, and commas that stand for what is gone, made one.
std::string tidy_prose(std::string_view caption) {
  std::string out;
  for (const char c : caption_prose(caption)) {
    if ((c == ' ' || c == '\n') && (out.empty() || out.back() == ' ')) continue;
    if (c == ',' && out.ends_with(" ")) out.pop_back();
    if (c == ',' && (out.empty() || out.ends_with(","))) continue;
    out += c == '\n' ? ' ' : c;
  }
  while (!out.empty() && (out.back() == ' ' || out.back() == ',')) out.pop_back();
  return out;
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

void expect_prose(const Pairs& pairs) {
  for (const auto& [caption, prose] : pairs) EXPECT_EQ(tidy_prose(caption), prose) << caption;
}

TEST(Prose, PlainCaptionsStayAsTheyAre) {
  for (const char* caption :
       {"A dog runs on a beach.", "two men, one hat - and \"a horse\"!", "the man's hat", "Mr. Brown's 5-year-old son",
        "a 10-20 minute walk", "3.5 litres", "R&B band", "black & white photo", "it is 50 years old: a car; a bus",
        "U.S. flag", "a man with a t-shirt?", "the 2nd dog", "x < y and y > x"}) {
    EXPECT_EQ(caption_prose(caption), caption);
  }
}

TEST(Prose, References) {
  expect_prose({{"dog &amp; cat", "dog & cat"},
                {"dog &AMP; cat", "dog & cat"},
                {"dog &amp;amp; cat", "dog & cat"},
                {"dog &amp;amp;amp;amp;amp;amp;amp;amp;amp;amp;amp;amp; cat", "dog & cat"},
                {"dog &#38; cat &#x26; bird", "dog & cat & bird"},
                {"dog &amp cat", "dog & cat"},
                {"the dog&#39;s bowl", "the dog's bowl"},
                {"the dog&amp;#39;s bowl", "the dog's bowl"},
                {"the dog&rsquo;s bowl", "the dog's bowl"},
                {"the dog#39;s bowl", "the dog's bowl"},
                {"&quot;dog&quot; &nbsp; &NBSP; cat&nbsp;bowl", "\"dog\" cat bowl"},
                {"dogs amp; cats & amp ; birds", "dogs & cats & birds"},
                {"caf&eacute; &EACUTE;t&eacute;", "caf\u00e9 \u00e9t\u00e9"},
                {"a dog &unheardof; and a cat", "a dog and a cat"},
                {"&lt;b&gt;dog&lt;/b&gt; &amp;lt;br&amp;gt; cat", "dog cat"},
                {"I <3 dogs XD :smile:", "I, dogs"},
                {"AT&T store", "AT&T store"}});
}

TEST(Prose, Markup) {
  expect_prose(
      {{"<p>A <b>dog</b> &amp; a cat</p>", "A dog & a cat"},
       {"a dog<br>a cat<br/>a bird<BR />", "a dog a cat a bird"},
       {"<b>d</b>og", "dog"},
       {"<a href=\"https://x.com/a?b=c\" target=_blank>a dog</a>", "a dog"},
       {"a dog <a href=\"http", "a dog"},
       {"a dog <br", "a dog"},
       {"<!-- a comment --> a dog <script>var cat = 1 < 2;</script>", "a dog"},
       {"<person> riding a horse", "person riding a horse"},
       {"a <unk> dog <|endoftext|> [SEP] [b]big[/b] [url=http://x.com]cat[/url] [note]", "a dog big cat [note]"}});
}

TEST(Prose, Addresses) {
  expect_prose({{"https://www.example.com/a/b.jpg?x=1&y=2 dog photo", "dog photo"},
                {"a dog (https://t.co/AbC).", "a dog (, )."},
                {"a dog:http://x.org a cat", "a dog:, a cat"},
                {"www.dogs.com a dog", "a dog"},
                {"dog at example.com/dogs and bit.ly/2xyz", "dog at, and"},
                {"dog by DOGS.COM", "dog by"},
                {"mailto:a@b.com me.you+x@mail.example.co.uk a dog", "a dog"},
                {"a dog.A cat sat.It slept", "a dog.A cat sat.It slept"},
                {"photo by @some_one's dog @the.other: cat", "photo by, dog, : cat"},
                {"RT @user: a dog", ": a dog"},
                {"a dog @ the beach", "a dog at the beach"},
                {"http : a dog", ": a dog"},
                {"u/someone r/aww a dog", "a dog"}});
}

TEST(Prose, FilesAndIdentifiers) {
  expect_prose({{"IMG_1234.jpg", ""},
                {"IMG_1234 a dog DSC00012 cat", "a dog, cat"},
                {"dog.jpg", ""},
                {"C:\\Users\\me\\new.png a dog", "a dog"},
                {"pictures\\new\\dog.jpg a cat", "a cat"},
                {"/home/me/pictures/dog a cat", "a cat"},
                {"a golden_retriever", "a golden retriever"},
                {"20200101_123456 a dog", "a dog"},
                {"550e8400-e29b-41d4-a716-446655440000 a dog", "a dog"},
                {"an f-16, a b52 and a boeing 747", "an f-16, a b52 and a boeing 747"},
                {"a 1000-year-old tree of the 1990s", "a 1000-year-old tree of the 1990s"}});
}

TEST(Prose, DigestsAndHalvesOfCharacters) {
  const std::string sha = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
  expect_prose({{"sha256:" + sha + " a dog", "a dog"},
                {"a dog (SHA1: da39a3ee5e6b4b0d3255bfef95601890afd80709)", "a dog (, :, )"},
                {"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= a tree", "= a tree"},
                {"uuid:550e8400-e29b-41d4-a716-446655440000 a dog", "a dog"},
                {"deadbeefdeadbeefdead 0xDEADBEEF a dog", "a dog"},
                {"a facade, a dead cafe: id-card", "a facade, a dead cafe: id-card"},
                {"a dog\u00c2 runs", "a dog runs"},
                {"a dog\u00e2", "a dog"},
                {"a dog \u00c2 , a cat", "a dog, a cat"},
                {"a dog\u00e2\u20ac", "a dog"},
                {"p\u00e2t\u00e9, ch\u00e2teau, \u00c2ge", "p\u00e2t\u00e9, ch\u00e2teau, \u00c2ge"}});
}

TEST(Prose, Numbers) {
  expect_prose({{"12,000 cats", "12000 cats"},
                {"1,234,567.89 cats", "1234567.89 cats"},
                {"1,234.56 dollars and 12'345.5 litres", "1234.56 dollars and 12345.5 litres"},
                {"12 000 cats", "12000 cats"},
                {"12, 000 cats", "12, cats"},
                {"12\u202F000 cats", "12000 cats"},
                {"12'000 cats", "12000 cats"},
                {"$5.99 pizza \u20ac5 5\u20ac", "pizza"},
                {"5:30pm 17:45 12/31/2020 2020-01-01 24/7 16:9 555-1234 dog", "dog"},
                {"50% off", "off"},
                {"2 dogs & 3 cats", "2 dogs & 3 cats"},
                {"a 1920x1080 picture at 300dpi", "a, picture at 300dpi"}});
}

TEST(Prose, Characters) {
  expect_prose(
      {{"caf\u00c3\u00a9 with don\u00e2\u20ac\u2122t", "caf\u00e9 with don't"},
       {"caf\u00c3\u0192\u00c2\u00a9", "caf\u00e9"},
       {"caf\u00e3\u00a9", "caf\u00e9"},  // in small letters
       {"caf\u00c3, latte", "latte"},     // its second half was lost
       {"caf\xE9 latte", "latte"},        // no UTF-8
       {"\uff24\uff2f\uff27 \uff49\uff4e a car", "DOG in a car"},
       {"\U0001d41d\U0001d428\U0001d420 \u24d3\u24de\u24d6", "dog dog"},
       {"d\u200bo\u00adg\ufeff c\u200dat\ufe0f", "dog cat"},
       {"cafe\u0301", "caf\u00e9"},
       {"the dog\u2019s \u201cbowl\u201d \u00abcat\u00bb dog`s dog\u00b4s", "the dog's \"bowl\" \"cat\" dog's dog's"},
       {"Lego\u2122 bricks\u00ae, 20 m\u00b2", "Lego bricks, 20 m"},
       {"dog''s", "dog's"}});
}

TEST(Prose, EscapesThatNobodyRead) {
  expect_prose({{"a dog\\nA cat\\ta bird\\\\nb", "a dog A cat a bird b"},
                {"caf\\u00e9 caf\\\\u00e9 caf\\xc3\\xa9 caf\\303\\251", "caf\u00e9 caf\u00e9 caf\u00e9 caf\u00e9"},
                {"\\ud83d\\udc36 a dog", "\U0001F436 a dog"},
                {"the dog\\'s \\\"bowl\\\"", "the dog's \"bowl\""},
                {"a%20dog caf%C3%A9 100% cotton", "a dog caf\u00e9, cotton"}});
}

TEST(Prose, Hashtags) {
  expect_prose({{"a #dog", "a #dog"},
                {"#GoldenGateBridge", "#Golden_Gate_Bridge"},
                {"#throwback_thursday #dog2020 #2020", "#throwback_thursday #dog_2020"},
                {"#dog,#cat#bird", "#dog, #cat #bird"},
                {"#NYCSkyline (#cat)", "#NYC_Skyline ( #cat)"},
                {"the C# book &#35;dog", "the C book #dog"}});
}

TEST(Prose, AnyBytesInLinearTime) {
  std::vector<std::string> texts;
  for (const char* part :
       {"<",   "<a ",          "</",     "<script>", "<!--",         "[",  "[b",     "&",    "&amp", "amp;",
        "&#",  "&amp;",        "\\",     "\\u00e9",  "C:\\",         "#",  "#a",     "@",    "@a",   "a@",
        "://", "http://",      "x.",     ".com",     "%20",          "1,", "12,000", "000 ", "_",    "'",
        "?a",  "\u00c3\u00a9", "\u00e3", "\xff",     "\xEF\xBF\xBD", "/",  ":a:",    "-1",   "$1"}) {
    std::string text;
    while (text.size() < 100'000) text += part;
    texts.push_back(text);
  }
  std::mt19937 random(11);
  for (int i = 0; i < 200; ++i) {
    std::string bytes(200, ' ');
    for (char& byte : bytes) byte = i % 2 ? static_cast<char>(random()) : "<>&#;\\@:/.,'_%1ax \xC3\xA9"[random() % 20];
    texts.push_back(bytes);
  }
  for (const std::string& text : texts) {
    const auto start = std::chrono::steady_clock::now();
    caption_prose(text);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10)) << text.substr(0, 20);
  }
}

}  // namespace
}  // namespace vicha::text_detail

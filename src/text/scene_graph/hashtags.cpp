#include "text/scene_graph/hashtags.h"

#include <algorithm>
#include <utility>

#include "text/table_reader.h"

namespace vicha::text_detail {
namespace {

bool is_all_digits(std::string_view part) {
  return std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
}

// The tag's words, or none where one of them is unknown.
CaptionSentence words_of_hashtag(std::string_view tag, Lexicon& lexicon) {
  CaptionSentence words;
  for (const std::string_view part : split(tag, '_')) {
    if (is_all_digits(part)) continue;
    const Tag closed = closed_class(part);
    if (closed == Tag::kUnknown && (part.size() < 2 || !lexicon.known(part))) return {};
    words.push_back({std::string(part), closed});
  }
  return words;
}

}  // namespace

void settle_hashtags(CaptionSentence& sentence, Lexicon& lexicon) {
  if (std::ranges::none_of(sentence, [](const CaptionWord& word) { return word.tag == Tag::kHashtag; })) return;
  CaptionSentence settled;
  const auto comma = [&] {
    if (!settled.empty() && settled.back().tag != Tag::kComma) settled.push_back({",", Tag::kComma});
  };
  bool behind_hashtag = false;
  for (CaptionWord& word : sentence) {
    if (word.tag != Tag::kHashtag) {
      settled.push_back(std::move(word));
      behind_hashtag = false;
      continue;
    }
    CaptionSentence words = words_of_hashtag(word.text, lexicon);
    const Tag before = settled.empty() ? Tag::kComma : settled.back().tag;
    const bool awaited = before == Tag::kDeterminer || before == Tag::kPreposition || before == Tag::kNumber ||
                         before == Tag::kConjunction || before == Tag::kGenitive;
    if (words.empty() || behind_hashtag || !awaited) comma();
    std::ranges::move(words, std::back_inserter(settled));
    behind_hashtag = true;
  }
  while (!settled.empty() && settled.back().tag == Tag::kComma) settled.pop_back();
  sentence = std::move(settled);
}

}  // namespace vicha::text_detail

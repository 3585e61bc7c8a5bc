#include "text/scene_graph/scene_graph.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "text/cleaning/prose.h"
#include "text/scene_graph/clauses.h"
#include "text/scene_graph/dictionary.h"
#include "text/scene_graph/hashtags.h"
#include "text/scene_graph/linkage.h"
#include "text/scene_graph/tagger.h"
#include "text/scene_graph/tokens.h"

namespace vicha {
namespace {

std::string key_of(const std::string& row) { return row; }
template <std::size_t N>
std::string key_of(const std::array<std::string, N>& row) {
  std::string key;
  for (const std::string& part : row) key.append(part).push_back('\n');
  return key;
}

template <class Row>
void drop_doubles(std::vector<Row>& rows) {
  std::unordered_set<std::string> seen;
  std::erase_if(rows, [&](const Row& row) { return !seen.insert(key_of(row)).second; });
}

}  // namespace

struct SceneGraphParser::Impl {
  explicit Impl(const SceneGraphOptions& given)
      : options(given), dictionary(text_detail::shared_dictionary()), lexicon(dictionary), links(dictionary) {}

  // Whether the words are few enough, and English enough, for the link grammar.
  bool links_suit(const text_detail::CaptionSentence& words) const {
    return options.links != LinkUse::kNever && words.size() <= options.max_linkage_words &&
           std::none_of(words.begin(), words.end(),
                        [](const auto& word) { return word.tag == text_detail::Tag::kForeign; });
  }

  SceneGraphOptions options;
  text_detail::SharedDictionary dictionary;
  text_detail::Lexicon lexicon;
  text_detail::LinkTagger links;
};

SceneGraphParser::SceneGraphParser(const SceneGraphOptions& options) : impl_(std::make_unique<Impl>(options)) {}
SceneGraphParser::SceneGraphParser(SceneGraphParser&&) noexcept = default;
SceneGraphParser& SceneGraphParser::operator=(SceneGraphParser&&) noexcept = default;
SceneGraphParser::~SceneGraphParser() = default;

SceneGraph SceneGraphParser::parse(std::string_view caption) {
  text_detail::redirect_link_grammar_messages();  // of this thread, which may not be the one that made the parser
  SceneGraph graph;
  std::size_t linked = 0;
  for (text_detail::CaptionSentence& original : text_detail::split_caption(text_detail::caption_prose(caption))) {
    text_detail::settle_hashtags(original, impl_->lexicon);
    if (original.empty()) continue;
    text_detail::CaptionSentence words = original;
    text_detail::tag_by_rules(words, impl_->lexicon);
    const bool wanted = impl_->options.links == LinkUse::kAlways || text_detail::rules_guessed(original, words);
    if (impl_->links_suit(words) && wanted && ++linked <= impl_->options.max_linkage_sentences) {
      if (auto tagged = impl_->links.tag(original, words, impl_->lexicon)) words = std::move(*tagged);
    }
    text_detail::read_clauses(words, impl_->lexicon, graph);
  }
  drop_doubles(graph.objects);
  drop_doubles(graph.attributes);
  drop_doubles(graph.relations);
  return graph;
}

}  // namespace vicha

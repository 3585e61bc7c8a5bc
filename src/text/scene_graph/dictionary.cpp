#include "text/scene_graph/dictionary.h"

#include <link-grammar/dict-api.h>

#include <mutex>

#include "base/error.h"
#include "base/log.h"
#include "text/scene_graph/words.h"

namespace vicha::text_detail {
namespace {

constexpr char kSubscript = '\3';  // what the library puts between a word and its class: "dog\3n"
constexpr std::size_t kEntriesKept = 200'000;

void log_message(lg_errinfo* message, void*) {
  std::string_view text = message->text;
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  log::debug("link-grammar: {}", text);
}

// "v-d" is a past form or a participle, "g" a gerund, "n-u", "s", "p", "m" and so on kinds of nouns.
unsigned classes_of_subscript(std::string_view subscript) {
  if (subscript == "v-d" || subscript == "q-d" || subscript == "w-d") return kCanVerb | kCanPast;
  if (subscript.starts_with("v")) return kCanVerb;
  if (subscript == "g") return kCanIng;
  if (subscript.starts_with("a")) return kCanAdjective;
  if (subscript == "e" || subscript == "r") return kCanAdverb;
  if (subscript.starts_with("n") || subscript == "s" || subscript == "p" || subscript == "m" || subscript == "f" ||
      subscript == "l" || subscript == "b" || subscript == "t" || subscript == "u" || subscript == "d") {
    return kCanNoun;
  }
  return 0;
}

// Of a word that the dictionary has not: by what it ends in.
unsigned classes_of_ending(std::string_view word) {
  const auto ends = [&](std::string_view end) { return word.size() > end.size() + 1 && word.ends_with(end); };
  if (const auto hyphen = word.rfind('-'); hyphen != std::string_view::npos) {
    const std::string_view last = word.substr(hyphen + 1);
    return last.ends_with("ed") || last.ends_with("en") || last.ends_with("ing") ? kCanAdjective
                                                                                 : kCanAdjective | kCanNoun;
  }
  if (ends("ing")) return kCanIng | kCanVerb;
  if (ends("ed")) return kCanVerb | kCanPast;
  if (ends("ly")) return kCanAdverb;
  for (const std::string_view end : {"ous", "ful", "less", "ish", "able", "ible", "ic", "ive"}) {
    if (ends(end)) return kCanAdjective | (end == "ic" || end == "ive" ? kCanNoun : 0u);
  }
  return kCanNoun;
}

}  // namespace

SharedDictionary shared_dictionary() {
  static std::mutex mutex;
  static std::weak_ptr<std::remove_pointer_t<Dictionary>> loaded;
  const std::lock_guard lock(mutex);
  if (SharedDictionary there = loaded.lock()) return there;
  redirect_link_grammar_messages();
  const Dictionary dictionary = dictionary_create_lang("en");
  if (!dictionary) {
    throw DataError("the English dictionary of link-grammar", "not found",
                    "Install the Debian package link-grammar-dictionaries-en");
  }
  SharedDictionary shared(dictionary, DictionaryDeleter());
  loaded = shared;
  return shared;
}

void redirect_link_grammar_messages() { lg_error_set_handler(log_message, nullptr); }

unsigned Lexicon::classes(const std::string& word) { return entry(word).classes; }

bool Lexicon::known_noun(std::string_view word) { return entry(std::string(word)).known_noun; }

bool Lexicon::known(std::string_view word) { return entry(std::string(word)).known; }

const Lexicon::Entry& Lexicon::entry(const std::string& word) {
  if (const auto found = entries_.find(word); found != entries_.end()) return found->second;
  if (entries_.size() >= kEntriesKept) entries_.clear();
  Entry made;
  Dict_node* nodes = dictionary_lookup_list(dictionary_.get(), word.c_str());
  for (const Dict_node* node = nodes; node; node = node->right) {
    const std::string_view name = node->string;
    const auto mark = name.find(kSubscript);
    if (mark != std::string_view::npos) made.classes |= classes_of_subscript(name.substr(mark + 1));
  }
  free_lookup_list(dictionary_.get(), nodes);
  made.known_noun = (made.classes & kCanNoun) != 0;
  made.known = made.classes != 0;
  if (made.classes == 0) made.classes = classes_of_ending(word);
  if (word.size() > 4 && word.ends_with("ing") && (made.classes & kCanVerb)) made.classes |= kCanIng;
  if (is(word, WordKind::kParticiple)) made.classes |= kCanVerb | kCanPast;
  if (is(word, WordKind::kColour)) made.classes |= kCanAdjective;
  return entries_.emplace(word, made).first->second;
}

}  // namespace vicha::text_detail

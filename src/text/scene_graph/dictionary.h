// The link-grammar library's English dictionary: loaded once, shared by all threads. Used inside this room only.
#pragma once

#include <link-grammar/link-includes.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace vicha::text_detail {

/// What a word can be, as bits.
enum WordClass : unsigned {
  kCanNoun = 1,
  kCanVerb = 2,
  kCanPast = 4,
  kCanIng = 8,
  kCanAdjective = 16,
  kCanAdverb = 32
};

struct DictionaryDeleter {
  void operator()(Dictionary dictionary) const { dictionary_delete(dictionary); }
};
using SharedDictionary = std::shared_ptr<std::remove_pointer_t<Dictionary>>;

/// Loads it on the first call (0.1 to 0.2 s), and again only after every holder has released it. May be called by many
/// threads. The library promises that threads may share a dictionary as long as each has its own options and sentences.
/// Throws DataError naming the Debian package if it cannot be found.
SharedDictionary shared_dictionary();

/// The messages of the library on this thread go to the log (debug level) instead of standard error.
void redirect_link_grammar_messages();

/// Classes of words, from the dictionary and where it does not know one by its ending. For one thread; keeps what it
/// has looked up (bounded).
class Lexicon {
 public:
  explicit Lexicon(SharedDictionary dictionary) : dictionary_(std::move(dictionary)) {}
  /// Bits of WordClass, never 0.
  unsigned classes(const std::string& word);
  /// Whether the dictionary itself has it as a noun.
  bool known_noun(std::string_view word);
  /// Whether the dictionary itself has it.
  bool known(std::string_view word);

 private:
  struct Entry {
    unsigned classes = 0;
    bool known_noun = false, known = false;
  };
  const Entry& entry(const std::string& word);

  SharedDictionary dictionary_;
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace vicha::text_detail

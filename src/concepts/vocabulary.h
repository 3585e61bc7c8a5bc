// The vocabulary of visual concepts: words that the captions of a data set use, with their counts, as a text file that
// a person can read and edit (method, section 6.1).
//
// File: UTF-8, one concept a line: the word, a tab, its count, a tab, its kind (object, attribute, relation); count and
// kind may be missing. Lines that start with '#' are comments.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace vicha {

enum class ConceptKind { kObject, kAttribute, kRelation };

struct ConceptWord {
  std::string text;  ///< lower case: "dog", "brown dog", "dog on sofa"
  std::int64_t count = 0;
  ConceptKind kind = ConceptKind::kObject;
};

class ConceptVocabulary {
 public:
  ConceptVocabulary() = default;
  explicit ConceptVocabulary(std::vector<ConceptWord> words);
  /// Throws DataError naming file and line: a word twice, an unreadable count, bytes that are not UTF-8, no word at
  /// all.
  static ConceptVocabulary load(const std::filesystem::path& path);
  void save(const std::filesystem::path& path) const;

  const std::vector<ConceptWord>& words() const { return words_; }
  std::int64_t size() const { return static_cast<std::int64_t>(words_.size()); }
  const std::string& word(std::int64_t index) const { return words_[static_cast<std::size_t>(index)].text; }
  /// SHA-256 of the words in their order (not of counts, kinds and comments): ConceptIdentity's.
  const std::string& sha256() const { return sha256_; }

 private:
  std::vector<ConceptWord> words_;
  std::string sha256_;
};

}  // namespace vicha

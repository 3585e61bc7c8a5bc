// The vocabulary of visual concepts: words that the captions of a data set use, with their counts, as a text file that
// a person can read and edit (method, section 6.1).
//
// File: UTF-8, one concept a line: the word, a tab, its count, a tab, its kind (object, attribute, relation); count and
// kind may be missing. Lines that start with '#' are comments; blank lines, blanks around a column, capitals, a byte
// order mark and CRLF line ends, as editors leave them, change nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {

enum class ConceptKind { kObject, kAttribute, kRelation };

std::string_view to_string(ConceptKind kind);
std::optional<ConceptKind> concept_kind_from(std::string_view name);

/// The form in which concepts are compared and kept: lower case, runs of white space made one blank, ends trimmed,
/// typographic quotes made plain. `text` is UTF-8.
std::string concept_form(std::string_view text);

struct ConceptWord {
  std::string text;  ///< lower case: "dog", "brown dog", "dog on sofa"
  std::int64_t count = 0;
  ConceptKind kind = ConceptKind::kObject;
};

class ConceptVocabulary {
 public:
  ConceptVocabulary() = default;
  /// Takes the words in their order, in concept_form. Throws DataError naming the word: twice, empty, a comment in a
  /// file (begins with '#'), control characters or bytes that are not UTF-8.
  explicit ConceptVocabulary(std::vector<ConceptWord> words);
  /// Throws DataError naming file and line (both lines of a word that stands twice): as above, an unreadable count or
  /// kind, no word at all, a file that is something else.
  static ConceptVocabulary load(const std::filesystem::path& path);
  /// Atomic. Loading it gives the same words, counts and kinds.
  void save(const std::filesystem::path& path) const;
  /// What such a file holds.
  std::string text() const;

  const std::vector<ConceptWord>& words() const { return words_; }
  std::int64_t size() const { return static_cast<std::int64_t>(words_.size()); }
  const std::string& word(std::int64_t index) const { return words_[static_cast<std::size_t>(index)].text; }
  /// SHA-256 of the words in their order (not of counts, kinds and comments): ConceptProvenance's.
  const std::string& sha256() const { return sha256_; }

 private:
  std::vector<ConceptWord> words_;
  std::string sha256_;
};

/// Counts of equal words added up; the kind is that of the vocabulary where the word has most (of several: the first of
/// ConceptKind). Most frequent first, equally frequent ones by their text. The order of the vocabularies changes
/// nothing.
ConceptVocabulary merge_vocabularies(std::span<const ConceptVocabulary> vocabularies);
/// The order in which vocabularies are written.
void sort_concepts(std::vector<ConceptWord>& words);

}  // namespace vicha

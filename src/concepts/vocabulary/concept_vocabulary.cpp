#include "concepts/vocabulary/concept_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>

#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"
#include "base/sha256.h"
#include "text/cleaning/label.h"

namespace vicha {
namespace {

constexpr std::array<std::string_view, 3> kKindNames = {"object", "attribute", "relation"};
constexpr std::string_view kColumns = "A line is: concept, tab, count, tab, kind (object, attribute or relation)";

/// Whether `concept_form` would leave it as it is; nearly all text that is counted is.
bool is_plain(std::string_view text) {
  bool blank = true;
  for (const char c : text) {
    if (c < ' ' || c > '~' || (c >= 'A' && c <= 'Z') || (c == ' ' && blank)) return false;  // bytes above 127 too
    blank = c == ' ';
  }
  return !blank;
}

/// What is wrong with a word in concept_form; empty if nothing.
std::string_view fault_of(std::string_view word) {
  if (word.empty()) return "a concept is empty";
  if (word.starts_with('#')) return "a concept begins with '#', which begins a comment in a vocabulary's file";
  const bool control = std::ranges::any_of(word, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
  return control ? "a concept holds control characters" : "";
}

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::optional<std::int64_t> count_from(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool right = error == std::errc() && end == text.data() + text.size() && count >= 0;
  return right ? std::optional(count) : std::nullopt;
}

/// An editor that turned tabs into blanks: "dog   12   object".
bool lost_its_tabs(std::string_view line) {
  const std::size_t kind = line.rfind(' ');
  if (kind == std::string_view::npos || !concept_kind_from(line.substr(kind + 1))) return false;
  const std::string_view rest = without_blanks(line.substr(0, kind));
  const std::size_t count = rest.rfind(' ');
  return count != std::string_view::npos && count_from(rest.substr(count + 1)).has_value();
}

ConceptWord word_of_line(std::string_view line, const std::string& where) {
  std::array<std::string_view, 3> columns;
  std::size_t used = 0;
  for (std::string_view left = line;; ++used) {
    if (used == columns.size()) throw DataError(where, "has more than three columns", kColumns);
    const std::size_t tab = left.find('\t');
    columns[used] = without_blanks(left.substr(0, tab));
    if (tab == std::string_view::npos) break;
    left.remove_prefix(tab + 1);
  }
  if (used == 0 && lost_its_tabs(line)) throw DataError(where, "its columns are separated by blanks", kColumns);
  if (!cleaning::is_utf8(line)) throw DataError(where, "is not UTF-8", "Save the file as UTF-8");
  ConceptWord word{concept_form(columns[0]), 0, ConceptKind::kObject};
  if (const std::string_view fault = fault_of(word.text); !fault.empty()) throw DataError(where, fault, kColumns);
  if (!columns[1].empty()) {
    const auto count = count_from(columns[1]);
    if (!count) throw DataError(where, fmt::format("\"{}\" is not a count", columns[1]), kColumns);
    word.count = *count;
  }
  if (!columns[2].empty()) {
    const auto kind = concept_kind_from(columns[2]);
    if (!kind) throw DataError(where, fmt::format("\"{}\" is not a kind", columns[2]), kColumns);
    word.kind = *kind;
  }
  return word;
}

}  // namespace

std::string_view to_string(ConceptKind kind) { return kKindNames[static_cast<std::size_t>(kind)]; }

std::optional<ConceptKind> concept_kind_from(std::string_view name) {
  const auto found = std::ranges::find(kKindNames, name);
  if (found == kKindNames.end()) return std::nullopt;
  return static_cast<ConceptKind>(found - kKindNames.begin());
}

std::string concept_form(std::string_view text) {
  return is_plain(text) ? std::string(text) : cleaning::lower(cleaning::clean(text));
}

ConceptVocabulary::ConceptVocabulary(std::vector<ConceptWord> words) : words_(std::move(words)) {
  std::unordered_map<std::string_view, std::size_t> seen;
  seen.reserve(words_.size());
  Sha256 hash;
  for (std::size_t i = 0; i < words_.size(); ++i) {
    std::string& text = words_[i].text;
    if (!cleaning::is_utf8(text)) throw DataError("vocabulary", fmt::format("concept {} is not UTF-8", i));
    text = concept_form(text);
    if (const std::string_view fault = fault_of(text); !fault.empty()) {
      throw DataError("vocabulary", fmt::format("{} (number {}: \"{}\")", fault, i, text));
    }
    if (const auto [first, fresh] = seen.emplace(text, i); !fresh) {
      throw DataError("vocabulary", fmt::format("concepts {} and {} are both \"{}\"", first->second, i, text));
    }
    hash.update(text);
    hash.update("\n");
  }
  sha256_ = hash.hex();
}

ConceptVocabulary ConceptVocabulary::load(const std::filesystem::path& path) {
  const std::string content = read_text_file(path);
  std::string_view left = content;
  if (left.starts_with("\xEF\xBB\xBF")) left.remove_prefix(3);
  std::vector<ConceptWord> words;
  std::unordered_map<std::string, std::int64_t> lines;
  bool commented = false;  // JSON has no comments: behind one, a bracket is a word
  for (std::int64_t number = 1; !left.empty(); ++number) {
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(line.size() + 1, left.size()));
    const std::string_view text = without_blanks(line);
    commented = commented || text.starts_with('#');
    if (text.empty() || text.starts_with('#')) continue;
    if (words.empty() && !commented && (text.starts_with('{') || text.starts_with('['))) {
      throw DataError(path.string(), "is JSON and no vocabulary", "Make one: vicha concepts vocab");
    }
    ConceptWord word = word_of_line(line, fmt::format("{}, line {}", path.string(), number));
    if (const auto [first, fresh] = lines.emplace(word.text, number); !fresh) {
      throw DataError(fmt::format("{}, line {}", path.string(), number),
                      fmt::format("\"{}\" stands in line {} already", word.text, first->second),
                      "Take one of the two out");
    }
    words.push_back(std::move(word));
  }
  if (words.empty()) {
    throw DataError(path.string(), "the vocabulary holds no concept",
                    "Add one a line, or make it from captions: vicha concepts vocab");
  }
  return ConceptVocabulary(std::move(words));
}

std::string ConceptVocabulary::text() const {
  std::string text = "# Visual concepts: concept, tab, count, tab, kind. Lines may be added, changed and taken out.\n";
  for (const ConceptWord& word : words_)
    text += fmt::format("{}\t{}\t{}\n", word.text, word.count, to_string(word.kind));
  return text;
}

void ConceptVocabulary::save(const std::filesystem::path& path) const { write_file_atomic(path, text()); }

void sort_concepts(std::vector<ConceptWord>& words) {
  std::ranges::sort(words, [](const ConceptWord& a, const ConceptWord& b) {
    return a.count != b.count ? a.count > b.count : a.text < b.text;
  });
}

ConceptVocabulary merge_vocabularies(std::span<const ConceptVocabulary> vocabularies) {
  std::vector<ConceptWord> words;
  std::vector<std::int64_t> largest;  // of the counts that make up each word's
  std::unordered_map<std::string, std::size_t> places;
  for (const ConceptVocabulary& vocabulary : vocabularies) {
    for (const ConceptWord& word : vocabulary.words()) {
      const auto [place, fresh] = places.emplace(word.text, words.size());
      if (fresh) {
        words.push_back(word);
        largest.push_back(word.count);
        continue;
      }
      ConceptWord& merged = words[place->second];
      merged.count += word.count;
      std::int64_t& most = largest[place->second];
      if (word.count > most || (word.count == most && word.kind < merged.kind)) {
        most = word.count;
        merged.kind = word.kind;
      }
    }
  }
  sort_concepts(words);
  return ConceptVocabulary(std::move(words));
}

}  // namespace vicha

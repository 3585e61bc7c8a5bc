#include "concepts/vocabulary/count_concepts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "text/cleaning/label.h"

namespace vicha {
namespace {

constexpr std::size_t kLongestConcept = 200;  // bytes; what is longer is an address or other refuse

std::int64_t characters(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

/// Whether it can name anything: a letter, or a character that is not ASCII.
bool has_letter(std::string_view text) {
  return std::ranges::any_of(text,
                             [](char c) { return (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80; });
}

}  // namespace

ConceptCounter::ConceptCounter(const CountOptions& options) : options_(options) {
  if (!options_.objects && !options_.attributes && !options_.relations) throw UsageError("no kind of concept to count");
  if (options_.max_entries < 1 || options_.min_count < 1 || options_.top < 0) {
    throw UsageError("the least count and the most entries of a vocabulary are at least 1");
  }
  if (options_.default_stop) {
    default_stop_ = {default_stop_words().begin(), default_stop_words().end()};
  }
}

std::string ConceptCounter::form_of(std::string_view word) const {
  std::string form = cleaning::is_utf8(word) ? concept_form(word) : std::string();
  const auto merged = options_.merged.find(form);
  return merged == options_.merged.end() ? form : merged->second;
}

bool ConceptCounter::stops(std::string_view word, bool relation) const {
  return options_.stop.contains(word) || (!relation && default_stop_.contains(word));
}

std::string ConceptCounter::concept_of(std::span<const std::string> forms) {
  std::string text;
  for (std::size_t i = 0; i < forms.size(); ++i) {
    const std::string& form = forms[i];
    if (form.empty()) return "";
    if (stops(form, forms.size() == 3 && i == 1)) {
      ++report_.stopped;
      return "";
    }
    if (!text.empty()) text += ' ';
    text += form;
  }
  if (forms.size() > 1) {
    if (const auto merged = options_.merged.find(text); merged != options_.merged.end()) text = merged->second;
    if (stops(text)) {
      ++report_.stopped;
      return "";
    }
  }
  const bool useful = !text.starts_with('#') && text.size() <= kLongestConcept && has_letter(text) &&
                      characters(text) >= options_.min_length;
  return useful ? text : "";
}

void ConceptCounter::add(const SceneGraph& graph) {
  ++report_.captions;
  report_.without_objects += graph.objects.empty();
  for_each_concept(graph, [&](ConceptKind kind, const std::string& text) { count(kind, text, 1); });
}

std::vector<std::string> ConceptCounter::concepts_of(const SceneGraph& graph) {
  std::vector<std::string> found;
  for_each_concept(graph, [&](ConceptKind, const std::string& text) { found.push_back(text); });
  return found;
}

void ConceptCounter::for_each_concept(const SceneGraph& graph,
                                      const std::function<void(ConceptKind, const std::string&)>& see) {
  std::vector<std::string> found;  // of one kind; merged forms may have become equal
  const auto see_found = [&](ConceptKind kind) {
    std::ranges::sort(found);
    found.erase(std::ranges::unique(found).begin(), found.end());
    for (const std::string& text : found) {
      if (!text.empty()) see(kind, text);
    }
    found.clear();
  };
  if (options_.objects) {
    for (const std::string& object : graph.objects) found.push_back(concept_of(std::array{form_of(object)}));
    see_found(ConceptKind::kObject);
  }
  if (options_.attributes) {
    for (const auto& [object, attribute] : graph.attributes) {
      found.push_back(concept_of(std::array{form_of(attribute), form_of(object)}));
    }
    see_found(ConceptKind::kAttribute);
  }
  if (options_.relations) {
    for (const auto& [subject, relation, object] : graph.relations) {
      found.push_back(concept_of(std::array{form_of(subject), form_of(relation), form_of(object)}));
    }
    see_found(ConceptKind::kRelation);
  }
}

void ConceptCounter::add(const ConceptVocabulary& vocabulary) {
  const std::array<bool, 3> wanted = {options_.objects, options_.attributes, options_.relations};
  for (const ConceptWord& word : vocabulary.words()) {
    if (!wanted[static_cast<std::size_t>(word.kind)]) continue;
    const std::string text = concept_of(std::array{form_of(word.text)});
    if (!text.empty()) count(word.kind, text, word.count);
  }
}

void ConceptCounter::count(ConceptKind kind, std::string_view text, std::int64_t times) {
  Counts& counts = counts_[static_cast<std::size_t>(kind)];
  if (const auto found = counts.find(text); found != counts.end()) {
    found->second += times;
    return;
  }
  if (entries() >= options_.max_entries) prune();
  counts.emplace(text, times);
}

std::int64_t ConceptCounter::entries() const {
  std::int64_t sum = 0;
  for (const Counts& counts : counts_) sum += static_cast<std::int64_t>(counts.size());
  return sum;
}

void ConceptCounter::prune() {
  const std::int64_t before = entries();
  std::int64_t least = 0;
  while (entries() > options_.max_entries / 2) {
    // The next count that anything has; most have been seen once.
    std::int64_t next = INT64_MAX;
    for (const Counts& counts : counts_) {
      for (const auto& [text, times] : counts) next = times > least ? std::min(next, times) : next;
    }
    least = next;
    for (std::size_t kind = counts_.size(); kind-- > 0 && entries() > options_.max_entries / 2;) {
      std::erase_if(counts_[kind], [least](const auto& entry) { return entry.second <= least; });
    }
  }
  report_.pruned += before - entries();
  report_.undercount += least;
  log::warning(
      "{} concepts seen at most {} times were dropped to hold no more than {}; counts may be too low by {}. A higher "
      "limit (--max-entries) or fewer kinds avoid it",
      before - entries(), least, options_.max_entries, report_.undercount);
}

ConceptVocabulary ConceptCounter::vocabulary() const {
  std::vector<ConceptWord> words;
  std::unordered_map<std::string_view, std::pair<std::size_t, std::int64_t>> places;  // word; the largest of its counts
  for (std::size_t kind = 0; kind < counts_.size(); ++kind) {
    for (const auto& [text, times] : counts_[kind]) {
      const auto [place, fresh] = places.emplace(text, std::pair{words.size(), times});
      if (fresh) {
        words.push_back({text, times, static_cast<ConceptKind>(kind)});
        continue;
      }
      auto& [at, largest] = place->second;
      words[at].count += times;
      if (times > largest) {
        largest = times;
        words[at].kind = static_cast<ConceptKind>(kind);
      }
    }
  }
  const std::size_t distinct = words.size();
  std::erase_if(words, [&](const ConceptWord& word) { return word.count < options_.min_count; });
  if (words.empty()) {
    throw DataError("vocabulary",
                    distinct == 0 ? fmt::format("{} captions name no concept that could be kept", report_.captions)
                                  : fmt::format("none of {} concepts was seen {} times", distinct, options_.min_count),
                    distinct == 0 ? "Captions must be English; check the stop list, and that they are captions at all"
                                  : "Lower --min-count");
  }
  sort_concepts(words);
  if (options_.top > 0 && words.size() > static_cast<std::size_t>(options_.top)) {
    words.resize(static_cast<std::size_t>(options_.top));
  }
  return ConceptVocabulary(std::move(words));
}

CountReport ConceptCounter::report() const {
  CountReport report = report_;
  report.distinct = entries();
  return report;
}

}  // namespace vicha

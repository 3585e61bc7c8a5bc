#include "tasks/downstream/concept_padding.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"

namespace vicha {
namespace {

constexpr std::uint64_t kMostOfPaddingFile = 1 << 16;
constexpr const char* kPaddingKey = "tokens";

}  // namespace

ConceptPadding::ConceptPadding(const TrainingSetup& setup) {
  const DataOptions& data = setup.recipe.data;
  if (!data.concepts.enabled || setup.recipe.model.concepts.mask_padding) return;
  const Manifest& manifest = *setup.manifest;
  const SampleText text(setup.tokenizer, data);
  std::atomic<std::int64_t> longest = 1;
  constexpr std::int64_t kRecordsOfTask = 1024;
  at::parallel_for(0, manifest.size(), kRecordsOfTask, [&](std::int64_t first, std::int64_t last) {
    std::size_t most = 1;
    for (std::int64_t record = first; record < last; ++record) {
      most = std::max(most, text.encode_concepts(manifest.concepts(record)).size());
      for (std::size_t i = 0; i < manifest.further_images(); ++i) {
        most = std::max(most, text.encode_concepts(manifest.further_concepts(record, i)).size());
      }
    }
    auto known = longest.load();
    while (known < static_cast<std::int64_t>(most) &&
           !longest.compare_exchange_weak(known, static_cast<std::int64_t>(most))) {
    }
  });
  tokens_ = longest;
}

ConceptPadding::ConceptPadding(const std::filesystem::path& checkpoint) {
  const std::filesystem::path file = checkpoint / kConceptPaddingFile;
  if (!std::filesystem::exists(file)) return;
  const auto json = nlohmann::json::parse(read_file(file, kMostOfPaddingFile), nullptr, /*allow_exceptions=*/false);
  // No text encoder has so many positions.
  constexpr std::int64_t kMostTokens = 1 << 20;
  if (json.is_object() && json.contains(kPaddingKey) && json[kPaddingKey].is_number_integer()) {
    tokens_ = json[kPaddingKey].get<std::int64_t>();
    if (tokens_ > 0 && tokens_ <= kMostTokens) return;
  }
  throw DataError(file.string(), "does not say how long the lists of concepts in training were",
                  "The checkpoint is damaged; use another one");
}

EvaluationPadding ConceptPadding::of_set() const {
  return {
      .text = 0, .concepts = EvaluationPadding::kLongestOfSet, .least_concepts = std::max<std::int64_t>(1, tokens_)};
}

std::vector<std::pair<std::string, std::string>> ConceptPadding::files() const {
  if (tokens_ == 0) return {};
  return {{kConceptPaddingFile, json_text(nlohmann::ordered_json{{kPaddingKey, tokens_}}, 1) + "\n"}};
}

}  // namespace vicha

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/log.h"
#include "concepts/kit/concept_kit.h"

namespace vicha {
namespace {

/// A word has one vector of a source; in another batch or on another machine its last bits differ.
constexpr double kSameWord = 0.999;

struct Told {
  std::string manifest;
  ConceptProvenance provenance;
};

/// What each manifest says of its concepts: all of them, or none.
std::vector<Told> provenances_of(std::span<const std::string> manifests) {
  std::vector<Told> told;
  std::string silent;
  for (const std::string& manifest : manifests) {
    if (std::optional<ConceptProvenance> provenance = concept_provenance_of(manifest)) {
      told.push_back({manifest, std::move(*provenance)});
    } else if (silent.empty()) {
      silent = manifest;
    }
  }
  if (!told.empty() && !silent.empty()) {
    throw DataError(silent,
                    fmt::format("does not say where its concepts come from, and those of {} come from {}",
                                told.front().manifest, told.front().provenance.describe()),
                    "Assign its concepts from the same source (`vicha concepts assign`)");
  }
  return told;
}

/// Everything but the vocabularies.
void require_same_way(const Told& a, const Told& b) {
  ConceptProvenance other = b.provenance;
  other.vocabulary_sha256 = a.provenance.vocabulary_sha256;
  // The message names the vocabulary too: theirs, not the one that was put in its place.
  if (!a.provenance.same(other)) require_same(a.provenance, a.manifest, b.provenance, b.manifest);
  // A bare identity says neither how many were taken nor from which files.
  if (a.provenance.source.empty() || b.provenance.source.empty()) return;
  if (a.provenance.k != b.provenance.k || a.provenance.threshold != b.provenance.threshold) {
    throw DataError(
        b.manifest,
        fmt::format("has the {} best concepts of a picture (threshold {}), and {} has the {} best "
                    "(threshold {}): a model finds those of new pictures in one way",
                    b.provenance.k, b.provenance.threshold, a.manifest, a.provenance.k, a.provenance.threshold),
        "Assign one of the two again with the other's --k and --threshold (`vicha concepts assign`)");
  }
}

/// Of each vocabulary one; in an order that does not depend on the manifests'.
std::vector<ConceptKit> distinct_kits(std::span<const Told> told) {
  std::vector<ConceptKit> kits;
  std::vector<std::string> texts;
  for (const Told& one : told) {
    ConceptKit kit = load_concept_kit(one.provenance);
    std::string text = kit.vocabulary.text();
    if (std::ranges::find(texts, text) != texts.end()) continue;
    texts.push_back(std::move(text));
    kits.push_back(std::move(kit));
  }
  std::ranges::sort(kits, [](const ConceptKit& a, const ConceptKit& b) {
    const std::string &x = a.vocabulary.sha256(), &y = b.vocabulary.sha256();
    return x != y ? x < y : a.vocabulary.text() < b.vocabulary.text();
  });
  return kits;
}

/// The vectors of the words of `merged` (V, E), each of the first kit that has it.
at::Tensor vectors_of(const ConceptVocabulary& merged, std::span<const ConceptKit> kits) {
  std::unordered_map<std::string_view, std::int64_t> row_of;
  std::vector<at::Tensor> all;
  std::int64_t rows = 0;
  for (const ConceptKit& kit : kits) {
    std::vector<std::int64_t> known, here;
    for (std::int64_t i = 0; i < kit.vocabulary.size(); ++i) {
      const auto [found, fresh] = row_of.emplace(kit.vocabulary.word(i), rows + i);
      if (fresh) continue;
      known.push_back(found->second);
      here.push_back(i);
    }
    if (!known.empty()) {
      const at::Tensor cosines = (at::cat(all).index_select(0, at::tensor(known, at::kLong)) *
                                  kit.unit_VE.index_select(0, at::tensor(here, at::kLong)))
                                     .sum(1);
      if (const std::int64_t worst = cosines.argmin().item<std::int64_t>();
          !(cosines[worst].item<double>() > kSameWord)) {
        throw DataError(
            kit.provenance.embeddings.string(),
            fmt::format("has another vector of \"{}\" than the other vocabularies, though by the same source",
                        kit.vocabulary.word(here[static_cast<std::size_t>(worst)])),
            "Delete it and assign these concepts again (`vicha concepts assign`)");
      }
    }
    all.push_back(kit.unit_VE);
    rows += kit.vocabulary.size();
  }
  std::vector<std::int64_t> chosen;
  for (std::int64_t i = 0; i < merged.size(); ++i) chosen.push_back(row_of.at(merged.word(i)));
  return at::cat(all).index_select(0, at::tensor(chosen, at::kLong));
}

ConceptKit merge(std::span<const ConceptKit> kits) {
  ConceptKit merged;
  std::vector<ConceptVocabulary> vocabularies;
  for (const ConceptKit& kit : kits) {
    vocabularies.push_back(kit.vocabulary);
    // One that was merged before stands for its parts, too.
    merged.provenance.merged_from.push_back(kit.vocabulary.sha256());
    std::ranges::copy(kit.provenance.merged_from, std::back_inserter(merged.provenance.merged_from));
  }
  std::vector<std::string>& parts = merged.provenance.merged_from;
  std::ranges::sort(parts);
  parts.erase(std::ranges::unique(parts).begin(), parts.end());

  merged.vocabulary = merge_vocabularies(vocabularies);
  const ConceptKit& first = kits.front();
  merged.provenance.weights = first.provenance.weights;
  merged.provenance.vocabulary_sha256 = merged.vocabulary.sha256();
  merged.provenance.prompt = first.provenance.prompt;
  merged.provenance.source = first.provenance.source;
  merged.provenance.k = first.provenance.k;
  merged.provenance.threshold = first.provenance.threshold;
  merged.unit_VE = vectors_of(merged.vocabulary, kits);
  merged.scale = first.scale;
  return merged;
}

}  // namespace

std::optional<ConceptKit> common_concept_kit(std::span<const std::string> manifests) {
  const std::vector<Told> told = provenances_of(manifests);
  if (told.empty()) return std::nullopt;
  for (const Told& other : told) require_same_way(told.front(), other);
  const bool one =
      std::ranges::all_of(told, [&](const Told& other) { return other.provenance.same(told.front().provenance); });
  const auto bare = std::ranges::find_if(told, [](const Told& t) { return t.provenance.vocabulary.empty(); });
  if (one) {
    const auto whole = std::ranges::find_if(told, [](const Told& t) { return !t.provenance.vocabulary.empty(); });
    if (whole == told.end()) return std::nullopt;
    return load_concept_kit(whole->provenance);
  }
  if (bare != told.end()) {
    throw DataError(
        bare->manifest,
        "does not say where its vocabulary lies, and other manifests have other vocabularies: they cannot be "
        "merged",
        "Assign its concepts again (`vicha concepts assign`), or make all with one vocabulary (--vocab)");
  }
  if (told.front().provenance.neighbours) {
    throw DataError(
        told.back().manifest,
        fmt::format("has words of other neighbours, or of another vocabulary, than {}: words that come from "
                    "neighbours are not merged",
                    told.front().manifest),
        "Assign the concepts of all manifests with the captions and vocabulary of one (`vicha concepts "
        "assign --source tower:STORE --captions … --vocab …`)");
  }
  const std::vector<ConceptKit> kits = distinct_kits(told);
  ConceptKit merged = merge(kits);
  std::vector<std::string> parts;
  for (const ConceptKit& kit : kits) {
    parts.push_back(fmt::format("{} ({} concepts)", kit.provenance.vocabulary.string(), kit.vocabulary.size()));
  }
  log::info(
      "the manifests' concepts come from {} vocabularies: {}. The model keeps all of their words as one vocabulary of "
      "{} concepts, in which those of new pictures are found",
      kits.size(), fmt::join(parts, ", "), merged.vocabulary.size());
  return merged;
}

}  // namespace vicha

#include "tasks/concepts/concept_sources.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"
#include "base/printable.h"
#include "concepts/source/clip_source.h"
#include "train/device.h"

namespace vicha {
namespace {

constexpr const char *kManifestKey = "manifest", *kTowerKey = "tower";

std::optional<std::string> where_of(std::string_view spec, std::string_view key) {
  NamedSource named = parse_concept_source(spec);
  return named.kind.key == key ? std::optional(std::move(named.where)) : std::nullopt;
}

}  // namespace

std::string concept_source_forms(bool towerless, bool about) {
  std::vector<std::string> forms;
  for (const ConceptSourceKind& kind : concept_source_kinds()) {
    if (!kind.open && !towerless) continue;
    forms.push_back(about ? fmt::format("{}:{} ({})", kind.key, kind.where, kind.about)
                          : fmt::format("{}:{}", kind.key, kind.where));
  }
  std::string text;
  for (std::size_t i = 0; i < forms.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == forms.size() ? " or " : ", ") + forms[i];
  }
  return text;
}

NamedSource parse_concept_source(std::string_view spec) {
  const std::size_t colon = spec.find(':');
  if (colon != std::string_view::npos && colon + 1 < spec.size()) {
    for (const ConceptSourceKind& kind : concept_source_kinds()) {
      if (kind.key == spec.substr(0, colon)) return {kind, std::string(spec.substr(colon + 1))};
    }
  }
  throw UsageError(fmt::format("\"{}\" is not a source of concepts. Give {}", printable(spec),
                               concept_source_forms(/*towerless=*/true, /*about=*/true)));
}

std::optional<std::string> field_of_source(std::string_view spec) { return where_of(spec, kManifestKey); }
std::optional<std::string> store_of_source(std::string_view spec) { return where_of(spec, kTowerKey); }

std::unique_ptr<ConceptSource> open_concept_source(std::string_view spec, const ConceptSourceOptions& options) {
  const NamedSource named = parse_concept_source(spec);
  if (!named.kind.open) {
    throw UsageError(fmt::format("\"{}\" {}. Give {}", printable(spec), named.kind.instead, concept_source_forms()));
  }
  std::unique_ptr<ConceptSource> source = named.kind.open(named.where, options);
  log::info("pictures and words by {}", source->weights().describe());
  return source;
}

ConceptSourceKind clip_source_kind() {
  return {.key = "clip",
          .where = "FILE",
          .about = "weights of CLIP",
          .open = [](const std::string& file, const ConceptSourceOptions& options) -> std::unique_ptr<ConceptSource> {
            auto clip = ClipSource::open(file, {.tokenizer = options.bpe, .config = {}, .exact = options.exact_decode});
            clip->to(choose_device(options.device));
            return clip;
          }};
}

ConceptSourceKind manifest_source_kind() {
  return {.key = kManifestKey,
          .where = "FIELD",
          .about = "concepts that the records hold already",
          .instead = "holds words, not a model: it cannot embed pictures or texts"};
}

ConceptSourceKind tower_source_kind() {
  return {.key = kTowerKey,
          .where = "STORE",
          .about = "words of the nearest pictures in a store of `vicha embed`",
          .instead =
              "knows pictures and no words: it finds concepts by the captions of like pictures, which `vicha "
              "concepts build` and `vicha concepts assign` do, and embeds nothing"};
}

}  // namespace vicha

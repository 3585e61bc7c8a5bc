#include "tasks/concepts/concept_sources.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"
#include "concepts/source/clip_source.h"
#include "tasks/concepts/vicha_source.h"
#include "train/device.h"

namespace vicha {

namespace {

enum class Kind { kClip, kVicha, kManifest };

struct Spec {
  Kind kind;
  std::string where;  // a file, a folder, a field
};

Spec parse_spec(std::string_view spec) {
  constexpr std::pair<std::string_view, Kind> kForms[] = {
      {"clip:", Kind::kClip}, {"vicha:", Kind::kVicha}, {"manifest:", Kind::kManifest}};
  for (const auto& [prefix, kind] : kForms) {
    if (spec.starts_with(prefix) && spec.size() > prefix.size()) return {kind, std::string(spec.substr(prefix.size()))};
  }
  throw UsageError(
      fmt::format("\"{}\" is no source of concepts. Give clip:FILE (weights of CLIP), vicha:CHECKPOINT (a model that "
                  "was trained without concepts) or manifest:FIELD (concepts that the records hold already)",
                  spec));
}

}  // namespace

std::optional<std::string> field_of_source(std::string_view spec) {
  const Spec parsed = parse_spec(spec);
  return parsed.kind == Kind::kManifest ? std::optional(parsed.where) : std::nullopt;
}

std::unique_ptr<ConceptSource> open_concept_source(std::string_view spec, const ConceptSourceOptions& options) {
  const Spec parsed = parse_spec(spec);
  std::unique_ptr<ConceptSource> source;
  switch (parsed.kind) {
    case Kind::kClip: {
      auto clip =
          ClipSource::open(parsed.where, {.tokenizer = options.bpe, .config = {}, .exact = options.exact_decode});
      clip->to(choose_device(options.device));
      source = std::move(clip);
      break;
    }
    case Kind::kVicha:
      source = open_vicha_source(parsed.where, options.device);
      break;
    case Kind::kManifest:
      throw UsageError(
          fmt::format("\"{}\" holds words, not a model: it cannot embed pictures or texts. Give clip:FILE or "
                      "vicha:CHECKPOINT",
                      spec));
  }
  log::info("source of concepts: {}", source->weights().describe());
  return source;
}

}  // namespace vicha

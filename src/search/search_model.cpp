#include "search/search_model.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "config/serialize.h"
#include "search/host_towers.h"
#include "tasks/concepts/concept_sources.h"
#include "tasks/host/model_files.h"

namespace vicha {
namespace {

constexpr std::string_view kHost = "vicha:";

/// "clip" of "clip:FILE"; empty of a path, which may hold a colon behind a slash.
std::string_view prefix_of(std::string_view spec) {
  const std::size_t colon = spec.find(':');
  if (colon == std::string_view::npos || colon < 2 || spec.substr(0, colon).find('/') != std::string_view::npos)
    return "";
  return spec.substr(0, colon);
}

}  // namespace

std::string absolute_spec(const std::string& spec) {
  std::error_code ignored;
  const std::string_view prefix = fs::exists(spec, ignored) ? "" : prefix_of(spec);
  const std::string path = prefix.empty() ? spec : spec.substr(prefix.size() + 1);
  const std::string absolute = fs::absolute(path).lexically_normal().string();
  return prefix.empty() ? absolute : fmt::format("{}:{}", prefix, absolute);
}

void require_model_of_index(const std::string& spec, const fs::path& index) {
  std::error_code ignored;
  const std::string_view prefix = fs::exists(spec, ignored) ? "" : prefix_of(spec);
  const std::string path = prefix.empty() ? spec : spec.substr(prefix.size() + 1);
  if (fs::exists(path, ignored)) return;
  throw DataError(index.string(), fmt::format("was made with the model {}, which is not there any more", path),
                  "Say where it is now: --model DIR");
}

SearchModel open_search_model(const std::string& given, const ConceptSourceOptions& options,
                              const std::string& concept_source) {
  std::string spec = given;
  if (spec.starts_with(kHost)) spec = spec.substr(kHost.size());
  std::error_code ignored;
  if (fs::is_directory(spec, ignored)) {
    const fs::path checkpoint = checkpoint_folder(spec);
    if (root_string(checkpoint / "recipe.toml", "task") != "align") {
      SearchModel model = open_host_towers(spec, options, concept_source);
      model.spec = absolute_spec(spec);
      return model;
    }
    spec = fmt::format("aligned:{}", spec);
  } else if (prefix_of(spec).empty()) {
    throw DataError(given, fs::exists(spec, ignored) ? "is not the folder of a model" : "does not exist",
                    "Give the folder of a run of `vicha align` or `vicha pretrain`, or clip:FILE");
  }
  SearchModel model;
  model.towers = open_concept_source(spec, options);
  model.spec = absolute_spec(spec);
  model.hash_side = model.towers->side();
  return model;
}

}  // namespace vicha

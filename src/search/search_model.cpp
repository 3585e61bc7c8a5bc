#include "search/search_model.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <toml++/toml.hpp>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "search/host_towers.h"
#include "tasks/concepts/concept_sources.h"
#include "tasks/host/model_files.h"

namespace vicha {
namespace {

constexpr std::string_view kHost = "vicha:";

/// "clip" of "clip:FILE"; nothing of a path, which may hold a colon behind a slash.
std::optional<std::string_view> prefix_of(std::string_view spec) {
  const std::size_t colon = spec.find(':');
  if (colon == std::string_view::npos || colon < 2 || spec.substr(0, colon).find('/') != std::string_view::npos) {
    return std::nullopt;
  }
  return spec.substr(0, colon);
}

/// The task that a checkpoint's recipe names; "" where it names none.
std::string task_of(const fs::path& checkpoint) {
  const fs::path recipe = checkpoint / "recipe.toml";
  try {
    return toml::parse(read_file(recipe), recipe.string())["task"].value_or(std::string());
  } catch (const toml::parse_error&) {
    return "";  // whoever loads the model says what is wrong
  }
}

}  // namespace

std::string absolute_spec(const std::string& spec) {
  const std::optional<std::string_view> prefix = fs::exists(spec) ? std::nullopt : prefix_of(spec);
  const std::string path = prefix ? spec.substr(prefix->size() + 1) : spec;
  const std::string absolute = fs::absolute(path).lexically_normal().string();
  return prefix ? fmt::format("{}:{}", *prefix, absolute) : absolute;
}

SearchModel open_search_model(const std::string& given, const ConceptSourceOptions& options,
                              const std::string& concept_source) {
  std::string spec = given;
  if (spec.starts_with(kHost)) spec = spec.substr(kHost.size());
  std::error_code ignored;
  if (fs::is_directory(spec, ignored)) {
    const fs::path checkpoint = checkpoint_folder(spec);
    if (task_of(checkpoint) != "align") {
      SearchModel model = open_host_towers(spec, options, concept_source);
      model.spec = absolute_spec(spec);
      return model;
    }
    spec = fmt::format("aligned:{}", spec);
  } else if (!prefix_of(spec)) {
    throw DataError(given, fs::exists(spec, ignored) ? "is no folder of a model" : "does not exist",
                    "Give the folder of a run of `vicha align` or `vicha pretrain`, or clip:FILE");
  }
  SearchModel model;
  model.towers = open_concept_source(spec, options);
  model.spec = absolute_spec(spec);
  model.hash_side = model.towers->side();
  return model;
}

}  // namespace vicha

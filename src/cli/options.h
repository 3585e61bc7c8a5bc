// Options that several commands have, and kinds of option that CLI11 has not.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "concepts/store/store.h"
#include "config/choice.h"
#include "tasks/concepts/concept_build.h"
#include "tasks/concepts/concept_finder.h"
#include "text/scene_graph/scene_graph.h"

namespace vicha::cli {

/// `value`, which outlives the command (an Enum, or an std::optional of one), becomes what is named; other names are
/// refused.
template <class Value, class Enum, std::size_t N>
CLI::Option* add_choice(CLI::App& command, const std::string& option, Value& value, const Choice<Enum> (&choices)[N],
                        const std::string& meaning) {
  std::vector<std::string> names;
  for (const Choice<Enum>& choice : choices) names.emplace_back(choice.name);
  return command
      .add_option_function<std::string>(
          option, [&value, &choices](const std::string& name) { value = *value_named(choices, name); }, meaning)
      ->check(CLI::IsMember(names));
}

/// One of several names, each of which stands for a value; the default is `value` as it is. The names should be spelt
/// out in `help`. `value` must outlive the parsing.
template <class T>
CLI::Option* add_choice(CLI::App& command, const std::string& option, T& value,
                        const std::vector<std::pair<std::string, T>>& choices, const std::string& help) {
  std::vector<std::string> names;
  std::string standard;
  for (const auto& [name, meaning] : choices) {
    names.push_back(name);
    if (meaning == value) standard = name;
  }
  const auto take = [&value, choices](const std::string& given) {
    for (const auto& [name, meaning] : choices) {
      if (name == given) value = meaning;
    }
  };
  return command.add_option_function<std::string>(option, take, help)
      ->default_str(standard)
      ->check(CLI::IsMember(names));
}

/// May be given several times, with one value each.
template <class T>
CLI::Option* add_repeated(CLI::App& command, const std::string& option, std::vector<T>& values,
                          const std::string& help) {
  return command.add_option(option, values, help)->expected(1)->take_all()->allow_extra_args(false);
}

/// Refuses whatever is no number from `least` to `most`: NaN too, which compares as neither.
CLI::Validator between(double least, double most);

constexpr double kMostThreads = 1024, kMostThings = 1e9;  ///< of options that count

/// --device.
void add_device(CLI::App& command, std::string& device);

/// What the commands that embed the pictures of manifests share: threads, names of pictures, shares of the work, bad
/// pictures.
void add_embedding_options(CLI::App& command, EmbedOptions& options, ManifestOptions& manifest,
                           std::string& image_root);

/// --tower: of a model that reads features.
void add_tower(CLI::App& command, std::string& tower);

/// --prompt.
void add_prompts(CLI::App& command, std::vector<std::string>& prompts);

/// --precision of a store: fp16 or fp32.
void add_precision(CLI::App& command, StoreType& type, const std::string& help);

/// --links: what of the captions the link grammar reads.
void add_links(CLI::App& command, LinkUse& links);

/// Where the towers are that an aligned model, or a store of features, stands on: --image-tower, --text-tower.
void add_tower_options(CLI::App& command, ConceptSourceOptions& options);

/// "clip:FILE, vicha:CHECKPOINT or aligned:RUN", for help; `towerless`: also what cannot embed anything.
std::string source_help(bool towerless = false);

/// Of tower:STORE: --neighbours, --neighbour-temperature, --leave-out-group.
void add_neighbour_options(CLI::App& command, NeighbourBuild& neighbours);

/// How a source of concepts is opened: --device, --bpe, --exact-decode, and the towers.
void add_source_options(CLI::App& command, ConceptSourceOptions& options,
                        const std::string& exact_help = "CLIP: decode large JPEGs at full size, as OpenAI's code does");

/// How a command that reads raw images gets their concepts: --concepts, --concept-source, --concept-cache, --bpe,
/// and the towers.
void add_finder_options(CLI::App& command, ConceptFinderOptions& options);

}  // namespace vicha::cli

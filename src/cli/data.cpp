#include "cli/data.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/options.h"
#include "data/tools/check.h"
#include "tasks/host/recipe_files.h"

namespace vicha::cli {
namespace {

/// By the task's defaults.
Schema schema_of_task(const std::string& task) {
  const AnyOptions<TaskRecipe> recipe = default_recipe(task);
  const TaskKind& kind = *find_task_kind(task);
  return kind.schema ? kind.schema(*recipe) : Schema();
}

void add_check(CLI::App& data, Action& chosen) {
  struct Given {
    std::vector<fs::path> manifests;
    CheckOptions options;
    std::string task, image_root, vocabulary, out;
    bool json = false, concepts = false, no_images = false;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command =
      data.add_subcommand("check", "What is missing, corrupt, duplicated or too long, before anyone trains");
  command->add_option("MANIFEST", given->manifests, "Manifests: JSON lists or JSON lines")->required();
  command->add_option("--task", given->task,
                      "Task whose records these are (vqa, nlvr2, …): its fields are looked at instead of captions");
  command->add_option("--image-root", given->image_root, "Folder of the pictures (default: the manifest's)");
  command
      ->add_option("--strip-parts", given->options.manifest.strip_parts,
                   "Leading parts of each picture's path to replace by the root")
      ->capture_default_str()
      ->check(between(0, 1000));
  command->add_option("--vocabulary", given->vocabulary, "vocab.txt, to count tokens instead of words");
  command->add_option("--max-words", given->options.max_words, "Words a caption may have")
      ->capture_default_str()
      ->check(between(1, kMostThings));
  command->add_option("--max-tokens", given->options.max_tokens, "Tokens a caption may have, [CLS] included")
      ->capture_default_str()
      ->check(between(1, kMostThings));
  command->add_option("--examples", given->options.examples, "Examples shown of each kind")
      ->capture_default_str()
      ->check(between(0, kMostThings));
  command->add_option("--threads", given->options.threads, "0: one for each core")
      ->capture_default_str()
      ->check(between(0, kMostThreads));
  command->add_flag("--concepts", given->concepts, "Records must have kwords");
  command->add_flag("--no-pictures", given->no_images, "Do not open the pictures");
  command->add_flag("--json", given->json, "Print JSON");
  command->add_option("--out", given->out, "Also write the JSON to a file");
  command->callback([given, &chosen] {
    chosen = [given] {
      std::optional<GuardedOutput> out;  // before the work, so that it is not in vain
      if (!given->out.empty()) out.emplace(given->out);
      CheckOptions options = given->options;
      options.manifest.image_root = given->image_root;
      if (!given->task.empty()) options.manifest.schema = schema_of_task(given->task);
      options.manifest.schema.concepts = given->concepts;
      options.decode_images = !given->no_images;
      if (!given->vocabulary.empty()) {
        options.tokenizer = std::make_shared<const WordPiece>(Vocabulary::load(given->vocabulary));
      }
      const CheckReport report = check_manifests(given->manifests, options);
      if (!given->out.empty()) write_file_atomic(given->out, report.to_json() + "\n");
      given->json ? print_json(report.to_json() + "\n") : print(report.to_table());
      return static_cast<int>(report.clean() ? ExitCode::kDone : ExitCode::kData);
    };
  });
}

}  // namespace

void warn_if_moved(const std::filesystem::path& in, const std::filesystem::path& out) {
  const fs::path from = fs::absolute(in).lexically_normal().parent_path();
  if (from == fs::absolute(out).lexically_normal().parent_path()) return;
  log::warning(
      "{}: relative names of pictures start at {}; name it as image root where this manifest is read, or use "
      "vicha data join, which corrects names",
      out.string(), from.string());
}

void add_data(CLI::App& app, Action& chosen) {
  CLI::App* data = app.add_subcommand("data", "Build and check data sets")->require_subcommand(1);
  add_data_demo(*data, chosen);
  add_check(*data, chosen);
  add_data_convert(*data, chosen);
  add_data_filter(*data, chosen);
  add_data_from_tar(*data, chosen);
  add_data_join(*data, chosen);
  add_data_nearest_captions(*data, chosen);
  add_data_prune(*data, chosen);
  add_data_subset(*data, chosen);
  add_data_titles(*data, chosen);
  add_data_region_tags(*data, chosen);
  add_data_answers(*data, chosen);
}

}  // namespace vicha::cli

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/files/convert.h"
#include "checkpoint/files/open.h"
#include "checkpoint/names/names.h"
#include "cli/commands.h"

namespace vicha::cli {
namespace {

std::string listing(const fs::path& path, bool released_names) {
  const Weights weights = open_weights(path, true);
  RenameReport renamed;
  const StateDict tensors =
      released_names ? to_released_names(weights.tensors, path.string(), &renamed) : without_extra(weights.tensors);
  std::string text = fmt::format("{}\nnames: {}\n", weights.what, to_string(detect_naming(weights.tensors)));
  std::int64_t values = 0;
  for (const auto& [name, tensor] : tensors) {
    text += fmt::format("{:<90} {:<9} [{}]\n", name, c10::toString(tensor.scalar_type()),
                        fmt::join(tensor.sizes().vec(), ", "));
    values += tensor.numel();
  }
  for (const auto& dropped : renamed.dropped) text += fmt::format("{:<90} left out: {}\n", dropped.name, dropped.why);
  return text + fmt::format("{} tensors, {} values\n", tensors.size(), values);
}

void convert(const fs::path& from, const fs::path& to) {
  const Conversion done = convert_weights(from, to);
  std::string text = fmt::format("{} tensors in {}\n", done.tensors, to.string());
  if (!done.rest.empty()) {
    text += fmt::format("what else {} held, for people: {}\n", from.string(), done.rest.string());
  }
  print(text);
}

}  // namespace

void add_weights(CLI::App& app, Action& chosen) {
  struct Given {
    std::string file, to;
    bool released = false;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* weights =
      app.add_subcommand("weights", "Weights files: safetensors and PyTorch's .pth")->require_subcommand(1);
  CLI::App* show = weights->add_subcommand("show", "Names, types and shapes");
  show->add_option("FILE", given->file, "File or folder")->required();
  show->add_flag("--as-vicha", given->released, "By the names of released ViCHA checkpoints");
  show->callback([given, &chosen] {
    chosen = [given] {
      print(listing(given->file, given->released));
      return 0;
    };
  });
  CLI::App* command = weights->add_subcommand("convert", "The weights, between .pth and .safetensors");
  command->add_option("FROM", given->file)->required();
  command->add_option("TO", given->to)->required();
  command->callback([given, &chosen] {
    chosen = [given] {
      convert(given->file, given->to);
      return 0;
    };
  });
}

}  // namespace vicha::cli

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

/// By ending, as the two formats have no name in common: .safetensors, or anything torch.save writes.
void convert(const fs::path& from, const fs::path& to) {
  const bool to_safetensors = to.extension() == ".safetensors", from_safetensors = from.extension() == ".safetensors";
  if (to_safetensors == from_safetensors) {
    throw UsageError(fmt::format("{} to {}: one of the two must be .safetensors and the other .pth, .pt or .bin",
                                 from.string(), to.string()));
  }
  to_safetensors ? convert_pth_to_safetensors(from, to) : convert_safetensors_to_pth(from, to);
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
  CLI::App* command = weights->add_subcommand("convert", "Between .pth and .safetensors, losing nothing");
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

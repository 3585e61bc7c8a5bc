#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/printable.h"
#include "checkpoint/files/convert.h"
#include "checkpoint/files/open.h"
#include "checkpoint/names/clip_names.h"
#include "checkpoint/names/wrapper.h"
#include "checkpoint/tensors/finite.h"
#include "cli/commands.h"

namespace vicha::cli {
namespace {

std::string naming(const StateDict& tensors, const std::string& where) try {
  const Naming known = detect_naming(tensors);
  const auto prefix = known == Naming::kUnknown ? wrapper_prefix(tensors, where) : std::nullopt;
  if (!prefix) return std::string(to_string(known));
  const ClipNaming clip = detect_clip_naming(tensors, where);
  if (clip != ClipNaming::kUnknown) return std::string(to_string(clip));
  if (prefix->empty()) return std::string(to_string(known));
  StateDict model;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(*prefix)) model.set(name.substr(prefix->size()), tensor);
  }
  return fmt::format("{}, under '{}'", to_string(detect_naming(model)), printable(*prefix));
} catch (const DataError&) {  // who wants one of them is told; here all are shown
  return "of several models";
}

std::string listing(const fs::path& path, bool released_names) {
  const Weights weights = open_weights(path, true);
  const std::string where = path.string();
  RenameReport renamed;
  const StateDict tensors =
      released_names ? to_released_names(weights.tensors, where, &renamed) : without_extra(weights.tensors);
  std::string text = fmt::format("{}\nnames: {}\n", weights.what, naming(weights.tensors, where));
  std::int64_t values = 0;
  std::vector<std::string> bad;
  for (const auto& [name, tensor] : tensors) {
    fmt::format_to(std::back_inserter(text), "{:<90} {:<9} [{}]\n", printable(name),
                   c10::toString(tensor.scalar_type()), fmt::join(tensor.sizes(), ", "));
    if (!is_finite(tensor)) bad.push_back(name);
    values += tensor.numel();
  }
  for (const auto& dropped : renamed.dropped)
    text += fmt::format("{:<90} left out: {}\n", printable(dropped.name), dropped.why);
  if (!bad.empty()) {
    text += fmt::format("{} tensors hold NaN or an infinity, the first '{}'\n", bad.size(), printable(bad.front()));
  }
  return text + fmt::format("{} tensors, {} values\n", tensors.size(), values);
}

void convert(const fs::path& from, const fs::path& to) {
  const Conversion done = convert_weights(from, to);
  std::string text = fmt::format("{} tensors in {}{}\n", done.tensors, printable(to.string()),
                                 done.what.empty() ? "" : " (" + done.what + ")");
  if (!done.rest.empty()) {
    text += fmt::format("what else {} held, for people: {}\n", printable(from.string()), printable(done.rest.string()));
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

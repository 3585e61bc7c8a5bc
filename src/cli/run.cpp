// The program's commands. Errors end here, as one line and an exit status (docs/design.md, decision 8).
#include "cli/run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file_guard.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/printable.h"
#include "base/signals.h"
#include "cli/commands.h"
#include "config/suggestion.h"
#include "nn/kernel_choice.h"
#include "nn/precision.h"

namespace vicha::cli {

namespace {

void write_out(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return;
  throw Error(std::string("cannot write to standard output (") + std::strerror(errno) +
              "). Free space, or send it elsewhere");
}

/// LibTorch's messages carry a stack trace that helps nobody who runs a program.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

int status(ExitCode code) { return static_cast<int>(code); }

/// What CLI11 says of a word that is no command is that one is required: which there are, and what is the nearest.
/// Nothing where the arguments are wrong otherwise.
std::string wrong_command(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_name() != "RequiredError") return "";
  const CLI::App* reached = &app;
  std::string path = app.get_name();
  while (!reached->get_subcommands().empty()) {
    reached = reached->get_subcommands().front();
    path += " " + reached->get_name();
  }
  std::vector<std::string> names;
  for (const CLI::App* command : reached->get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_name().empty()) names.push_back(command->get_name());
  }
  if (names.empty()) return "";
  const std::vector<std::string> words = reached->remaining();
  const auto word = std::ranges::find_if(words, [](const std::string& one) { return !one.starts_with('-'); });
  std::string said = path + ": a command is missing";
  if (word != words.end()) {
    constexpr std::size_t kSlips = 2;  // more are another word
    said = fmt::format("{}: there is no command '{}'", path, *word);
    const std::string near = nearest_name(*word, names);
    if (edit_distance(*word, near) <= kSlips) said += fmt::format(". Did you mean '{}'?", near);
  }
  return said + fmt::format("\nOne of: {}\nRun with --help for more information.\n", fmt::join(names, ", "));
}

/// CLI11 writes arguments into its messages as they are.
int refuse(const CLI::App& app, const CLI::ParseError& error) {
  if (const std::string wrong = wrong_command(app, error); !wrong.empty()) {
    const std::string text = printable_text(wrong);
    std::fwrite(text.data(), 1, text.size(), stderr);
    return status(ExitCode::kUsage);
  }
  std::ostringstream out, problems;
  const int code = app.exit(error, out, problems);
  write_out(out.str());
  const std::string text = printable_text(problems.str());
  std::fwrite(text.data(), 1, text.size(), stderr);
  return code == 0 ? 0 : status(ExitCode::kUsage);
}

}  // namespace

void print(const std::string& text) { write_out(printable_text(text)); }
void print_json(const std::string& json) { write_out(printable_json(json)); }

int run(int argc, char** argv) {
  flush_denormals();
  fix_product_threads();
  keep_freed_memory();
  CLI::App app("ViCHA: vision-language pretraining with visual concepts and hierarchical alignment", "vicha");
  app.require_subcommand(1);
  app.set_version_flag("--version", VICHA_VERSION);
  bool quiet = false, verbose = false;
  std::string matmul = "auto";
  app.add_option("--matmul", matmul, "Library of fp32 products: auto (what is measured to be faster), blas, onednn")
      ->check(CLI::IsMember({"auto", "blas", "onednn"}))
      ->capture_default_str()
      ->envname("VICHA_MATMUL");
  app.add_flag("-q,--quiet", quiet, "Only warnings and errors");
  app.add_flag("-v,--verbose", verbose, "Also what helps to find a fault");
  Action chosen;
  add_pretrain(app, chosen);
  add_align(app, chosen);
  add_finetune(app, chosen);
  add_predict(app, chosen);
  add_eval(app, chosen);
  add_ablate(app, chosen);
  add_report(app, chosen);
  add_index(app, chosen);
  add_search(app, chosen);
  add_data(app, chosen);
  add_concepts(app, chosen);
  add_embed(app, chosen);
  add_weights(app, chosen);
  add_config(app, chosen);
  add_bench(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return refuse(app, error);
  }
  log::set_level(quiet ? log::Level::kWarning : verbose ? log::Level::kDebug : log::Level::kInfo);
  end_cleanly_on_signals();
  const FileGuard guard;
  try {
    if (matmul != "auto") set_matmul_kernel(matmul);
    return chosen();
  } catch (const Error& error) {
    log::error("{}", error.what());
    return status(error.code());
  } catch (const std::bad_alloc&) {
    log::error("out of memory. Use a smaller batch, picture or cache");
  } catch (const std::exception& error) {
    log::write_lines(log::Level::kError, verbose ? std::string(error.what()) : first_line(error.what()));
  }
  return status(ExitCode::kFailed);
}

}  // namespace vicha::cli

// The program's commands. Errors end here, as one line and an exit status (docs/design.md, decision 8).
#include "cli/run.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <sstream>
#include <string>

#include "base/error.h"
#include "base/file_guard.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/printable.h"
#include "base/signals.h"
#include "cli/commands.h"
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

/// CLI11 writes arguments into its messages as they are.
int refuse(const CLI::App& app, const CLI::ParseError& error) {
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

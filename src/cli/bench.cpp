#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "benchmark/align_bench.h"
#include "benchmark/clip_bench.h"
#include "benchmark/data_bench.h"
#include "benchmark/model_bench.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "search/search_bench.h"

namespace vicha::cli {
namespace {

struct Common {
  std::int64_t threads = 0;
  bool json = false;
};

/// Each field of a benchmark's struct as an option of its command: `image_res` is --image-res.
class OptionAdder final : public Visitor {
 public:
  explicit OptionAdder(CLI::App& command) : command_(command) {}

  void field(const Field& about, bool& value) override {
    command_.add_flag(name(about), value, std::string(about.meaning));
  }
  void field(const Field& about, std::int64_t& value) override { add(about, value)->check(range(about)); }
  void field(const Field& about, double& value) override { add(about, value)->check(range(about)); }
  void field(const Field& about, std::string& value) override { add(about, value); }
  void field(const Field& about, std::vector<double>& value) override { add(about, value); }
  void field(const Field& about, std::vector<std::string>& value) override { add(about, value); }

 protected:
  void named(const Field& about, std::string_view now, std::function<void(std::string_view)> set) override {
    const std::vector<std::string> choices(about.choices.begin(), about.choices.end());
    command_.add_option_function<std::string>(name(about), std::move(set), std::string(about.meaning))
        ->default_str(std::string(now))
        ->check(CLI::IsMember(choices));
  }
  void begin_section(std::string_view, std::string_view) override {}
  void end_section() override {}

 private:
  static std::string name(const Field& about) {
    std::string name = "--" + std::string(about.key);
    std::replace(name.begin(), name.end(), '_', '-');
    return name;
  }
  static std::function<std::string(const std::string&)> range(const Field& about) {
    return [low = about.min, high = about.max](const std::string& given) {
      double value = 0;
      if (CLI::detail::lexical_cast(given, value) && (!low || value >= *low) && (!high || value <= *high)) {
        return std::string();
      }
      if (low && high) return fmt::format("{} cannot be; give a number from {:.17g} to {:.17g}", given, *low, *high);
      if (low) return fmt::format("{} cannot be; give a number of at least {:.17g}", given, *low);
      if (high) return fmt::format("{} cannot be; give a number of at most {:.17g}", given, *high);
      return fmt::format("{} is not a number", given);
    };
  }
  template <class Value>
  CLI::Option* add(const Field& about, Value& value) {
    return command_.add_option(name(about), value, std::string(about.meaning))->capture_default_str();
  }

  CLI::App& command_;
};

/// `run` makes one line of JSON of the options.
template <class Options>
void add_benchmark(CLI::App& bench, Action& chosen, const char* name, const char* what,
                   std::string (*run)(const Options&)) {
  const auto options = std::make_shared<Options>();
  const auto common = std::make_shared<Common>();
  CLI::App* command = bench.add_subcommand(name, what);
  command->add_option("--threads", common->threads, "0: one for each core")
      ->capture_default_str()
      ->check(between(0, kMostThreads));
  command->add_flag("--json", common->json, "One line of JSON");
  OptionAdder adder(*command);
  options->describe(adder);
  command->callback([=, &chosen] {
    chosen = [=] {
      if (common->threads < 0) throw UsageError("--threads must not be negative");
      if (common->threads > 0) at::set_num_threads(static_cast<int>(common->threads));
      if constexpr (requires { options->threads; }) options->threads = common->threads;
      const std::string line = run(*options);
      print_json((common->json ? line : nlohmann::ordered_json::parse(line).dump(1)) + "\n");
      return 0;
    };
  });
}

}  // namespace

void add_bench(CLI::App& app, Action& chosen) {
  CLI::App* bench =
      app.add_subcommand("bench", "Speed on synthetic data, with the fields of bench/peer")->require_subcommand(1);
  add_benchmark(*bench, chosen, "pretrain", "Whole pretraining steps", bench::bench_pretrain);
  add_benchmark(*bench, chosen, "retrieval-eval", "Two-stage retrieval evaluation", bench::bench_retrieval);
  add_benchmark(*bench, chosen, "align", "Heads on stored features: gather, heads, contrast, update",
                bench::bench_align);
  add_benchmark(*bench, chosen, "search", "The nearest of a million stored vectors", search_bench_json);
  add_benchmark(*bench, chosen, "data", "The input pipeline: decode, crop, RandAugment, normalise", bench::bench_data);
  add_benchmark(*bench, chosen, "clip-image", "CLIP embeddings of JPEG files, ViT-B/32 shape", bench::bench_clip_image);
}

}  // namespace vicha::cli

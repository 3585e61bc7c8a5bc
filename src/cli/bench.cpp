#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "bench/data_bench.h"
#include "bench/model_bench.h"
#include "cli/commands.h"

namespace vicha::cli {
namespace {

std::string shown(const std::string& line, bool json) {
  return (json ? line : nlohmann::ordered_json::parse(line).dump(1)) + "\n";
}

struct Common {
  std::int64_t threads = 0;
  bool json = false;
};

CLI::App* command(CLI::App& bench, const std::shared_ptr<Common>& common, const char* name, const char* what) {
  CLI::App* added = bench.add_subcommand(name, what);
  added->add_option("--threads", common->threads, "0: one for each core")->capture_default_str();
  added->add_flag("--json", common->json, "One line of JSON");
  return added;
}

void set_threads(const Common& common) {
  if (common.threads < 0) throw UsageError("--threads must not be negative");
  if (common.threads > 0) at::set_num_threads(static_cast<int>(common.threads));
}

}  // namespace

void add_bench(CLI::App& app, Action& chosen) {
  CLI::App* bench =
      app.add_subcommand("bench", "Speed on synthetic data, with the fields of bench/peer")->require_subcommand(1);
  const auto common = std::make_shared<Common>();

  const auto p = std::make_shared<bench::PretrainBench>();
  CLI::App* pretrain = command(*bench, common, "pretrain", "Whole pretraining steps");
  pretrain->add_option("--config", p->config, "small or base")->capture_default_str();
  pretrain->add_option("--batch", p->batch)->capture_default_str()->check(CLI::Range(1, 1 << 20));
  pretrain->add_option("--image-res", p->image_res)->capture_default_str()->check(CLI::Range(16, 4096));
  pretrain->add_option("--steps", p->steps)->capture_default_str()->check(CLI::Range(1, 1 << 20));
  pretrain->add_option("--warmup", p->warmup)->capture_default_str()->check(CLI::Range(0, 1 << 20));
  pretrain->add_option("--queue", p->queue)->capture_default_str()->check(CLI::Range(1, 1 << 30));
  pretrain->add_option("--precision", p->precision, "auto, fp32 or bf16")->capture_default_str();
  pretrain->add_flag("--profile", p->profile, "Also the parts of a step");
  pretrain->callback([p, common, &chosen] {
    chosen = [p, common] {
      set_threads(*common);
      print(shown(bench::bench_pretrain(*p), common->json));
      return 0;
    };
  });

  const auto r = std::make_shared<bench::RetrievalBench>();
  CLI::App* retrieval = command(*bench, common, "retrieval-eval", "Two-stage retrieval evaluation");
  retrieval->add_option("--config", r->config, "small or base")->capture_default_str();
  retrieval->add_option("--images", r->images)->capture_default_str()->check(CLI::Range(1, 1 << 20));
  retrieval->add_option("--captions", r->captions)->capture_default_str()->check(CLI::Range(1, 1 << 20));
  retrieval->add_option("--k-test", r->k_test)->capture_default_str()->check(CLI::Range(1, 1 << 20));
  retrieval->add_option("--image-res", r->image_res)->capture_default_str()->check(CLI::Range(16, 4096));
  retrieval->add_option("--batch", r->batch)->capture_default_str()->check(CLI::Range(1, 1 << 20));
  retrieval->add_option("--precision", r->precision, "auto, fp32 or bf16")->capture_default_str();
  retrieval->callback([r, common, &chosen] {
    chosen = [r, common] {
      set_threads(*common);
      print(shown(bench::bench_retrieval(*r), common->json));
      return 0;
    };
  });

  const auto d = std::make_shared<bench::DataBench>();
  CLI::App* data = command(*bench, common, "data", "The input pipeline: decode, crop, RandAugment, normalise");
  data->add_option("--images", d->images)->capture_default_str()->check(CLI::Range(1, 1 << 24));
  data->add_option("--image-res", d->image_res)->capture_default_str()->check(CLI::Range(16, 4096));
  data->add_option("--width", d->width, "Width of the synthetic photographs")
      ->capture_default_str()
      ->check(CLI::Range(16, 8192));
  data->add_option("--height", d->height)->capture_default_str()->check(CLI::Range(16, 8192));
  data->callback([d, common, &chosen] {
    chosen = [d, common] {
      set_threads(*common);
      d->threads = common->threads;
      print(shown(bench::bench_data(*d), common->json));
      return 0;
    };
  });
}

}  // namespace vicha::cli

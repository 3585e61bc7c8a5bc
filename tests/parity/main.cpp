// vicha_parity DIR [--only group,group] [--verbose]: compares this program with recorded results of others.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "nn/precision.h"
#include "report.h"

namespace vicha::parity {
namespace {

struct Group {
  const char* name;
  const char* needs;  ///< the path below DIR that shows that the group's fixtures are there
  void (*check)(const fs::path&, Report&);
};

const Group kGroups[] = {
    {"pretrain", "pretrain_io.safetensors", check_pretrain},
    {"retrieval", "retrieval.safetensors", check_retrieval},
    {"vqa", "vqa.safetensors", check_vqa},
    {"ve", "ve.safetensors", check_entailment},
    {"nlvr_ta", "nlvr_ta.safetensors", check_text_assignment},
    {"nlvr", "nlvr.safetensors", check_nlvr2},
    {"grounding", "grounding.safetensors", check_grounding},
    {"bert", "bert/bert_tiny.io.safetensors", check_bert},
    {"vit", "vit/vit_tiny.safetensors", check_vit},
    {"clip", "clip", check_clip},
    {"towers", "towers", check_towers},
    {"metrics", "metrics/retrieval.json", check_metrics},
    {"pth", "pth/expected.json", check_pth},
    {"safetensors_bad", "safetensors_bad/expected.json", check_safetensors_bad},
#ifndef VICHA_CORE_ONLY
    {"tokenizers", "tokenizers/bert_uncased.jsonl", check_tokenizers},
    {"captions", "captions/pre_caption.jsonl", check_captions},
    {"concepts", "concepts/captions.json", check_concepts},
    {"images", "images/index.json", check_images},
    {"randaugment", "randaugment/ops.safetensors", check_randaugment},
#endif
};

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    if (end > at) parts.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

int usage() {
  std::fprintf(stderr, "usage: vicha_parity DIR [--only group,group] [--verbose]\ngroups:");
  for (const Group& group : kGroups) std::fprintf(stderr, " %s", group.name);
  std::fprintf(stderr, "\n");
  return 2;
}

int run(int argc, char** argv) {
  fs::path folder;
  std::vector<std::string> only;
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--verbose") {
      verbose = true;
    } else if (arg == "--only" && i + 1 < argc) {
      only = split(argv[++i]);
    } else if (folder.empty() && arg.front() != '-') {
      folder = arg;
    } else {
      return usage();
    }
  }
  if (folder.empty()) return usage();

  Report report(verbose);
  int missing = 0;
  const auto run_group = [&](const Group& group) {
    try {
      group.check(folder, report);
    } catch (const std::exception& error) {
      std::printf("FAIL %s stopped: %s\n", group.name, error.what());
      ++missing;
    }
  };
  if (only.empty()) {
    for (const Group& group : kGroups) {
      if (fs::exists(folder / group.needs)) run_group(group);
    }
  } else {
    for (const std::string& name : only) {
      const auto group =
          std::find_if(std::begin(kGroups), std::end(kGroups), [&](const Group& g) { return name == g.name; });
      if (group == std::end(kGroups)) {
        std::printf("FAIL %s: no such group\n", name.c_str());
        ++missing;
      } else if (!fs::exists(folder / group->needs)) {
        std::printf("FAIL %s: %s is not there\n", name.c_str(), (folder / group->needs).c_str());
        ++missing;
      } else {
        run_group(*group);
      }
    }
  }
  const bool passed = report.groups() > 0 && report.failed() == 0 && missing == 0;
  std::printf("%s: %d groups, %d failed, %d not run\n", passed ? "PASS" : "FAIL", report.groups(), report.failed(),
              missing);
  return passed ? 0 : 1;
}

}  // namespace
}  // namespace vicha::parity

int main(int argc, char** argv) {
  vicha::flush_denormals();
  vicha::fix_product_threads();
  return vicha::parity::run(argc, argv);
}

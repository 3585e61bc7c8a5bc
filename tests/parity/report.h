// What vicha_parity prints: one line per group of comparisons, a summary at the end.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vicha::parity {

namespace fs = std::filesystem;

/// Collects comparisons; `close` prints the group's worst one and counts a failure if any is beyond its tolerance
/// (or if nothing was compared). NaN counts as infinitely wrong.
class Report {
 public:
  explicit Report(bool verbose) : verbose_(verbose) {}

  void add(std::string_view what, double error, double tolerance);
  /// Equal or not: error 0 or infinity.
  void expect(std::string_view what, bool holds) { add(what, holds ? 0.0 : 1e300, 0.0); }
  /// Relative L2 distance, infinite if the shapes differ.
  void tensor(std::string_view what, const at::Tensor& ours, const at::Tensor& theirs, double tolerance);
  void close(std::string_view group);

  int groups() const { return groups_; }
  int failed() const { return failed_; }

 private:
  struct Entry {
    std::string what;
    double error, tolerance;
  };
  std::vector<Entry> entries_;
  int groups_ = 0, failed_ = 0;
  bool verbose_;
};

double relative_l2(const at::Tensor& ours, const at::Tensor& theirs);

// One check per group; `folder` is the one given on the command line. Each prints one or more lines through `close`.
void check_pretrain(const fs::path& folder, Report& report);
void check_retrieval(const fs::path& folder, Report& report);
void check_vqa(const fs::path& folder, Report& report);
void check_entailment(const fs::path& folder, Report& report);
void check_text_assignment(const fs::path& folder, Report& report);
void check_nlvr2(const fs::path& folder, Report& report);
void check_grounding(const fs::path& folder, Report& report);
void check_bert(const fs::path& folder, Report& report);
void check_vit(const fs::path& folder, Report& report);
void check_clip(const fs::path& folder, Report& report);
void check_towers(const fs::path& folder, Report& report);
void check_metrics(const fs::path& folder, Report& report);
void check_vqa_metrics(const fs::path& folder, Report& report);
void check_pth(const fs::path& folder, Report& report);
void check_safetensors_bad(const fs::path& folder, Report& report);
void check_tokenizers(const fs::path& folder, Report& report);
void check_captions(const fs::path& folder, Report& report);
void check_concepts(const fs::path& folder, Report& report);
void check_images(const fs::path& folder, Report& report);
void check_randaugment(const fs::path& folder, Report& report);

}  // namespace vicha::parity

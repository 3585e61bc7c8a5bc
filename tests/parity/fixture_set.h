// A recorded set in the format of tests/golden/vicha: configuration, model and replayed draws.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoint/tensors/state_dict.h"
#include "models/vicha.h"
#include "objectives/draws.h"
#include "objectives/masking.h"
#include "objectives/pretrain_step.h"
#include "report.h"
#include "train/adamw.h"

namespace vicha::parity {

/// What fp32 allows, measured against fp64 (the fixtures' README).
inline constexpr double kLoss = 1e-5, kGradient = 2e-4, kState = 1e-5, kAfter = 1e-7, kAfterFingerprint = 5e-7;

/// Throws DataError naming the file.
nlohmann::json read_json(const fs::path& path);

class FixtureSet {
 public:
  /// `fixture`: "pretrain", "retrieval", "ve", …
  FixtureSet(const fs::path& folder, const std::string& fixture);

  const nlohmann::json& meta() const { return meta_; }
  const nlohmann::json& fixture() const { return fixture_; }
  const StateDict& start() const { return start_; }
  MaskingOptions masking() const;

  /// A model with the sizes of the set.
  std::unique_ptr<Vicha> model() const { return std::make_unique<Vicha>(sizes(), 0); }
  ModelOptions sizes() const;
  /// Fills the model, heads included, from pretrain_ckpt; positions interpolated where the size differs.
  /// `extra`: what that does not have (heads), by released names.
  void fill(Vicha& model, Report& report, const StateDict& extra = {}) const;
  /// The same from other weights, by released names; what they do not have (momentum copies, queues) stays.
  static void fill_from(Vicha& model, const StateDict& weights);
  ObjectivesOptions objectives() const;

  /// The inputs "<prefix>.in.…", or "in.…".
  Batch batch(const StateDict& data, const std::string& prefix) const;

 private:
  fs::path folder_;
  nlohmann::json meta_, fixture_, bert_;
  StateDict start_;
};

/// The tensor (or gradient) a released name stands for; undefined if the model has none of that name.
class ReleasedNames {
 public:
  explicit ReleasedNames(const ParameterStore& store);
  at::Tensor value(const std::string& name) const;
  at::Tensor grad(const std::string& name) const;
  const Parameter* parameter(const std::string& name) const;

 private:
  const ParameterStore::Released* find(const std::string& name) const;
  const ParameterStore& store_;
  std::map<std::string, ParameterStore::Released> by_name_;
};

/// Replays what was recorded.
class RecordedDraws : public Draws {
 public:
  RecordedDraws(const StateDict& data, const std::string& prefix);
  at::Tensor patch_order(std::int64_t, std::int64_t) override { return order_; }
  std::vector<std::int64_t> negatives(const at::Tensor&, NegativeSide side) override {
    return side == NegativeSide::kImage ? image_ : text_;
  }
  Dropout dropout(double) override { return Dropout(); }

 private:
  at::Tensor order_;
  std::vector<std::int64_t> image_, text_;
};

/// [l2, sum x_i cos(0.37 i + 0.1)] in double.
std::pair<double, double> fingerprint(const at::Tensor& x);
void add_fingerprint(Report& report, const std::string& name, const at::Tensor& ours, const nlohmann::json& theirs,
                     double tolerance);

/// Biases added to all keys alike cannot change a softmax: their gradient is rounding noise.
bool has_zero_gradient(const std::string& name);
/// The ViT's qkv bias without its middle third.
at::Tensor without_key_bias(const std::string& name, const at::Tensor& x);

/// The "grad.", "after." … tensors of a step: prefix removed.
StateDict below(const StateDict& data, const std::string& prefix);

/// Checks shared by all training fixtures; each closes its lines.
struct StepChecks {
  std::string label;
  Report& report;
  const ReleasedNames& names;
  void losses(const std::vector<std::pair<std::string, at::Tensor>>& ours, const nlohmann::json& step) const;
  void gradients(const nlohmann::json& grad_names, const nlohmann::json& step, const StateDict& full) const;
  void states(const nlohmann::json& state_names, const nlohmann::json& step, const StateDict& full) const;
};

}  // namespace vicha::parity

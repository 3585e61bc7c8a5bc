// The "ve" fixture: visual entailment's evaluation and fine-tuning steps.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include "checkpoint/safetensors/safetensors.h"
#include "fixture_set.h"
#include "tasks/entailment/network/entailment_net.h"

namespace vicha::parity {
namespace {

class EntailmentCheck {
 public:
  EntailmentCheck(const fs::path& folder, Report& report)
      : set_(folder, "ve"),
        data_(read_safetensors(folder / "ve.safetensors")),
        report_(report),
        model_(set_.model()),
        net_(*model_, data_.at("extra.cls_head.2.bias").numel()),
        names_(model_->parameters()) {
    set_.fill(*model_, report, below(data_, "extra."));
  }

  void run() {
    loaded();
    {
      const at::NoGradGuard guard;
      report_.tensor("logits", net_.logits(pairs(set_.batch(data_, "")), Dropout()), data_.at("eval.out.logits"),
                     kState);
      report_.close("entailment evaluation");
    }
    AdamW optimizer(model_->parameters(), OptimizerOptions{});
    const auto& fixture = set_.fixture();
    if (fixture.contains("train")) step(fixture.at("train"), "", optimizer);
    for (std::size_t k = 0; fixture.contains(fmt::format("train{}", k)); ++k) {
      step(fixture.at(fmt::format("train{}", k)), fmt::format("s{}", k), optimizer);
    }
  }

 private:
  static EntailmentNet::Pairs pairs(const Batch& batch) { return {batch.image, batch.concepts, batch.text}; }

  void loaded() {
    const auto& fixture = set_.fixture();
    for (std::size_t i = 0; i < fixture.at("state_names").size(); ++i) {
      const std::string name = fixture.at("state_names")[i];
      add_fingerprint(report_, name, names_.value(name), fixture.at("loaded_fp")[i], kState);
    }
    for (const auto& [name, theirs] : below(data_, "loaded.")) report_.tensor(name, names_.value(name), theirs, kState);
    report_.close("entailment load");
  }

  void step(const nlohmann::json& expected, const std::string& prefix, AdamW& optimizer) {
    const auto& config = set_.fixture().at("config");
    const std::string dot = prefix.empty() ? "" : prefix + ".";
    const std::string label = prefix.empty() ? "entailment" : "entailment " + prefix.substr(1);
    const Batch batch = set_.batch(data_, prefix);
    const double alpha =
        config.value("distill", true) ? expected.value("alpha", config.at("alpha").get<double>()) : 0.0;
    model_->update_momentum();
    const EntailmentNet::Step s = net_.step(pairs(batch), data_.at(dot + "in.targets"), alpha, Dropout());
    const StepChecks checks{label, report_, names_};
    checks.losses({{"ve", s.loss}, {"total", s.loss}}, expected);
    StateDict ours;
    ours.set("logits", s.logits.detach());
    if (s.momentum_logits.defined()) ours.set("logits_m", s.momentum_logits);
    ours.set("loss", s.loss.detach());
    for (const auto& [name, theirs] : below(data_, dot + "out.")) report_.tensor(name, ours.find(name), theirs, kState);
    report_.close(label + " intermediate results");
    torch::autograd::backward({s.loss});
    // The first step's names serve all.
    if (expected.contains("grad_names")) grad_names_ = expected.at("grad_names");
    checks.gradients(grad_names_, expected, below(data_, dot + "grad."));
    optimizer.step(expected.at("lr"));
    optimizer.clear_gradients();
    checks.states(set_.fixture().at("state_names"), expected, below(data_, dot + "after."));
  }

  FixtureSet set_;
  StateDict data_;
  Report& report_;
  std::unique_ptr<Vicha> model_;
  EntailmentNet net_;
  ReleasedNames names_;
  nlohmann::json grad_names_;
};

}  // namespace

void check_entailment(const fs::path& folder, Report& report) { EntailmentCheck(folder, report).run(); }

}  // namespace vicha::parity

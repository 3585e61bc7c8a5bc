// The "nlvr_ta" and "nlvr" fixtures: text assignment, and visual reasoning over two pictures with the public code's
// teacher.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "checkpoint/names/fusion_layers.h"
#include "checkpoint/names/names.h"
#include "checkpoint/safetensors/safetensors.h"
#include "fixture_set.h"
#include "tasks/nlvr2/network/assignment_net.h"
#include "tasks/nlvr2/network/nlvr2_net.h"

namespace vicha::parity {
namespace {

Tokens tokens_of(const StateDict& data, const std::string& name) {
  const at::Tensor lengths = data.at("in." + name + "_mask").sum(1).contiguous();
  const std::int64_t* p = lengths.const_data_ptr<std::int64_t>();
  return {data.at("in." + name + "_ids"), {p, p + lengths.numel()}};
}

at::Tensor pictures_of(const StateDict& data, const std::string& name) {
  return data.at("in." + name + "_i8").to(at::kFloat) / 32;
}

std::vector<std::int64_t> list_of(const at::Tensor& x) {
  const at::Tensor flat = x.contiguous();
  return {flat.const_data_ptr<std::int64_t>(), flat.const_data_ptr<std::int64_t>() + flat.numel()};
}

class RecordedAssignment : public AssignmentDraws {
 public:
  explicit RecordedAssignment(const StateDict& data) : data_(data) {}
  Assignment draw(const at::Tensor&) override {
    return {list_of(data_.at("rec.image0_idx")), list_of(data_.at("rec.image1_idx")), list_of(data_.at("rec.labels"))};
  }

 private:
  const StateDict& data_;
};

/// A model with two pictures, filled from the pretraining checkpoint by our own conversion.
struct PairedModel {
  FixtureSet set;
  StateDict data;
  std::unique_ptr<Vicha> model;

  PairedModel(const fs::path& folder, const std::string& fixture)
      : set(folder, fixture), data(read_safetensors(folder / (fixture + ".safetensors"))) {
    ModelOptions sizes = set.sizes();
    sizes.fusion.images = kPicturesOfStatement;
    model = std::make_unique<Vicha>(sizes, 0);
  }
  /// Once the heads are registered. `also`: fixtures whose parameters, too, the checkpoint does not give.
  void fill(const std::vector<const StateDict*>& also = {}) const {
    StateDict weights = to_released_names(set.start(), "pretrain_ckpt.safetensors");
    const TextOptions& text = set.sizes().text;
    repeat_fusion_layers(weights, {text.text_layers, text.fusion_layers, kPicturesOfStatement},
                         "pretrain_ckpt.safetensors");
    FixtureSet::fill_from(*model, weights);
    for (const StateDict* other : also) add_extra(*other);
    add_extra(data);
  }
  void check_loaded(const std::string& label, const ReleasedNames& names, Report& report) const {
    const auto& fixture = set.fixture();
    for (std::size_t i = 0; i < fixture.at("state_names").size(); ++i) {
      const std::string name = fixture.at("state_names")[i];
      add_fingerprint(report, name, names.value(name), fixture.at("loaded_fp")[i], kState);
    }
    for (const auto& [name, theirs] : below(data, "loaded.")) report.tensor(name, names.value(name), theirs, kState);
    report.close(label + " load");
  }
  /// The rest of a step, from the loss on.
  void finish_step(const std::string& label, const std::string& loss_name, const at::Tensor& loss,
                   const StateDict& ours, const ReleasedNames& names, Report& report) const {
    const auto& fixture = set.fixture();
    const auto& expected = fixture.at("train");
    const StepChecks checks{label, report, names};
    checks.losses({{loss_name, loss}, {"total", loss}}, expected);
    for (const auto& [name, theirs] : below(data, "out.")) report.tensor(name, ours.find(name), theirs, kState);
    report.close(label + " intermediate results");
    AdamW optimizer(model->parameters(), OptimizerOptions{});
    torch::autograd::backward({loss});
    checks.gradients(expected.at("grad_names"), expected, below(data, "grad."));
    optimizer.step(expected.at("lr"));
    optimizer.clear_gradients();
    checks.states(fixture.at("state_names"), expected, below(data, "after."));
  }

 private:
  void add_extra(const StateDict& from) const {
    StateDict extra = below(from, "extra.");
    extra.set("visual_encoder.cls_token", model->parameters().parameter("visual_encoder.cls_token").value.detach());
    FixtureSet::fill_from(*model, to_released_names(extra, "extra"));
  }
};

}  // namespace

void check_text_assignment(const fs::path& folder, Report& report) {
  const PairedModel paired(folder, "nlvr_ta");
  const AssignmentNet net(*paired.model);
  const ReleasedNames names(paired.model->parameters());
  paired.fill();
  paired.check_loaded("text assignment", names, report);
  RecordedAssignment draws(paired.data);
  const AssignmentNet::Input input{
      pictures_of(paired.data, "image"), tokens_of(paired.data, "kw"), tokens_of(paired.data, "text"), {}};
  const AssignmentNet::Step step = net.step(input, draws, Dropout());
  StateDict ours;
  ours.set("weights", step.weights);
  ours.set("logits", step.logits.detach());
  ours.set("loss", step.loss.detach());
  paired.finish_step("text assignment", "ta", step.loss, ours, names, report);
}

void check_nlvr2(const fs::path& folder, Report& report) {
  const PairedModel paired(folder, "nlvr");
  const Nlvr2Net net(*paired.model, TeacherVit::kReleased);
  const ReleasedNames names(paired.model->parameters());
  const StateDict assignment = read_safetensors(folder / "nlvr_ta.safetensors");
  paired.fill({&assignment});
  paired.check_loaded("nlvr2", names, report);
  const StateDict& data = paired.data;
  const StatementInput input{{StatementInput::Side{pictures_of(data, "image0"), tokens_of(data, "kw1")},
                              StatementInput::Side{pictures_of(data, "image1"), tokens_of(data, "kw2")}},
                             tokens_of(data, "text")};
  {
    const at::NoGradGuard guard;
    report.tensor("logits", net.logits(input, Dropout()), data.at("eval.out.logits"), kState);
    report.close("nlvr2 evaluation");
    ParameterStore& store = paired.model->parameters();
    for (const auto& [copy, original] : store.twins()) store.value(copy).copy_(store.value(original) * 0.9);
  }
  const auto& config = paired.set.fixture().at("config");
  const auto& expected = paired.set.fixture().at("train");
  const double alpha = config.value("distill", true) ? expected.value("alpha", config.at("alpha").get<double>()) : 0.0;
  paired.model->update_momentum();
  const Nlvr2Net::Step step = net.step(input, data.at("in.targets"), alpha, Dropout());
  StateDict ours;
  ours.set("logits", step.logits.detach());
  if (step.momentum_logits.defined()) ours.set("logits_m", step.momentum_logits);
  ours.set("loss", step.loss.detach());
  paired.finish_step("nlvr2", "nlvr", step.loss, ours, names, report);
}

}  // namespace vicha::parity

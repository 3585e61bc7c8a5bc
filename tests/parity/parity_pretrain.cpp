// The "pretrain" fixture: recorded steps of the whole pretraining objective.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include "checkpoint/safetensors/safetensors.h"
#include "fixture_set.h"
#include "nn/position.h"
#include "objectives/hitc.h"
#include "objectives/itc.h"
#include "objectives/itm.h"
#include "objectives/mae.h"
#include "objectives/mlm.h"

namespace vicha::parity {
namespace {

class PretrainCheck {
 public:
  PretrainCheck(const fs::path& folder, Report& report)
      : set_(folder, "pretrain"),
        io_(read_safetensors(folder / "pretrain_io.safetensors")),
        grads_(read_safetensors(folder / "pretrain_grads.safetensors")),
        after_(read_safetensors(folder / "pretrain_after.safetensors")),
        report_(report),
        objectives_(set_.objectives()),
        model_(set_.model()),
        heads_(objectives_, *model_),
        step_(objectives_, heads_, *model_),
        names_(model_->parameters()) {
    set_.fill(*model_, report);
  }

  void run() {
    const auto& fixture = set_.fixture();
    check_loaded();
    OptimizerOptions adamw;
    adamw.lr = fixture.at("steps")[0].at("lr");
    AdamW optimizer(model_->parameters(), adamw);
    for (std::size_t k = 0; k < fixture.at("steps").size(); ++k) step(k, optimizer);
  }

 private:
  void check_loaded() {
    const auto& fixture = set_.fixture();
    for (std::size_t i = 0; i < fixture.at("state_names").size(); ++i) {
      const std::string name = fixture.at("state_names")[i];
      add_fingerprint(report_, name, names_.value(name), fixture.at("loaded_fp")[i], kState);
    }
    report_.close("pretrain load");
    for (const auto& [key, decayed] : {std::pair{"decay_params", true}, std::pair{"no_decay_params", false}}) {
      for (const std::string name : fixture.at(key)) {
        const Parameter* p = names_.parameter(name);
        report_.expect(name, p != nullptr && p->decayed == decayed);
      }
    }
    report_.close("pretrain decay groups");
  }

  /// What our procedures make of the raw random numbers.
  MaskedWords check_draws(const std::string& label, const std::string& prefix, const Batch& batch) {
    const auto rec = [&](const char* name) { return io_.at(prefix + ".rec." + name); };
    const MaskedWords masked = mask_words(batch.text, set_.masking(), rec("mlm_bernoulli_mask"),
                                          rec("mlm_bernoulli_80"), rec("mlm_bernoulli_50"), rec("mlm_random_words"));
    report_.expect("mlm_input_ids", at::equal(masked.ids, rec("mlm_input_ids")));
    at::Tensor labels = at::full(batch.text.ids.sizes(), -100, at::kLong);
    labels.view({-1}).index_copy_(0, at::tensor(masked.positions, at::kLong), masked.labels);
    report_.expect("mlm_labels", at::equal(labels, rec("mlm_labels")));
    const auto& mae = objectives_.get<MaeOptions>();
    if (mae.enabled) {
      const at::Tensor order = rec("mae_noise").argsort(/*stable=*/true, 1);
      const auto keep = static_cast<std::int64_t>(static_cast<double>(order.size(1)) * (1 - mae.mask_ratio));
      report_.expect("mae_ids_shuffle", at::equal(order, rec("mae_ids_shuffle")));
      report_.expect("mae_ids_restore", at::equal(order.argsort(/*stable=*/true, 1), rec("mae_ids_restore")));
      report_.expect("mae_mask", at::equal(at::ones_like(rec("mae_mask")).scatter(1, order.slice(1, 0, keep), 0.0),
                                           rec("mae_mask")));
    }
    report_.close(label + " draws");
    return masked;
  }

  /// The recorded names: "ita" is ITC plus the weighted hierarchical sum.
  std::vector<std::pair<std::string, at::Tensor>> recorded_losses(const PretrainStep::Result& r) const {
    at::Tensor ita;
    std::vector<std::pair<std::string, at::Tensor>> losses;
    for (const auto& [name, loss] : r.terms) {
      if (name == "itc") {
        ita = loss;
      } else if (name == "hitc") {
        ita = ita + objectives_.at("hitc").weight * loss;
      } else {
        losses.emplace_back(name, loss);
      }
    }
    losses.emplace_back("ita", ita);
    losses.emplace_back("total", r.total);
    return losses;
  }

  void step(std::size_t k, AdamW& optimizer) {
    const auto& fixture = set_.fixture();
    const auto& expected = fixture.at("steps")[k];
    const std::string prefix = fmt::format("s{}", k), label = fmt::format("pretrain {}", k);
    Batch batch = set_.batch(io_, prefix);
    batch.add(check_draws(label, prefix, batch));
    RecordedDraws draws(io_, prefix);
    const double alpha = expected.at("alpha");
    const StepChecks checks{label, report_, names_};
    const auto& grad_names = fixture.at("steps")[0].at("grad_names");

    model_->update_momentum();
    if (k == 0) {
      // Every recorded tensor by the plain path, with padding and in full.
      const auto plain = step_.begin(batch, draws, 0, alpha, nullptr, true);
      const PretrainStep::Result r = step_.losses(*plain);
      trace(label, batch, *plain, r, alpha);
      single_gradients(label, recorded_losses(r));
      torch::autograd::backward({r.total});
      checks.gradients(grad_names, expected, below(grads_, prefix + ".grad."));
      optimizer.clear_gradients();
    }
    const auto fast = step_.begin(batch, draws, 0, alpha);
    const PretrainStep::Result r = step_.losses(*fast);
    const StepChecks joined{label + " (joined passes)", report_, names_};
    joined.losses(recorded_losses(r), expected);
    const Encodings::Features features = fast->encodings.momentum().features;
    torch::autograd::backward({r.total});
    joined.gradients(grad_names, expected, below(grads_, prefix + ".grad."));
    optimizer.step(expected.at("lr"));
    optimizer.clear_gradients();
    model_->queue().push(features.image, features.text, {});
    StateDict full = below(io_, prefix + ".after.");
    for (const auto& [name, tensor] : below(after_, prefix + ".after.")) full.set(name, tensor);
    checks.states(fixture.at("state_names"), expected, full);
  }

  void single_gradients(const std::string& label, const std::vector<std::pair<std::string, at::Tensor>>& losses) {
    for (const auto& [loss, value] : losses) {
      for (const auto& [name, theirs] : below(io_, "s0.gradof_" + loss + ".")) {
        const Parameter* p = names_.parameter(name);
        at::Tensor grad = torch::autograd::grad({value}, {p->value}, {}, true, false, true)[0];
        if (!grad.defined()) grad = at::zeros_like(p->value);
        if (theirs.abs().max().item<double>() == 0.0) {
          report_.add(loss + " " + name, grad.abs().max().item<double>(), kGradient);
        } else {
          report_.tensor(loss + " " + name, grad, theirs, kGradient);
        }
      }
    }
    report_.close(label + " gradients of single losses");
  }

  void trace(const std::string& label, const Batch& batch, PretrainStep::Run& run, const PretrainStep::Result& r,
             double alpha) {
    const at::NoGradGuard guard;
    Encodings& e = run.encodings;
    ItmStep& itm = *run.find<ItmStep>();
    MlmStep& mlm = *run.find<MlmStep>();
    StateDict ours;
    const std::int64_t b = batch.size(), length = batch.text.ids.size(1);
    const auto rows3 = [&](const at::Tensor& x) { return x.view({b, -1, x.size(1)}); };
    const auto& image = e.image();
    const auto& text = e.text();
    const auto& m = e.momentum();
    ours.set("kw_hidden", image.concept_hidden);
    ours.set("kw_embeds", image.concept_tokens);
    ours.set("kw_embeds_m", m.image.concept_tokens);
    ours.set("image_embeds", rows3(image.states));
    ours.set("image_embeds_m", rows3(m.image.states));
    ours.set("text_embeds", rows3(text.states));
    ours.set("text_embeds_m", rows3(m.text_states));
    ours.set("image_feat", e.features().image);
    ours.set("text_feat", e.features().text);
    ours.set("image_feat_m", m.features.image);
    ours.set("text_feat_m", m.features.text);
    const auto &sim = e.similarities(), &soft = e.momentum_similarities();
    const at::Tensor eye = at::eye(b, sim.i2t.size(1));
    ours.set("sim_i2t", sim.i2t);
    ours.set("sim_t2i", sim.t2i);
    ours.set("sim_i2t_m", soft.i2t);
    ours.set("sim_t2i_m", soft.t2i);
    ours.set("sim_i2t_targets", alpha * soft.i2t.softmax(1) + (1 - alpha) * eye);
    ours.set("sim_t2i_targets", alpha * soft.t2i.softmax(1) + (1 - alpha) * eye);
    ours.set("loss_i2t", contrast_loss(sim.i2t, {}, soft.i2t, alpha));
    ours.set("loss_t2i", contrast_loss(sim.t2i, {}, soft.t2i, alpha));
    hidden_states(batch, ours);
    levels(e, ours);
    ours.set("itm_weights_i2t", itm.negatives().weights_i2t);
    ours.set("itm_weights_t2i", itm.negatives().weights_t2i);
    fused(batch, e, itm, mlm, length, ours);
    for (const auto& [name, loss] : r.terms) {
      ours.set("loss_" + (name == "itc" ? "ita_main" : name == "hitc" ? "ita_hidden_weighted_sum" : name), loss);
    }
    for (const auto& [name, loss] : recorded_losses(r)) ours.set("loss_" + name, loss);
    const at::Tensor logits = mlm_head().head()(mlm.masked_rows());
    const at::Tensor logp = logits.log_softmax(1);
    ours.set("loss_mlm_ce", at::nll_loss(logp, batch.get<MaskedWords>().labels));
    ours.set("loss_mlm_distill", -(mlm.teacher_logits().softmax(1) * logp).sum(1).mean());
    if (MaeStep* mae = run.find<MaeStep>()) {
      const MaeDecoder::Trace t =
          step_.objectives().find<MaeObjective>()->decoder().trace(mae->latent(), mae->patch_order());
      ours.set("mae_latent", mae->latent());
      ours.set("mae_decoder_in", t.decoder_in);
      ours.set("mae_decoder_out", t.decoder_out);
      ours.set("mae_pred_sample0", t.prediction[0]);
      ours.set("mae_target_normpix_sample0", mae_target(batch.image, model_->options().vit.patch)[0]);
    }
    for (const auto& [name, theirs] : below(io_, "s0.out.")) {
      if (ours.contains(name)) {
        report_.tensor(name, ours.at(name), theirs, kState);
      } else {
        report_.expect(name + " (not computed)", false);
      }
    }
    report_.close(label + " intermediate results");
  }

  /// Class tokens of every layer, not only of those that the hierarchy reads.
  void hidden_states(const Batch& batch, StateDict& ours) {
    RecordedDraws draws(io_, "s0");
    Wants all;
    const ModelOptions& sizes = model_->options();
    EncodingOptions plain;
    plain.packed_text = false;
    const auto vit_rows = [&] {
      Encodings e(*model_, batch, draws, all, plain);
      const auto& image = e.image();
      std::vector<std::int64_t> first;
      for (std::int64_t i = 0; i < batch.size(); ++i) first.push_back(i * image.tokens);
      const at::Tensor pixels = unfold_patches(batch.image, sizes.vit.patch);
      const at::Tensor tokens =
          model_->online().vit.assemble(model_->online().vit.embed(pixels, batch.size()), image.concept_tokens);
      return model_->online()
          .vit
          .run(tokens.view({-1, sizes.vit.width}), Segments::uniform(batch.size(), image.tokens),
               at::tensor(first, at::kLong), 0)
          .hidden_rows;
    }();
    ours.set("image_hidden_cls", at::stack(vit_rows));
    const PackedText pack = PackedText::padded(batch.text, model_->device());
    const auto states = model_->online().text.encode(pack.ids, pack.positions, pack.segments,
                                                     at::tensor(pack.begin, at::kLong), 0, Dropout());
    ours.set("text_hidden_cls", at::stack(states.hidden_rows));
  }

  void levels(Encodings& e, StateDict& ours) {
    const auto* hitc = step_.objectives().find<HitcObjective>();
    if (hitc == nullptr) return;
    const std::vector<at::Tensor> losses = hitc->level_losses(e);
    const std::vector<Encodings::Features> features = hitc->level_features(e);
    for (std::size_t j = 0; j < losses.size(); ++j) {
      const auto& [f, g] = features[j];
      const std::string name = "hidden" + std::to_string(j) + ".";
      ours.set(name + "loss", losses[j]);
      ours.set(name + "sim_i2t", at::mm(f, g.t()) / model_->temperature());
      ours.set(name + "sim_t2i", at::mm(g, f.t()) / model_->temperature());
    }
  }

  const MlmObjective& mlm_head() const { return *step_.objectives().find<MlmObjective>(); }

  /// The plain pass holds positives, negatives and masked captions one after the other, each padded.
  void fused(const Batch& batch, Encodings& e, ItmStep& itm, MlmStep& mlm, std::int64_t length, StateDict& ours) {
    const std::int64_t b = batch.size();
    const at::Tensor rows = e.all_fused_rows();
    ours.set("itm_logits", itm.logits());
    const at::Tensor all = rows.view({-1, length, rows.size(1)});
    ours.set("itm_pos_hidden", all.slice(0, 0, b));
    ours.set("itm_neg_hidden", all.slice(0, b, 3 * b));
    // Captions without a masked word are left out of our pass; the recorded one holds all of them.
    const auto every = [&](const Bert& bert, const at::Tensor& states, const at::Tensor& image_states) {
      std::vector<std::int64_t> lengths(static_cast<std::size_t>(b), length), block;
      for (std::int64_t i = 0; i < b; ++i) block.push_back(i);
      const Bert::Fusion fusion{
          mlm.pack().segments, {Segments::cross(lengths, block, b, image_states.size(0) / b)}, {}, {}, {}};
      return bert.fuse(states, bert.image_kv(image_states), fusion, Dropout());
    };
    const at::Tensor hidden = every(model_->online().text, mlm.text_rows(), e.image().states);
    const at::Tensor hidden_m = every(model_->momentum().text, mlm.momentum_text_rows(), e.momentum().image.states);
    ours.set("mlm_hidden", hidden.view({b, length, -1}));
    ours.set("mlm_logits", mlm_head().head()(hidden).view({b, length, -1}));
    ours.set("mlm_logits_m", mlm_head().momentum_head()(hidden_m).view({b, length, -1}));
  }

  FixtureSet set_;
  StateDict io_, grads_, after_;
  Report& report_;
  ObjectivesOptions objectives_;
  std::unique_ptr<Vicha> model_;
  ObjectiveSet heads_;
  PretrainStep step_;
  ReleasedNames names_;
};

}  // namespace

void check_pretrain(const fs::path& folder, Report& report) { PretrainCheck(folder, report).run(); }

}  // namespace vicha::parity

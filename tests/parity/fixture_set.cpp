#include "fixture_set.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/safetensors/safetensors.h"
#include "nn/position.h"
#include "objectives/hitc.h"
#include "objectives/mae.h"

namespace vicha::parity {
namespace {

/// Downstream models drop the "bert." of the pretraining names.
std::string pretraining_name(const std::string& name) {
  for (const std::string prefix : {"text_encoder.", "text_encoder_m."}) {
    if (name.starts_with(prefix) && !name.starts_with(prefix + "bert.") && !name.starts_with(prefix + "cls.")) {
      return prefix + "bert." + name.substr(prefix.size());
    }
  }
  return name;
}

}  // namespace

nlohmann::json read_json(const fs::path& path) {
  try {
    return nlohmann::json::parse(read_file(path));
  } catch (const nlohmann::json::exception& error) {
    throw DataError(path.string(), error.what());
  }
}

FixtureSet::FixtureSet(const fs::path& folder, const std::string& fixture)
    : folder_(folder),
      meta_(read_json(folder / "meta.json")),
      fixture_(meta_.at("fixtures").at(fixture)),
      bert_(read_json(folder / fixture_.at("config").at("bert_config").get<std::string>())),
      start_(read_safetensors(folder / "pretrain_ckpt.safetensors")) {}

MaskingOptions FixtureSet::masking() const {
  const auto& ids = meta_.at("special_ids");
  return {0.0, ids.at("pad"), ids.at("cls"), ids.at("mask"), bert_.at("vocab_size")};
}

ModelOptions FixtureSet::sizes() const {
  const auto& c = fixture_.at("config");
  ModelOptions m;
  m.vit = {c.at("image_res"), start_.at("visual_encoder.patch_embed.proj.weight").size(2), c.at("vision_width"),
           c.at("vit_depth"), c.at("vit_heads")};
  m.text.vocabulary = bert_.at("vocab_size");
  m.text.max_positions = bert_.at("max_position_embeddings");
  m.text.width = bert_.at("hidden_size");
  m.text.heads = bert_.at("num_attention_heads");
  m.text.inner = bert_.at("intermediate_size");
  m.text.text_layers = bert_.at("fusion_layer");
  m.text.fusion_layers = bert_.at("num_hidden_layers").get<std::int64_t>() - m.text.text_layers;
  m.text.dropout = bert_.at("hidden_dropout_prob");
  const auto& ids = meta_.at("special_ids");
  m.text.pad_id = ids.at("pad");
  m.text.cls_id = ids.at("cls");
  m.text.sep_id = ids.at("sep");
  m.text.mask_id = ids.at("mask");
  m.concepts.layers = c.at("num_hidden_layers_kw");
  m.embed_dim = c.at("embed_dim");
  m.queue_size = c.at("queue_size");
  m.temperature = c.at("temp");
  m.momentum = c.at("momentum");
  return m;
}

ObjectivesOptions FixtureSet::objectives() const {
  const auto& c = fixture_.at("config");
  ObjectivesOptions o;
  auto& hitc = o.get<HitcOptions>();
  hitc.enabled = c.contains("num_hidden_align");
  if (hitc.enabled) {
    hitc.levels = c.at("num_hidden_align");
    hitc.weight = c.at("ita_hidden_weight");
    hitc.level_weights = c.at("ita_hidden_weights").get<std::vector<double>>();
    hitc.level_weights.resize(static_cast<std::size_t>(hitc.levels), 1.0);
  }
  auto& mae = o.get<MaeOptions>();
  mae.enabled = c.value("mae", false);
  mae.mask_ratio = c.value("mask_ratio", 0.75);
  if (mae.enabled) {
    std::int64_t depth = 0;
    while (start_.contains("decoder_blocks." + std::to_string(depth) + ".norm1.weight")) ++depth;
    mae.decoder = {c.at("decoder_embed_dim"), c.at("decoder_num_heads"), depth};
  }
  o.at("mlm").enabled = c.contains("mlm_probability");
  return o;
}

void FixtureSet::fill(Vicha& model, Report& report, const StateDict& extra) const {
  const at::NoGradGuard guard;
  ParameterStore& store = model.parameters();
  for (const ParameterStore::Released& r : store.released()) {
    if (r.name == "idx_queue") continue;  // starts at -100
    at::Tensor value = extra.find(r.name);
    if (!value.defined()) value = start_.at(r.name, "pretrain_ckpt.safetensors");
    at::Tensor target = store.view(r);
    if (r.name.ends_with(".pos_embed") && value.sizes() != target.sizes())
      value = resize_positions(value, model.options().vit.side());
    if (r.name != "decoder_pos_embed") {
      target.copy_(value);
    } else {
      report.tensor(r.name, target, value, kState);  // made here, not loaded
    }
  }
}

void FixtureSet::fill_from(Vicha& model, const StateDict& weights) {
  const at::NoGradGuard guard;
  for (const ParameterStore::Released& r : model.parameters().released()) {
    at::Tensor value = weights.find(r.name);
    if (!value.defined()) continue;
    at::Tensor target = model.parameters().view(r);
    if (r.name.ends_with(".pos_embed") && value.sizes() != target.sizes())
      value = resize_positions(value, model.options().vit.side());
    if (value.sizes() == target.sizes()) target.copy_(value);  // queues may have another size
  }
}

Batch FixtureSet::batch(const StateDict& data, const std::string& prefix) const {
  const std::string in = prefix.empty() ? "in." : prefix + ".in.";
  const auto tokens = [&](const std::string& ids, const std::string& mask) {
    const at::Tensor lengths = data.at(in + mask).sum(1).contiguous();
    const std::int64_t* p = lengths.data_ptr<std::int64_t>();
    return Tokens{data.at(in + ids), {p, p + lengths.numel()}};
  };
  Batch b;
  b.image = data.at(in + "image_i8").to(at::kFloat) / 32;
  b.text = tokens("text_ids", "text_mask");
  b.concepts = tokens("kw_ids", "kw_mask");
  b.image_ids = data.find(in + "idx");
  return b;
}

ReleasedNames::ReleasedNames(const ParameterStore& store) : store_(store) {
  for (const ParameterStore::Released& r : store.released()) by_name_.emplace(r.name, r);
}

const ParameterStore::Released* ReleasedNames::find(const std::string& name) const {
  const auto at = by_name_.find(pretraining_name(name));
  if (at != by_name_.end()) return &at->second;
  // A concept encoder without layers is a whole BERT in models of two pictures, and bare embeddings in ours.
  std::string bare = name;
  if (const std::size_t part = bare.find(".embeddings."); bare.starts_with("kw_encoder") && part != bare.npos) {
    bare.erase(part, std::string_view(".embeddings").size());
  }
  const auto found = by_name_.find(bare);
  return found == by_name_.end() ? nullptr : &found->second;
}

at::Tensor ReleasedNames::value(const std::string& name) const {
  const auto* r = find(name);
  return r == nullptr ? at::Tensor() : store_.view(*r);
}

at::Tensor ReleasedNames::grad(const std::string& name) const {
  const auto* r = find(name);
  if (r == nullptr) return {};
  const at::Tensor g = store_.grad_view(*r);
  return g.defined() ? g : at::zeros_like(store_.view(*r));
}

const Parameter* ReleasedNames::parameter(const std::string& name) const {
  const auto* r = find(name);
  return r == nullptr || r->parameter < 0 ? nullptr : &store_.parameters()[static_cast<std::size_t>(r->parameter)];
}

RecordedDraws::RecordedDraws(const StateDict& data, const std::string& prefix) {
  order_ = data.find(prefix + ".rec.mae_ids_shuffle");
  const auto list = [&](const std::string& name) {
    const at::Tensor x = data.at(prefix + ".rec." + name).contiguous();
    return std::vector<std::int64_t>(x.data_ptr<std::int64_t>(), x.data_ptr<std::int64_t>() + x.numel());
  };
  image_ = list("neg_image_idx");
  text_ = list("neg_text_idx");
}

std::pair<double, double> fingerprint(const at::Tensor& x) {
  const at::Tensor flat = x.detach().to(at::kDouble).reshape({-1});
  const at::Tensor wave = (0.37 * at::arange(flat.numel(), at::kDouble) + 0.1).cos();
  return {flat.norm().item<double>(), (flat * wave).sum().item<double>()};
}

void add_fingerprint(Report& report, const std::string& name, const at::Tensor& ours, const nlohmann::json& theirs,
                     double tolerance) {
  if (!ours.defined()) return report.expect(name + " (missing)", false);
  const auto [norm, wave] = fingerprint(ours);
  const double scale = std::max(theirs[0].get<double>(), 1e-12);
  report.add(name, std::max(std::abs(norm - theirs[0].get<double>()), std::abs(wave - theirs[1].get<double>())) / scale,
             tolerance);
}

bool has_zero_gradient(const std::string& name) { return name.ends_with(".self.key.bias"); }

at::Tensor without_key_bias(const std::string& name, const at::Tensor& x) {
  if (!name.ends_with("attn.qkv.bias") || !x.defined()) return x;
  const auto parts = x.chunk(3);
  return at::cat({parts[0], parts[2]});
}

StateDict below(const StateDict& data, const std::string& prefix) {
  StateDict result;
  for (const auto& [name, tensor] : data) {
    if (name.starts_with(prefix)) result.set(name.substr(prefix.size()), tensor);
  }
  return result;
}

void StepChecks::losses(const std::vector<std::pair<std::string, at::Tensor>>& ours, const nlohmann::json& step) const {
  for (const auto& [name, loss] : ours) {
    const double theirs = name == "total" ? step.at("loss").get<double>() : step.at("losses").at(name).get<double>();
    report.add(name, std::abs(loss.item<double>() - theirs) / std::abs(theirs), kLoss);
  }
  report.expect("number of losses", ours.size() == step.at("losses").size() + 1);
  report.close(label + " losses");
}

void StepChecks::gradients(const nlohmann::json& grad_names, const nlohmann::json& step, const StateDict& full) const {
  for (const auto& [name, theirs] : full) {
    const at::Tensor ours = names.grad(name);
    if (has_zero_gradient(name)) {
      report.add(name, ours.abs().max().item<double>(), kGradient);
    } else {
      report.tensor(name, ours, theirs, kGradient);
    }
  }
  if (full.size() > 0) report.close(label + " gradients");
  if (!step.contains("grad_fp")) return;
  for (std::size_t i = 0; i < grad_names.size(); ++i) {
    const std::string name = grad_names[i];
    if (!has_zero_gradient(name)) add_fingerprint(report, name, names.grad(name), step.at("grad_fp")[i], kGradient);
  }
  report.close(label + " gradient fingerprints");
}

void StepChecks::states(const nlohmann::json& state_names, const nlohmann::json& step, const StateDict& full) const {
  bool queues = false;
  for (const auto& [name, theirs] : full) {
    queues |= name.find("queue") != std::string::npos;
    if (name.ends_with("_queue") && name != "idx_queue") report.tensor(name, names.value(name), theirs, kState);
    if (name == "idx_queue" || name == "queue_ptr") report.expect(name, at::equal(names.value(name), theirs));
  }
  if (queues) report.close(label + " queues");
  bool any = false;
  for (const auto& [name, theirs] : full) {
    if (name.find("queue") != std::string::npos || has_zero_gradient(name)) continue;
    report.tensor(name, without_key_bias(name, names.value(name)), without_key_bias(name, theirs), kAfter);
    any = true;
  }
  if (any) report.close(label + " parameters after the step");
  if (!step.contains("after_fp")) return;
  for (const bool momentum : {false, true}) {
    bool some = false;
    for (std::size_t i = 0; i < state_names.size(); ++i) {
      const std::string name = state_names[i];
      const bool noisy = has_zero_gradient(name) || name.ends_with("attn.qkv.bias") || name.ends_with("_queue");
      if (noisy || (name.find("_m.") != std::string::npos) != momentum) continue;
      add_fingerprint(report, name, names.value(name), step.at("after_fp")[i], kAfterFingerprint);
      some = true;
    }
    if (some) report.close(label + (momentum ? " momentum fingerprints" : " state fingerprints"));
  }
}

}  // namespace vicha::parity

#include "towers/vit_tower.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <map>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/files/open.h"
#include "checkpoint/names/load_report.h"
#include "models/image_pipeline.h"
#include "models/named_weights.h"
#include "models/weights_hash.h"
#include "towers/json_fields.h"
#include "towers/naming.h"
#include "towers/preprocess.h"

namespace vicha {
namespace {

using towers::Recipe;

/// Whether weights under these names may be given under that prefix. timm stores DINOv2 as it does any other.
bool belongs(TowerNaming naming, VitKind kind) {
  switch (kind) {
    case VitKind::kVit:
      return naming == TowerNaming::kTimm || naming == TowerNaming::kHuggingFaceVit;
    case VitKind::kDinov2:
      return naming == TowerNaming::kMetaDinov2 || naming == TowerNaming::kHuggingFaceDinov2 ||
             naming == TowerNaming::kTimm;
    case VitKind::kSiglip:
      break;
  }
  return naming == TowerNaming::kSiglip;
}

/// What the prefix asks for.
std::string_view wanted_of(VitKind kind) {
  switch (kind) {
    case VitKind::kVit:
      return "a ViT (timm, DeiT, AugReg, Hugging Face)";
    case VitKind::kDinov2:
      return "a DINOv2";
    case VitKind::kSiglip:
      break;
  }
  return "a SigLIP";
}

/// x + gamma * (W y + b) = x + (gamma W) y + gamma b.
void fold_layer_scale(StateDict& named, std::string_view where) {
  std::vector<std::pair<std::string, at::Tensor>> scales;
  for (const auto& [name, tensor] : named) {
    if (matches("blocks.*.ls*.gamma", name)) scales.emplace_back(name, tensor.to(at::kFloat));
  }
  for (const auto& [name, gamma] : scales) {
    const std::string block = name.substr(0, name.find(".ls"));
    const std::string map = block + (name.ends_with(".ls1.gamma") ? ".attn.proj." : ".mlp.fc2.");
    const at::Tensor weight = named.at(map + "weight", where), bias = named.at(map + "bias", where);
    if (gamma.dim() != 1 || weight.dim() != 2 || weight.size(0) != gamma.size(0) || bias.sizes() != gamma.sizes()) {
      throw DataError(where, fmt::format("'{}' does not fit '{}weight'", name, map));
    }
    named.set(map + "weight", weight.to(at::kFloat) * gamma.unsqueeze(1));
    named.set(map + "bias", bias.to(at::kFloat) * gamma);
    named.erase(name);
  }
}

Recipe recipe_of(VitKind kind, TowerNaming naming, std::string_view config) {
  if (kind == VitKind::kDinov2) return Recipe::kDinov2;
  if (kind == VitKind::kSiglip) return Recipe::kSiglip;
  const auto json = towers::parse_settings(config);
  if (json.is_object() && json.value("model_type", "") == "deit") return Recipe::kDeit;
  return naming == TowerNaming::kTimm ? Recipe::kDeit : Recipe::kHuggingFaceVit;
}

/// "196 the text tower, 2 of the contrast with texts".
std::string left_out(const RenameReport& report) {
  std::map<std::string, std::size_t> reasons;
  for (const auto& dropped : report.dropped) ++reasons[dropped.why];
  std::string text;
  for (const auto& [why, count] : reasons) text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", why, count);
  return text;
}

}  // namespace

VitTower::VitTower(std::unique_ptr<VitNet> net, TowerInput input, std::string kind, const std::string& what)
    : net_(std::move(net)) {
  input_ = input;
  identity_.kind = std::move(kind);
  identity_.name = fmt::format("{}, {}{}", net_->options().name(), parameter_count(net_->parameters()),
                               what.empty() ? "" : " (" + what + ")");
  identity_.sha256 = weights_sha256(net_->parameters(), net_->options().settings());
  identity_.view = input_.describe();
}

std::int64_t VitTower::batch() const {
  const VitTowerOptions& o = net_->options();
  return images_at_once(o.prefix + o.registers + (input_.height / o.patch) * (input_.width / o.patch), device());
}

std::unique_ptr<VitNet> make_vit_net(const StateDict& tensors, VitKind kind, std::string_view where,
                                     std::string_view config, std::string_view config_where, RenameReport* report) {
  const TowerNaming naming = detect_tower_naming(tensors);
  if (!belongs(naming, kind)) towers::refuse_kind(tensors, wanted_of(kind), where);
  StateDict named = to_tower_names(tensors, where, report);
  if (kind == VitKind::kDinov2 && !named.contains("blocks.0.ls1.gamma")) {
    throw DataError(where, fmt::format("the weights are {} without LayerScale, not a DINOv2", to_string(naming)),
                    fmt::format("Give them as vit:{}", where));
  }
  fold_layer_scale(named, where);
  if (kind != VitKind::kVit) {
    for (const char* name : {"pooler.weight", "pooler.bias"}) named.erase(name);
  }
  VitTowerOptions options = vit_tower_options(named, kind, naming, where);
  if (!config.empty()) apply_vit_config(options, kind, config, config_where);
  check_vit_tower_options(options, where);
  auto net = std::make_unique<VitNet>(options);
  fill_parameters(net->parameters(), named, where,
                  "The weights are of a kind of vision transformer that is not built here, or incomplete");
  return net;
}

std::unique_ptr<VitTower> load_vit_tower(VitKind kind, const fs::path& path) {
  const Weights weights = open_weights(path, true);
  const TowerNaming naming = detect_tower_naming(weights.tensors);
  fs::path file = towers::file_beside(path, "config.json");
  std::string config = file.empty() ? "" : towers::read_small(file);
  if (!file.empty()) (void)towers::parse_object(config, file.string());  // not to be taken for one that is not there
  // Other programs' config.json files may lie about.
  if (!config.empty() && !is_vit_config(config, kind)) config.clear();
  RenameReport report;
  auto net = make_vit_net(weights.tensors, kind, path.string(), config, file.string(), &report);
  if (!report.dropped.empty()) log::info("{}: left out {}", path.string(), left_out(report));
  const VitTowerOptions& options = net->options();
  if (config.empty()) {
    log::warning(
        "{}: no configuration beside the weights, so {} heads are taken for granted, as in the published "
        "models of that width; put transformers' config.json there if they differ",
        path.string(), options.heads);
  }
  bool told = false;
  const TowerInput input =
      towers::input_beside(path, recipe_of(kind, naming, config), options.image_res(), options.patch, &told);
  if (!told && kind == VitKind::kVit) {
    log::warning("{}: no preprocessor_config.json beside the weights, so pictures are put before it as {} do it: {}",
                 path.string(), naming == TowerNaming::kTimm ? "DeiT's authors" : "transformers' ViTs",
                 input.describe());
  }
  return std::make_unique<VitTower>(std::move(net), input, std::string(to_string(kind)),
                                    std::string(to_string(naming)));
}

}  // namespace vicha

// The "bert" and "vit" groups: encoders against transformers' BERT and the public ViT.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "base/files.h"
#include "checkpoint/names/load_report.h"
#include "checkpoint/safetensors/safetensors.h"
#include "fixture_set.h"
#include "models/vocabulary_head.h"
#include "nn/position.h"

namespace vicha::parity {
namespace {

constexpr double kOutput = 1e-4, kExact = 1e-6;

/// Every parameter is found; what else a set's encoder has (a pooler, tied weights a second time) is not compared.
void fill(const ParameterStore& store, const StateDict& source, const std::string& where, const Reshape& reshape = {}) {
  NamedTensors targets;
  for (const ParameterStore::Released& r : store.released()) {
    if (!r.is_alias) targets.emplace_back(r.name, store.view(r));
  }
  load_into(targets, source, {.where = where, .allow_unexpected = {"**"}, .reshape = reshape});
}

Tokens tokens_of(const at::Tensor& ids, const at::Tensor& mask) {
  const at::Tensor lengths = mask.to(at::kLong).sum(1).contiguous();
  const std::int64_t* p = lengths.data_ptr<std::int64_t>();
  return {ids.to(at::kLong), {p, p + lengths.numel()}};
}

}  // namespace

void check_bert(const fs::path& folder, Report& report) {
  const at::NoGradGuard guard;
  const nlohmann::json config = read_json(folder / "bert" / "bert_tiny.config.json");
  const StateDict weights = read_safetensors(folder / "bert" / "bert_tiny.safetensors");
  const StateDict io = read_safetensors(folder / "bert" / "bert_tiny.io.safetensors");
  TextOptions options;
  options.vocabulary = config.at("vocab_size");
  options.max_positions = config.at("max_position_embeddings");
  options.width = config.at("hidden_size");
  options.heads = config.at("num_attention_heads");
  options.inner = config.at("intermediate_size");
  options.text_layers = config.at("num_hidden_layers");
  options.fusion_layers = 0;
  ParameterStore store(0);
  const Bert bert(store, "", options, 1);
  const VocabularyHead head(store, "", bert.embeddings());
  fill(store, weights, "bert_tiny.safetensors");

  const Tokens text = tokens_of(io.at("input_ids"), io.at("attention_mask"));
  const PackedText pack = PackedText::padded(text, at::kCPU);
  std::vector<std::int64_t> every(static_cast<std::size_t>(pack.rows()));
  for (std::size_t i = 0; i < every.size(); ++i) every[i] = static_cast<std::int64_t>(i);
  const at::Tensor all = at::tensor(every, at::kLong);
  const at::Tensor types = io.at("token_type_ids").to(at::kLong).flatten();
  const std::int64_t batch = text.size(), length = text.ids.size(1);
  const at::Tensor real = io.at("attention_mask").to(at::kBool);
  const auto compare = [&](const std::string& name, const at::Tensor& ours, const at::Tensor& theirs,
                           const at::Tensor& mask) {
    report.tensor(name, ours.masked_select(mask.unsqueeze(-1)), theirs.masked_select(mask.unsqueeze(-1)), kOutput);
  };
  const at::Tensor embedded = bert.embeddings()(pack.ids, pack.positions, Dropout(), types);
  const Bert::TextStates out = bert.encode_embedded(embedded, pack.segments, all, 0, Dropout());
  for (std::size_t i = 0; i < out.hidden_rows.size(); ++i) {
    const std::string name = "hidden." + std::to_string(i);
    const at::Tensor theirs = io.at(name), ours = out.hidden_rows[i].view({batch, length, -1});
    compare(name, ours, theirs, real);
  }
  const at::Tensor logits = head(out.states).view({batch, length, -1});
  const at::Tensor even = at::arange(0, length, 2);
  compare("logits", logits.index_select(1, even), io.at("logits"), real.index_select(1, even));
  const at::Tensor labels = io.at("labels").to(at::kLong);
  const at::Tensor loss = at::cross_entropy_loss(logits.flatten(0, 1), labels.flatten(), {}, at::Reduction::Mean, -100);
  report.tensor("loss", loss.view({1}), io.at("loss").view({1}), kOutput);
  report.close("bert");
}

void check_vit(const fs::path& folder, Report& report) {
  const at::NoGradGuard guard;
  const StateDict weights = read_safetensors(folder / "vit" / "vit_tiny.safetensors");
  const StateDict io = read_safetensors(folder / "vit" / "vit_tiny.io.safetensors");
  const at::Tensor kernel = weights.at("patch_embed.proj.weight");
  std::int64_t depth = 0;
  while (weights.contains("blocks." + std::to_string(depth) + ".norm1.weight")) ++depth;
  const nlohmann::json meta =
      fs::exists(folder / "vit" / "meta.json") ? read_json(folder / "vit" / "meta.json") : nlohmann::json();
  bool first = true;
  std::vector<std::string> sizes;
  for (const auto& [name, tensor] : io) {
    if (name.ends_with(".image_i8")) sizes.push_back(name.substr(0, name.size() - 9));
  }
  for (const std::string& size : sizes) {
    const at::Tensor image = io.at(size + ".image_i8").to(at::kFloat) / 32;
    VitOptions options{image.size(2), kernel.size(2), kernel.size(0), depth, meta.value("num_heads", std::int64_t{4})};
    ParameterStore store(0);
    const Vit vit(store, "", options);
    fill(store, weights, "vit_tiny.safetensors", [&](const auto&, const at::Tensor& source, at::IntArrayRef) {
      return resize_positions(source.to(at::kFloat), options.side());
    });
    report.tensor(size + ".pos_embed", store.parameter("pos_embed").value, io.at(size + ".pos_embed"), kExact * 10);
    const std::int64_t batch = image.size(0);
    const at::Tensor patches = vit.embed(unfold_patches(image, options.patch), batch);
    const auto run = [&](const at::Tensor& external, bool hidden) {
      const at::Tensor tokens = vit.assemble(patches, external);
      const std::int64_t length = tokens.size(1);
      const at::Tensor rows = hidden ? at::arange(length) : at::Tensor();
      Vit::Output out = vit.run(tokens.view({-1, options.width}), Segments::uniform(batch, length), rows, 0);
      out.states = out.states.view({batch, length, -1});
      return out;
    };
    const Vit::Output out = run({}, true);
    report.tensor(size + ".output", out.states, io.at(size + ".output"), kOutput);
    for (std::size_t i = 0; i < out.hidden_rows.size(); ++i) {
      const std::string name = size + ".hidden_norm." + std::to_string(i);
      if (io.contains(name)) report.tensor(name, out.hidden_rows[i].view(io.at(name).sizes()), io.at(name), kOutput);
    }
    if (io.contains(size + ".external_features")) {
      report.tensor(size + ".output_external", run(io.at(size + ".external_features"), false).states,
                    io.at(size + ".output_external"), kOutput);
    }
    first = false;
  }
  report.expect("there is at least one size", !first);
  report.close("vit");
}

}  // namespace vicha::parity

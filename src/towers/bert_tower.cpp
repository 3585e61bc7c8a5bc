#include "towers/bert_tower.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cmath>

#include "models/in_parts.h"
#include "models/weights_hash.h"
#include "nn/norm.h"
#include "nn/vit_block.h"

namespace vicha {
namespace {

using towers::TextPooling;
using Ids = std::vector<std::vector<std::int64_t>>;

at::Tensor long_tensor(const std::vector<std::int64_t>& values, const at::Device& device) {
  return at::tensor(values, at::kLong).to(device);
}

}  // namespace

BertTower::BertTower(const Options& options, std::uint64_t seed)
    : options_(options), store_(std::make_unique<ParameterStore>(seed)) {
  bert_ = std::make_unique<Bert>(*store_, "text_encoder.", options.bert, 0);
  std::int64_t width = options.bert.width;
  for (std::size_t i = 0; i < options.dense.size(); ++i) {
    const Dense& dense = options.dense[i];
    const std::string name = fmt::format("dense.{}.", i);
    if (dense.bias) {
      dense_.push_back(add_linear(*store_, name, width, dense.outputs, Init::kNormal002));
    } else {
      dense_.push_back({store_->add(name + "weight", {dense.outputs, width}, Init::kNormal002), {}});
    }
    width = dense.outputs;
  }
  input_.vocabulary_size = options.bert.vocabulary;
  input_.max_tokens = options.max_tokens;
  identity_.name = "BERT";
}

std::int64_t BertTower::width() const {
  return options_.dense.empty() ? options_.bert.width : options_.dense.back().outputs;
}

at::Tensor BertTower::finished(at::Tensor pooled) const {
  for (std::size_t i = 0; i < dense_.size(); ++i) {
    pooled = dense_[i](pooled).to(at::kFloat);
    if (options_.dense[i].tanh) pooled = pooled.tanh();
  }
  return options_.normalize ? unit_rows(pooled) : pooled;
}

at::Tensor BertTower::encode_part(const Ids& ids, std::int64_t begin, std::int64_t end) const {
  std::vector<std::int64_t> packed, positions, lengths, firsts, owner;
  for (std::int64_t i = begin; i < end; ++i) {
    const auto& text = ids[static_cast<std::size_t>(i)];
    firsts.push_back(static_cast<std::int64_t>(packed.size()));
    lengths.push_back(static_cast<std::int64_t>(text.size()));
    packed.insert(packed.end(), text.begin(), text.end());
    for (std::int64_t j = 0; j < lengths.back(); ++j) {
      positions.push_back(j);
      owner.push_back(i - begin);
    }
  }
  const at::Device where = device();
  const at::Tensor states = bert_
                                ->encode(long_tensor(packed, where), long_tensor(positions, where),
                                         Segments::packed(lengths), {}, 0, Dropout())
                                .states.to(at::kFloat);
  if (options_.pooling == TextPooling::kClass) return finished(states.index_select(0, long_tensor(firsts, where)));
  const at::Tensor sums = at::zeros({end - begin, states.size(1)}, states.options());
  sums.index_add_(0, long_tensor(owner, where), states);
  return finished(sums / long_tensor(lengths, where).unsqueeze(1));
}

at::Tensor BertTower::encode(const Ids& ids) const {
  check_ids(ids);
  const at::NoGradGuard no_grad;
  const auto count = static_cast<std::int64_t>(ids.size());
  at::Tensor out = at::empty({count, width()}, at::device(device()).dtype(at::kFloat));
  if (count == 0) return out;
  in_parts(
      count, device(),
      [&](std::int64_t i) { return static_cast<std::int64_t>(ids[static_cast<std::size_t>(i)].size()); },
      [&](std::int64_t begin, std::int64_t end) { out.slice(0, begin, end).copy_(encode_part(ids, begin, end)); });
  return out;
}

at::Tensor BertTower::plain(const Ids& ids) const {
  check_ids(ids);
  const at::NoGradGuard no_grad;
  const std::string prefix = "text_encoder.bert.";
  StateDict weights;
  for (const ParameterStore::Released& r : store_->released()) weights.set(r.name, store_->view(r));
  const auto linear = [&](const at::Tensor& x, const std::string& name) {
    return at::linear(x, weights.at(prefix + name + ".weight"), weights.at(prefix + name + ".bias"));
  };
  const auto norm = [&](const at::Tensor& x, const std::string& name) {
    return at::layer_norm(x, {x.size(-1)}, weights.at(prefix + name + ".weight"), weights.at(prefix + name + ".bias"),
                          kBertEps);
  };
  const std::int64_t heads = options_.bert.heads, head = options_.bert.width / heads;
  std::vector<at::Tensor> rows;
  for (const auto& text : ids) {
    const at::Tensor words = long_tensor(text, device());
    at::Tensor x = at::embedding(weights.at(prefix + "embeddings.word_embeddings.weight"), words) +
                   weights.at(prefix + "embeddings.position_embeddings.weight").slice(0, 0, words.size(0)) +
                   weights.at(prefix + "embeddings.token_type_embeddings.weight")[0];
    x = norm(x, "embeddings.LayerNorm");
    for (std::int64_t i = 0; i < options_.bert.text_layers; ++i) {
      const std::string layer = fmt::format("encoder.layer.{}.", i);
      const auto part = [&](const char* name) {
        return linear(x, layer + "attention.self." + name).view({-1, heads, head}).transpose(0, 1);
      };
      const at::Tensor scores =
          at::matmul(part("query"), part("key").transpose(1, 2)) / std::sqrt(static_cast<double>(head));
      const at::Tensor seen = at::matmul(scores.softmax(-1), part("value")).transpose(0, 1).reshape_as(x);
      x = norm(x + linear(seen, layer + "attention.output.dense"), layer + "attention.output.LayerNorm");
      const at::Tensor hidden = at::gelu(linear(x, layer + "intermediate.dense"));
      x = norm(x + linear(hidden, layer + "output.dense"), layer + "output.LayerNorm");
    }
    at::Tensor pooled = options_.pooling == TextPooling::kClass ? x.slice(0, 0, 1) : x.mean(at::IntArrayRef{0}, true);
    for (std::size_t i = 0; i < dense_.size(); ++i) {
      pooled = at::linear(pooled, dense_[i].weight, dense_[i].bias);
      if (options_.dense[i].tanh) pooled = pooled.tanh();
    }
    rows.push_back(options_.normalize ? pooled / pooled.norm() : pooled);
  }
  return at::cat(rows);
}

void BertTower::identify(const std::filesystem::path& vocabulary, bool lower_case) {
  input_.vocabulary = vocabulary;
  input_.lower_case = lower_case;
  std::string settings = fmt::format("{} heads, pooled {}", options_.bert.heads,
                                     options_.pooling == TextPooling::kMean ? "mean" : "class");
  for (const Dense& dense : options_.dense) settings += dense.tanh ? ", dense tanh" : ", dense";
  if (options_.normalize) settings += ", normalised";
  identity_.kind = "bert";
  identity_.name = fmt::format("BERT {}x{}, {}, {}", options_.bert.width, options_.bert.text_layers,
                               parameter_count(*store_), settings.substr(settings.find("pooled")));
  identity_.sha256 = weights_sha256(*store_, settings);
  identity_.view = input_.describe();
}

}  // namespace vicha

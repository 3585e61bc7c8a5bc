#include "nn/bert_layer.h"

#include <ATen/ATen.h>

#include "nn/gelu.h"
#include "nn/vit_block.h"

namespace vicha {
namespace {

constexpr double kEps = 1e-12;
constexpr const char* kKeysAndValues = "crossattention.self.kv";

std::vector<std::string> keys_and_values() { return {"crossattention.self.key", "crossattention.self.value"}; }

std::vector<std::string> named(const std::string& prefix, const std::vector<std::string>& parts, const char* kind) {
  std::vector<std::string> names;
  for (const std::string& part : parts) names.push_back(prefix + part + kind);
  return names;
}

/// Linear maps that released checkpoints store one by one and that are read as one product.
Linear add_joined(ParameterStore& store, const std::string& prefix, const std::string& name,
                  const std::vector<std::string>& parts, std::int64_t inputs, std::int64_t outputs) {
  const std::int64_t rows = outputs * static_cast<std::int64_t>(parts.size());
  const at::Tensor weight =
      store.add_fused(prefix + name + ".weight", named(prefix, parts, ".weight"), {rows, inputs}, Init::kNormal002);
  return {weight, store.add_fused(prefix + name + ".bias", named(prefix, parts, ".bias"), {rows}, Init::kZeros)};
}

}  // namespace

BertLayer::BertLayer(ParameterStore& store, const std::string& prefix, const BertLayerShape& shape,
                     const BertLayer* shared, const std::string& shared_prefix)
    : heads(shape.heads) {
  const std::int64_t width = shape.width;
  const auto linear = [&](const char* name, std::int64_t inputs, std::int64_t outputs) {
    return add_linear(store, prefix + name, inputs, outputs, Init::kNormal002);
  };
  qkv = add_joined(store, prefix, "attention.self.qkv",
                   {"attention.self.query", "attention.self.key", "attention.self.value"}, width, width);
  proj = linear("attention.output.dense.", width, width);
  attention_norm = add_layer_norm(store, prefix + "attention.output.LayerNorm.", width, kEps);
  if (shape.cross_width > 0) {
    cross_query = linear("crossattention.self.query.", width, width);
    if (shared == nullptr) {
      cross_kv = add_joined(store, prefix, kKeysAndValues, keys_and_values(), shape.cross_width, width);
    } else {
      cross_kv = shared->cross_kv;
      for (const char* kind : {".weight", ".bias"}) {
        store.alias_fused(named(prefix, keys_and_values(), kind), shared_prefix + kKeysAndValues + kind);
      }
    }
    cross_proj = linear("crossattention.output.dense.", width, width);
    cross_norm = add_layer_norm(store, prefix + "crossattention.output.LayerNorm.", width, kEps);
  }
  fc1 = linear("intermediate.dense.", width, shape.inner);
  fc2 = linear("output.dense.", shape.inner, width);
  output_norm = add_layer_norm(store, prefix + "output.LayerNorm.", width, kEps);
}

at::Tensor BertLayer::operator()(const at::Tensor& x, const SegmentsPtr& self, const Dropout& dropout) const {
  return mlp(attend_self(x, self, dropout), dropout);
}

at::Tensor BertLayer::attend_self(const at::Tensor& x, const SegmentsPtr& self, const Dropout& dropout,
                                  AttentionWatch* watch) const {
  at::Tensor attended;
  if (watch != nullptr) {
    const auto parts = qkv(x).chunk(3, 1);
    attended = watch->attend(parts[0], parts[1], parts[2], heads, self);
  } else {
    attended = self_attention(qkv(x), heads, self, dropout.draw());
  }
  return residual_layer_norm(x, matmul_nt(attended, proj.weight), proj.bias, attention_norm, dropout.draw()).out;
}

at::Tensor BertLayer::attend_self_at(const at::Tensor& x, const at::Tensor& rows, const SegmentsPtr& self,
                                     const Dropout& dropout) const {
  const std::int64_t width = x.size(1);
  const Linear ask{qkv.weight.narrow(0, 0, width), qkv.bias.narrow(0, 0, width)};
  const Linear answer{qkv.weight.narrow(0, width, 2 * width), qkv.bias.narrow(0, width, 2 * width)};
  const at::Tensor asking = x.index_select(0, rows);
  const at::Tensor attended = cross_attention(ask(asking), answer(x), heads, self, dropout.draw());
  return residual_layer_norm(asking, matmul_nt(attended, proj.weight), proj.bias, attention_norm, dropout.draw()).out;
}

at::Tensor BertLayer::attend_image(const at::Tensor& x, const at::Tensor& kv, const SegmentsPtr& cross,
                                   const Dropout& dropout, AttentionWatch* watch) const {
  const at::Tensor query = cross_query(x);
  at::Tensor attended;
  if (watch != nullptr) {
    const auto parts = kv.chunk(2, 1);
    attended = watch->attend(query, parts[0], parts[1], heads, cross);
  } else {
    attended = cross_attention(query, kv, heads, cross, dropout.draw());
  }
  return residual_layer_norm(x, matmul_nt(attended, cross_proj.weight), cross_proj.bias, cross_norm, dropout.draw())
      .out;
}

at::Tensor BertLayer::mlp(const at::Tensor& x, const Dropout& dropout) const {
  const at::Tensor hidden = bias_gelu(matmul_nt(x, fc1.weight), fc1.bias);
  return residual_layer_norm(x, matmul_nt(hidden, fc2.weight), fc2.bias, output_norm, dropout.draw()).out;
}

}  // namespace vicha

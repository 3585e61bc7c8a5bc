// The post-norm layer of BERT, with or without cross-attention to the image (names of Hugging Face's BertLayer).
#pragma once

#include <string>

#include "nn/attention.h"
#include "nn/attention_watch.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/parameters.h"

namespace vicha {

struct BertLayerShape {
  std::int64_t width = 768, heads = 12, inner = 3072;
  std::int64_t cross_width = 0;  ///< width of what cross-attention reads; 0: no cross-attention
};

struct BertLayer {
  Linear qkv, proj;
  LayerNorm attention_norm;
  Linear cross_query, cross_kv, cross_proj;
  LayerNorm cross_norm;
  Linear fc1, fc2;
  LayerNorm output_norm;
  std::int64_t heads = 0;

  BertLayer() = default;
  /// Registers its parameters under `prefix` ("text_encoder.bert.encoder.layer.0.").
  /// With `shared`, registered under `shared_prefix`, it reads another picture by that layer's keys and values: they
  /// have a second name in checkpoints, and learn once.
  BertLayer(ParameterStore& store, const std::string& prefix, const BertLayerShape& shape,
            const BertLayer* shared = nullptr, const std::string& shared_prefix = {});

  /// Self-attention and MLP: (T, D) -> (T, D).
  at::Tensor operator()(const at::Tensor& x, const SegmentsPtr& self, const Dropout& dropout) const;

  // The three parts, for layers that also look at images.
  /// With `watch` its probabilities are kept there; they have no dropout.
  at::Tensor attend_self(const at::Tensor& x, const SegmentsPtr& self, const Dropout& dropout,
                         AttentionWatch* watch = nullptr) const;
  /// As attend_self, at the rows (P) only: `self` has P query rows and T key rows.
  at::Tensor attend_self_at(const at::Tensor& x, const at::Tensor& rows, const SegmentsPtr& self,
                            const Dropout& dropout) const;
  /// Keys and values of images, once per image: (S, D_image) -> (S, 2 D).
  at::Tensor image_kv(const at::Tensor& image_SD) const { return cross_kv(image_SD); }
  /// What they change by when `vector` (D_image) is added to an image's state: (1, 2 D).
  at::Tensor image_kv_change(const at::Tensor& vector_D) const {
    return matmul_nt(vector_D.unsqueeze(0), cross_kv.weight);
  }
  /// `watch`: as attend_self.
  at::Tensor attend_image(const at::Tensor& x, const at::Tensor& kv, const SegmentsPtr& cross, const Dropout& dropout,
                          AttentionWatch* watch = nullptr) const;
  at::Tensor mlp(const at::Tensor& x, const Dropout& dropout) const;
};

}  // namespace vicha

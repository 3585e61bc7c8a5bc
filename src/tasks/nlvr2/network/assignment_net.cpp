#include "tasks/nlvr2/network/assignment_net.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <numeric>

#include "base/error.h"
#include "nn/host_copy.h"
#include "nn/vit_block.h"
#include "tasks/nlvr2/network/nlvr2_net.h"

namespace vicha {
namespace {

Linear assignment_head(Vicha& model) {
  require_two_images(model.options());
  ParameterStore& store = model.parameters();
  const ParameterStore::Scope heads(store, "heads"), fusion_heads(store, "fusion_heads"), scope(store, "ta_head");
  return add_linear(store, "ta_head.", model.options().text.width, 3, Init::kLinearDefault);
}

/// Place of one picture of a row, in proportion to its weight; -1 where none has any.
std::int64_t draw_one(const std::vector<double>& row, Rng& rng) {
  double left = rng.uniform() * std::accumulate(row.begin(), row.end(), 0.0);
  std::int64_t chosen = -1;
  for (std::size_t j = 0; j < row.size(); ++j) {
    if (row[j] <= 0.0) continue;
    chosen = static_cast<std::int64_t>(j);  // the last one with weight also catches what rounding leaves over
    left -= row[j];
    if (left < 0.0) break;
  }
  return chosen;
}

}  // namespace

Assignment RandomAssignment::draw(const at::Tensor& weights_BB) {
  const at::Tensor weights = weights_BB.to(at::kCPU, at::kFloat).contiguous();
  const std::int64_t count = weights.size(0);
  VICHA_ASSERT(count > 1);
  Assignment result;
  for (std::int64_t i = 0; i < count; ++i) {
    const float* from = weights.const_data_ptr<float>() + i * count;
    std::vector<double> row(from, from + count);
    const auto others = [&] {
      if (std::accumulate(row.begin(), row.end(), 0.0) > 0.0) return;
      std::fill(row.begin(), row.end(), 1.0);
      row[static_cast<std::size_t>(i)] = 0.0;
    };
    others();
    const std::int64_t one = draw_one(row, rng_);
    const auto choice = rng_.below(3);
    if (choice == 2 && count > 2) {
      row[static_cast<std::size_t>(one)] = 0.0;
      if (std::accumulate(row.begin(), row.end(), 0.0) <= 0.0) {
        others();
        row[static_cast<std::size_t>(one)] = 0.0;
      }
      result.first.push_back(one);
      result.second.push_back(draw_one(row, rng_));
      result.labels.push_back(Assignment::kNeither);
      continue;
    }
    const bool own_first = rng_.chance(0.5);
    result.first.push_back(own_first ? i : one);
    result.second.push_back(own_first ? one : i);
    result.labels.push_back(own_first ? Assignment::kFirst : Assignment::kSecond);
  }
  return result;
}

AssignmentNet::AssignmentNet(Vicha& model) : model_(model), head_(assignment_head(model)) {}

AssignmentNet::Step AssignmentNet::step(const Input& input, AssignmentDraws& draws, const Dropout& dropout) const {
  const Encoders& encoders = model_.online();
  const at::Tensor patches = patch_rows(input.pictures, encoders.vit.options());
  const ImageStates image = encoders.encode_image({patches, input.pictures.size(0), input.concepts}, dropout);
  Step step;
  {
    const at::NoGradGuard guard;
    const at::Tensor features = encoders.image_features(image).to(at::kFloat);
    const at::Tensor similar = at::mm(features, features.t()) / model_.temperature();
    at::Tensor hidden = at::eye(similar.size(0), at::dtype(at::kBool).device(similar.device()));
    if (input.image_ids.defined()) {
      const at::Tensor ids = input.image_ids.to(similar.device());
      hidden = hidden.logical_or(ids.unsqueeze(0).eq(ids.unsqueeze(1)));
    }
    step.weights = similar.softmax(1).masked_fill(hidden, 0.0);
    step.assignment = draws.draw(step.weights);
  }
  const TextStates texts = encoders.encode_text(PackedText::packed(input.texts, model_.device()), dropout);
  const at::Tensor fused = fuse_statements(encoders, texts, encoders.text.image_kv(image.fusion_rows()),
                                           FusedImages(image), step.assignment.first, step.assignment.second, dropout);
  step.logits = head_(fused);
  const at::Tensor labels = to_device(at::tensor(step.assignment.labels, at::kLong), step.logits.device());
  step.loss = at::cross_entropy_loss(step.logits.to(at::kFloat), labels);
  return step;
}

}  // namespace vicha

#include "align/align_task.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "align/contrast.h"

namespace vicha {
namespace {

constexpr std::int64_t kEmbedBlock = 4096;

/// A head, and if wanted its mean over steps.
void add_head(ParameterStore& store, const char* name, std::int64_t width, const AlignOptions& options,
              const HeadOptions& head, std::optional<Head>& online, std::optional<Head>& mean) {
  const ParameterStore::Scope heads(store, "heads"), scope(store, name);
  const auto make = [&](const std::string& suffix) {
    return Head(store, name + suffix, width, options.embed_dim, head);
  };
  if (options.ema > 0.0) {
    Twins<Head> twins = store.add_twins(make);
    online = std::move(twins.online);
    mean = std::move(twins.momentum);
  } else {
    online = make("");
  }
}

at::Tensor embed(const Head& head, const Standardisation& moments, const at::Tensor& features) {
  const at::NoGradGuard no_grad;
  return head(moments(features.to(moments.mean.device())));
}

at::Tensor embed_all(const Head& head, const Standardisation& moments, const FeatureMatrix& features,
                     std::int64_t embed_dim) {
  const at::Tensor all = at::empty({features.rows(), embed_dim}, at::kFloat);
  for (std::int64_t begin = 0; begin < features.rows(); begin += kEmbedBlock) {
    const std::int64_t end = std::min(features.rows(), begin + kEmbedBlock);
    all.slice(0, begin, end).copy_(embed(head, moments, features.block(begin, end)));
  }
  return all;
}

const Head& used(const std::optional<Head>& mean, const std::optional<Head>& online) { return mean ? *mean : *online; }

}  // namespace

AlignModel::AlignModel(const AlignOptions& options, const FeatureWidths& widths, std::int64_t seed)
    : options_(options),
      store_(static_cast<std::uint64_t>(seed)),
      image_moments_(store_, "image_features", widths.image),
      text_moments_(store_, "text_features", widths.text) {
  add_head(store_, "image_head", widths.image, options, options.image_head, image_head_, image_mean_);
  add_head(store_, "text_head", widths.text, options, options.text_head, text_head_, text_mean_);
  // One element and not a scalar, so that they are not decayed.
  const ParameterStore::Scope scope(store_, "contrast");
  const at::NoGradGuard no_grad;
  log_scale_ = store_.add("contrast.log_scale", {1}, Init::kZeros);
  log_scale_.fill_(-std::log(options.contrast.temperature));
  if (options.contrast.loss == ContrastLoss::kSigmoid) {
    bias_ = store_.add("contrast.bias", {1}, Init::kZeros);
    bias_.fill_(options.contrast.bias);
  }
}

void AlignModel::set_moments(const FeatureMoments& image, const FeatureMoments& text) const {
  if (!options_.standardise) return;
  image_moments_.set(image.mean, image.deviation);
  text_moments_.set(text.mean, text.deviation);
}

at::Tensor AlignModel::embed_images(const at::Tensor& features_BD) const {
  return embed(used(image_mean_, image_head_), image_moments_, features_BD);
}
at::Tensor AlignModel::embed_texts(const at::Tensor& features_BD) const {
  return embed(used(text_mean_, text_head_), text_moments_, features_BD);
}
at::Tensor AlignModel::embed_images(const FeatureMatrix& features) const {
  return embed_all(used(image_mean_, image_head_), image_moments_, features, options_.embed_dim);
}
at::Tensor AlignModel::embed_texts(const FeatureMatrix& features) const {
  return embed_all(used(text_mean_, text_head_), text_moments_, features, options_.embed_dim);
}

at::Tensor AlignModel::scale() const { return log_scale_.detach().exp(); }

AlignTask::AlignTask(AlignModel& model, RecipeTexts texts, const Group& group, EarlyStop* early_stop)
    : model_(model), texts_(std::move(texts)), group_(group), early_stop_(early_stop) {}

/// Before the step's update, as the momentum copies of pretraining do.
void AlignTask::follow() const {
  std::vector<at::Tensor> means, online;
  for (const auto& [mean, original] : model_.store_.twins()) {
    means.push_back(model_.store_.value(mean));
    online.push_back(model_.store_.value(original));
  }
  if (!means.empty()) at::_foreach_lerp_(means, online, 1.0 - model_.options_.ema);
}

Losses AlignTask::step(const Batch& batch, const StepContext& context) {
  const ContrastOptions& options = model_.options_.contrast;
  {
    const at::NoGradGuard no_grad;
    model_.log_scale_.clamp_max_(-std::log(options.min_temperature));
    follow();
  }
  const auto& features = batch.get<FeatureTargets>();
  const Dropout image_dropout(model_.options_.image_head.dropout, context.rng),
      text_dropout(model_.options_.text_head.dropout, context.rng);
  const at::Tensor image = (*model_.image_head_)(model_.image_moments_(features.image), image_dropout);
  const at::Tensor text = (*model_.text_head_)(model_.text_moments_(features.text), text_dropout);
  const at::Tensor scale = model_.log_scale_.exp();
  const ContrastTiles tiles{.side = options.tile};
  const bool sigmoid = options.loss == ContrastLoss::kSigmoid;
  const ContrastResult result = sigmoid
                                    ? sigmoid_contrast(image, text, scale, model_.bias_, features.groups, group_, tiles)
                                    : info_nce(image, text, scale, features.groups, group_, tiles);
  Losses losses;
  losses.total = result.loss;
  losses.terms = {{"contrast", result.loss.detach()}};
  losses.measures = {{"temperature", scale.detach().reciprocal().squeeze(0)}};
  if (sigmoid) losses.measures.emplace_back("bias", model_.bias_.detach().clone().squeeze(0));
  losses.measures.emplace_back("image_accuracy", result.image_accuracy);
  losses.measures.emplace_back("text_accuracy", result.text_accuracy);
  return losses;
}

void AlignTask::save_state(StateDict& state) const {
  if (early_stop_ != nullptr) early_stop_->save_state(state);
}

void AlignTask::load_state(const StateDict& state) {
  if (early_stop_ != nullptr) early_stop_->load_state(state);
}

}  // namespace vicha

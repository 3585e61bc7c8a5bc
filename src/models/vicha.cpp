#include "models/vicha.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "nn/kernels.h"

namespace vicha {
namespace {

/// "visual_encoder_m.x" -> "visual_encoder.x"; "" for a name that is not of a momentum copy.
std::string online_name(const std::string& name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos || dot < 2 || name.compare(dot - 2, 2, "_m") != 0) return "";
  return name.substr(0, dot - 2) + name.substr(dot);
}

std::optional<ConceptEncoder> concept_encoder(ParameterStore& store, const ModelOptions& options,
                                              const std::string& suffix) {
  if (!options.concepts.enabled) return std::nullopt;
  return ConceptEncoder(store, "kw_encoder" + suffix + ".", "kw_proj" + suffix + ".", options.text, options.concepts,
                        options.vit.width);
}

at::Tensor normalised_noise(std::int64_t embed_dim, std::int64_t length, Rng& rng) {
  at::Tensor x = at::empty({embed_dim, length}, at::kFloat);
  float* p = x.data_ptr<float>();
  for (std::int64_t i = 0; i < x.numel(); ++i) p[i] = static_cast<float>(rng.normal());
  return x / x.norm(2, {0}, true);
}

/// Number of the BERT layer, counted through text and fusion encoder, that a parameter is of.
std::optional<std::int64_t> bert_layer(std::string_view name) {
  constexpr std::string_view kLayer = "text_encoder.bert.encoder.layer.";
  if (!name.starts_with(kLayer)) return std::nullopt;
  return std::stoll(std::string(name.substr(kLayer.size())));
}

bool is_itm_head(std::string_view name) { return name.starts_with("itm_head."); }
bool is_mlm_head(std::string_view name) { return name.starts_with("text_encoder.cls."); }
bool is_mae_decoder(std::string_view name) {
  return name == "mask_token" || name.starts_with("decoder_") || name.starts_with("mae_proj");
}

ModelOptions checked(const ModelOptions& options) {
  options.check();
  return options;
}

}  // namespace

Encoders::Encoders(ParameterStore& store, const ModelOptions& options, const std::string& suffix)
    : vit(store, "visual_encoder" + suffix + ".", options.vit),
      text(store, "text_encoder" + suffix + ".", options.text, options.vit.width),
      concepts(concept_encoder(store, options, suffix)),
      vision_proj(
          add_linear(store, "vision_proj" + suffix + ".", options.vit.width, options.embed_dim, Init::kLinearDefault)),
      text_proj(
          add_linear(store, "text_proj" + suffix + ".", options.text.width, options.embed_dim, Init::kLinearDefault)) {}

Queue::Queue(ParameterStore& store, std::int64_t embed_dim, std::int64_t length, bool ids, Rng& rng)
    : images_(store.add_buffer("image_queue", normalised_noise(embed_dim, length, rng))),
      texts_(store.add_buffer("text_queue", normalised_noise(embed_dim, length, rng))) {
  if (ids) ids_ = store.add_buffer("idx_queue", at::full({1, length}, -100, at::kLong));
  pointer_ = store.add_buffer("queue_ptr", at::zeros({1}, at::kLong));
}

void Queue::push(const at::Tensor& image_feat, const at::Tensor& text_feat, const at::Tensor& ids) {
  const at::NoGradGuard guard;
  const std::int64_t length = images_.size(1), batch = image_feat.size(0);
  const at::Tensor at = (at::arange(batch, pointer_.options()) + pointer_).remainder(length);
  images_.index_copy_(1, at, image_feat.t().to(at::kFloat));
  texts_.index_copy_(1, at, text_feat.t().to(at::kFloat));
  if (ids_.defined() && ids.defined()) ids_.index_copy_(1, at, ids.view({1, -1}).to(ids_.device()));
  pointer_.add_(batch).remainder_(length);
}

Vicha::Vicha(const ModelOptions& options, std::uint64_t seed)
    : options_(checked(options)),
      store_(seed),
      init_rng_(mix_seed({seed, 1})),
      temperature(store_.add("temp", {}, Init::kZeros)),
      online(store_, options, ""),
      momentum(store_, options, "_m"),
      itm_head(add_linear(store_, "itm_head.", options.text.width, 2, Init::kLinearDefault)),
      queue(store_, options.embed_dim, options.queue_size, options.queue_ids, init_rng_) {
  const at::NoGradGuard guard;
  temperature.fill_(options.temperature);
  for (std::int64_t i = 0; i < options.hierarchical_levels; ++i) {
    const std::string level = std::to_string(i) + ".";
    vision_proj_hidden.push_back(
        add_linear(store_, "vision_proj_hidden." + level, options.vit.width, options.embed_dim, Init::kLinearDefault));
    text_proj_hidden.push_back(
        add_linear(store_, "text_proj_hidden." + level, options.text.width, options.embed_dim, Init::kLinearDefault));
  }
  if (options.mae != MaeVariant::kNone) {
    mae = std::make_unique<MaeDecoder>(store_, options.vit, options.mae_decoder, options.mae);
  }
  for (const Parameter& p : store_.parameters()) {
    const std::string source = online_name(p.name);
    if (source.empty()) continue;
    at::Tensor copy = p.value;
    copy.set_requires_grad(false);
    pairs_.emplace_back(copy, store_.parameter(source).value);
  }
  reset_momentum();
}

void Vicha::reset_momentum() {
  const at::NoGradGuard guard;
  for (auto& [copy, source] : pairs_) copy.copy_(source);
}

void Vicha::update_momentum() {
  const at::NoGradGuard guard;
  const float rate = static_cast<float>(1.0 - options_.momentum);
  // The copy of a parameter that does not learn has been equal to it from the start.
  const auto learns = [](const std::pair<at::Tensor, at::Tensor>& pair) { return pair.second.requires_grad(); };
  if (!temperature.is_cpu()) {
    std::vector<at::Tensor> copies, sources;
    for (const auto& pair : pairs_) {
      if (!learns(pair)) continue;
      copies.push_back(pair.first);
      sources.push_back(pair.second);
    }
    at::_foreach_lerp_(copies, sources, rate);
    return;
  }
  // One parallel region over all parameters: cut into runs so that threads get equal shares.
  struct Run {
    float* copy;
    const float* source;
    std::int64_t n;
  };
  constexpr std::int64_t kRun = 1 << 16;
  std::vector<Run> runs;
  for (const auto& pair : pairs_) {
    if (!learns(pair)) continue;
    const auto& [copy, source] = pair;
    const std::int64_t n = copy.numel();
    for (std::int64_t at = 0; at < n; at += kRun) {
      runs.push_back({copy.data_ptr<float>() + at, source.data_ptr<float>() + at, std::min(kRun, n - at)});
    }
  }
  at::parallel_for(0, static_cast<std::int64_t>(runs.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Run& run = runs[static_cast<std::size_t>(i)];
      kernels::ema_row(run.copy, run.source, rate, run.n);
    }
  });
}

void Vicha::clamp_temperature() {
  const at::NoGradGuard guard;
  temperature.clamp_(0.001, 0.5);
}

bool Vicha::is_text_layer(std::string_view name) const {
  const auto layer = bert_layer(name);
  return layer && *layer < options_.text.text_layers;
}

bool Vicha::is_fusion_layer(std::string_view name) const {
  const auto layer = bert_layer(name);
  return layer && *layer >= options_.text.text_layers;
}

void Vicha::set_fusion_lr_scale(double scale) {
  for (std::size_t i = 0; i < store_.parameters().size(); ++i) {
    const std::string& name = store_.parameters()[i].name;
    if (is_fusion_layer(name) || is_itm_head(name) || is_mlm_head(name)) store_.set_lr_scale(i, scale);
  }
}

void Vicha::set_starts(const Starts& starts) {
  for (std::size_t i = 0; i < store_.parameters().size(); ++i) {
    const std::string& name = store_.parameters()[i].name;
    if (is_fusion_layer(name)) store_.set_begin(i, starts.fusion);
    if (is_itm_head(name)) store_.set_begin(i, starts.itm_head);
    if (is_mlm_head(name)) store_.set_begin(i, starts.mlm_head);
    if (is_mae_decoder(name)) store_.set_begin(i, starts.mae_decoder);
  }
}

void Vicha::freeze(std::string_view part) {
  const auto belongs = [&](const std::string& name) {
    if (part == "image") return name.starts_with("visual_encoder.");
    if (part == "text") return name.starts_with("text_encoder.bert.embeddings.") || is_text_layer(name);
    if (part == "fusion") return is_fusion_layer(name);
    if (part == "concept_encoder") return name.starts_with("kw_encoder.");
    if (part == "concepts") return name.starts_with("kw_encoder.") || name.starts_with("kw_proj.");
    if (part == "mlm_head") return is_mlm_head(name);
    throw UsageError(fmt::format(
        "freeze: unknown part '{}': one of image, text, fusion, concepts, concept_encoder, mlm_head", part));
  };
  for (const Parameter& p : store_.parameters()) {
    if (belongs(p.name)) at::Tensor(p.value).set_requires_grad(false);
  }
  if (part == "text") text_frozen_ = true;
}

}  // namespace vicha

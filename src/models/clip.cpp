#include "models/clip.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "models/image_pipeline.h"
#include "models/in_parts.h"
#include "nn/linear.h"
#include "nn/position.h"

namespace vicha {
namespace {

/// Values of weights that will be loaded do not matter, and drawing many takes seconds.
Init drawn(const std::optional<std::uint64_t>& seed) { return seed ? Init::kNormal002 : Init::kZeros; }

constexpr double kFirstLogitScale = 2.6592600369327779;  // ln(1 / 0.07)

}  // namespace

Clip::Clip(const ClipOptions& o, std::optional<std::uint64_t> seed)
    : options_(o),
      store_(std::make_unique<ParameterStore>(seed.value_or(0))),
      class_embedding_(store_->add("visual.class_embedding", {o.vision.width}, drawn(seed))),
      image_positions_(store_->add("visual.positional_embedding", {o.tokens(), o.vision.width}, drawn(seed))),
      patch_kernel_(store_->add("visual.conv1.weight", {o.vision.width, 3, o.patch, o.patch}, drawn(seed))),
      image_norm_before_(add_layer_norm(*store_, "visual.ln_pre.", o.vision.width, o.vision.eps)),
      image_norm_after_(add_layer_norm(*store_, "visual.ln_post.", o.vision.width, o.vision.eps)),
      image_(*store_, "visual.transformer.", o.vision, drawn(seed)),
      image_projection_(store_->add("visual.proj", {o.vision.width, o.embed}, drawn(seed))),
      words_(store_->add("token_embedding.weight", {o.vocabulary, o.text.width}, drawn(seed))),
      text_positions_(store_->add("positional_embedding", {o.context, o.text.width}, drawn(seed))),
      text_(*store_, "transformer.", o.text, drawn(seed)),
      text_norm_after_(add_layer_norm(*store_, "ln_final.", o.text.width, o.text.eps)),
      text_projection_(store_->add("text_projection", {o.text.width, o.embed}, drawn(seed))),
      logit_scale_(store_->add("logit_scale", {}, Init::kZeros)) {
  check_clip_options(o, "a CLIP");
  const at::NoGradGuard no_grad;
  logit_scale_.fill_(kFirstLogitScale);
}

void Clip::check_pixels(const at::Tensor& pixels) const {
  if (pixels.dim() == 4 && pixels.size(1) == 3 && pixels.size(2) == options_.image_res &&
      pixels.size(3) == options_.image_res) {
    return;
  }
  throw DataError("pictures", fmt::format("have the shape ({}), but this CLIP reads (B, 3, {}, {})",
                                          fmt::join(pixels.sizes(), ", "), options_.image_res, options_.image_res));
}

at::Tensor Clip::checked_ids(const at::Tensor& given) const {
  if (given.dim() != 2 || given.size(1) == 0 || given.size(1) > options_.context) {
    throw DataError("texts", fmt::format("have token ids of the shape ({}), but this CLIP reads (n, 1 to {})",
                                         fmt::join(given.sizes(), ", "), options_.context));
  }
  at::Tensor ids = given.to(at::kCPU, at::kLong).contiguous();
  if (ids.numel() == 0) return ids;
  if (options_.reads_padding() && ids.size(1) < options_.context) {
    ids = at::constant_pad_nd(ids, {0, options_.context - ids.size(1)});
  }
  const auto low = ids.min().item<std::int64_t>(), high = ids.max().item<std::int64_t>();
  if (low < 0 || high >= options_.vocabulary) {
    throw DataError(
        "texts",
        fmt::format("hold the token id {}, but this CLIP knows 0 to {}", low < 0 ? low : high, options_.vocabulary - 1),
        "The tokenizer belongs to another model");
  }
  return ids;
}

std::vector<std::int64_t> Clip::pooled_at(const at::Tensor& given) const {
  const at::Tensor ids = checked_ids(given);
  const std::int64_t length = ids.size(1);
  const std::int64_t* row = ids.data_ptr<std::int64_t>();
  if (options_.text_pool != TextPool::kEnd) {
    const std::int64_t place = options_.text_pool == TextPool::kFirst ? 0 : length - 1;
    return std::vector<std::int64_t>(static_cast<std::size_t>(ids.size(0)), place);
  }
  std::vector<std::int64_t> pooled;
  for (std::int64_t i = 0; i < ids.size(0); ++i, row += length) {
    const std::int64_t* at = std::max_element(row, row + length);
    if (options_.end_id) {
      at = std::find(row, row + length, *options_.end_id);
      if (at == row + length) at = row;  // as transformers does with a text that has no end
    }
    pooled.push_back(at - row);
  }
  return pooled;
}

at::Tensor Clip::image_tokens(const at::Tensor& pixels) const {
  const std::int64_t batch = pixels.size(0), width = options_.vision.width;
  const at::Tensor patches =
      matmul_nt(unfold_patches(pixels.to(device(), at::kFloat), options_.patch), patch_kernel_.flatten(1));
  at::Tensor tokens = at::empty({batch, options_.tokens(), width}, patch_kernel_.options());
  tokens.select(1, 0).copy_(class_embedding_ + image_positions_[0]);
  at::Tensor rest = tokens.slice(1, 1);
  at::add_out(rest, patches.view({batch, -1, width}), image_positions_.slice(0, 1));
  return tokens;
}

at::Tensor Clip::mean_token(const at::Tensor& tokens_BSD) const {
  return tokens_BSD.slice(1, options_.image_pool == ImagePool::kPatches ? 1 : 0).mean(1);
}

at::Tensor Clip::encode_block(const at::Tensor& pixels) const {
  const std::int64_t batch = pixels.size(0), length = options_.tokens();
  const at::Tensor stream =
      image_norm_before_(image_tokens(pixels).view({batch * length, options_.vision.width})).to(at::kFloat);
  const SegmentsPtr segments = Segments::uniform(batch, length);
  at::Tensor pooled;
  if (options_.image_pool == ImagePool::kClassToken) {
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < batch; ++i) rows.push_back(i * length);
    pooled = image_.pooled(stream, segments, rows, image_norm_after_);
  } else {
    const ResidualNorm last = image_.all(stream, segments, image_norm_after_);
    const at::Tensor rows = options_.norm_after_pool ? last.sum : last.out;
    pooled = mean_token(rows.view({batch, length, -1}).to(at::kFloat));
    pooled = options_.norm_after_pool ? image_norm_after_(pooled) : pooled.to(last.out.scalar_type());
  }
  return matmul_nt(pooled, image_projection_.t()).to(at::kFloat);
}

at::Tensor Clip::encode_image(const at::Tensor& pixels) const {
  check_pixels(pixels);
  const at::NoGradGuard no_grad;
  at::Tensor out = at::empty({pixels.size(0), options_.embed}, patch_kernel_.options());
  if (pixels.size(0) == 0) return out;
  in_parts(
      pixels.size(0), device(), [&](std::int64_t) { return options_.tokens(); },
      [&](std::int64_t begin, std::int64_t end) {
        out.slice(0, begin, end).copy_(encode_block(pixels.slice(0, begin, end)));
      });
  return out;
}

at::Tensor Clip::encode_texts(const at::Tensor& ids, const std::vector<std::int64_t>& pooled) const {
  std::vector<std::int64_t> lengths, rows;
  std::vector<at::Tensor> words, positions;
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < pooled.size(); ++i) {
    lengths.push_back(options_.text_causal ? pooled[i] + 1 : ids.size(1));
    words.push_back(ids[static_cast<std::int64_t>(i)].slice(0, 0, lengths.back()));
    positions.push_back(text_positions_.slice(0, 0, lengths.back()));
    begin += lengths.back();
    rows.push_back(begin - lengths.back() + pooled[i]);
  }
  const at::Tensor stream = at::embedding(words_, at::cat(words).to(device())) + at::cat(positions);
  const SegmentsPtr segments = options_.text_causal ? Segments::causal_packed(lengths) : Segments::packed(lengths);
  const at::Tensor states = text_.pooled(stream, segments, rows, text_norm_after_);
  return matmul_nt(states, text_projection_.t()).to(at::kFloat);
}

at::Tensor Clip::encode_text(const at::Tensor& given) const {
  const at::NoGradGuard no_grad;
  const at::Tensor ids = checked_ids(given);
  const std::vector<std::int64_t> pooled = pooled_at(ids);
  at::Tensor out = at::empty({ids.size(0), options_.embed}, words_.options());
  if (pooled.empty()) return out;
  in_parts(
      ids.size(0), device(),
      [&](std::int64_t i) { return options_.text_causal ? pooled[static_cast<std::size_t>(i)] + 1 : ids.size(1); },
      [&](std::int64_t begin, std::int64_t end) {
        out.slice(0, begin, end)
            .copy_(encode_texts(ids.slice(0, begin, end), {pooled.begin() + begin, pooled.begin() + end}));
      });
  return out;
}

std::int64_t Clip::batch() const { return images_at_once(options_.tokens(), device()); }

double Clip::logit_scale() const { return std::exp(logit_scale_.item<double>()); }

Clip::States Clip::image_states(const at::Tensor& pixels) const {
  check_pixels(pixels);
  const at::NoGradGuard no_grad;
  const auto norm = [](const LayerNorm& n, const at::Tensor& x) {
    return at::layer_norm(x, {x.size(-1)}, n.weight, n.bias, n.eps);
  };
  States states;
  const at::Tensor patches = at::conv2d(pixels.to(device(), at::kFloat), patch_kernel_, {}, options_.patch);
  const at::Tensor first = class_embedding_.expand({pixels.size(0), 1, options_.vision.width});
  const at::Tensor tokens = at::cat({first, patches.flatten(2).transpose(1, 2)}, 1) + image_positions_;
  states.hidden = image_.plain(norm(image_norm_before_, tokens), false);
  states.normed = norm(image_norm_after_, states.hidden.back());
  if (options_.image_pool == ImagePool::kClassToken) {
    states.pooled = states.normed.select(1, 0);
  } else if (options_.norm_after_pool) {
    states.pooled = norm(image_norm_after_, mean_token(states.hidden.back()));
  } else {
    states.pooled = mean_token(states.normed);
  }
  states.features = at::mm(states.pooled, image_projection_);
  return states;
}

Clip::States Clip::text_states(const at::Tensor& given) const {
  const at::NoGradGuard no_grad;
  const at::Tensor ids = checked_ids(given).to(device());
  const at::Tensor at = at::tensor(pooled_at(ids), at::kLong).to(device());
  States states;
  states.hidden =
      text_.plain(at::embedding(words_, ids) + text_positions_.slice(0, 0, ids.size(1)), options_.text_causal);
  states.normed = at::layer_norm(states.hidden.back(), {options_.text.width}, text_norm_after_.weight,
                                 text_norm_after_.bias, text_norm_after_.eps);
  states.pooled = states.normed.index({at::arange(ids.size(0), at.options()), at});
  states.features = at::mm(states.pooled, text_projection_);
  return states;
}

}  // namespace vicha

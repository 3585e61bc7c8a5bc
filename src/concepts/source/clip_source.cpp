#include "concepts/source/clip_source.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/threads.h"
#include "concepts/source/clip_view.h"
#include "models/weights_hash.h"

namespace vicha {
namespace {

constexpr std::string_view kScaledView = ", JPEG at scale";

constexpr const char* kTokenizerFiles[] = {"tokenizer.json", "vocab.json", "bpe_simple_vocab_16e6.txt.gz",
                                           "bpe_simple_vocab_16e6.txt"};

/// Where a tokenizer lies beside the weights, or an empty path.
fs::path tokenizer_beside(const fs::path& weights) {
  const fs::path folder = fs::is_directory(weights) ? weights : weights.parent_path();
  for (const char* name : kTokenizerFiles) {
    if (fs::is_regular_file(folder / name)) return folder / name;
  }
  return {};
}

std::string tower_text(const ClipTowerOptions& tower) {
  return fmt::format("{} heads, {}, eps {}", tower.heads, tower.activation == Activation::kGelu ? "gelu" : "quick_gelu",
                     tower.eps);
}

/// What differs from OpenAI's models; empty for theirs, so that their identity is what it has always been.
std::string pooling_text(const ClipOptions& o) {
  std::string text;
  if (!o.text_causal) text += "; texts see what follows";
  if (o.text_pool != TextPool::kEnd) text += o.text_pool == TextPool::kFirst ? "; first token" : "; last token";
  if (o.image_pool != ImagePool::kClassToken) {
    text += o.image_pool == ImagePool::kPatches ? "; mean of patches" : "; mean of all tokens";
    if (o.norm_after_pool) text += ", then norm";
  }
  return text;
}

NativeImage native_of(const Image& image) {
  constexpr PixelMode kModes[] = {PixelMode::kGrey, PixelMode::kGreyAlpha, PixelMode::kRgb, PixelMode::kRgba};
  VICHA_ASSERT(image.channels >= 1 && image.channels <= 4);
  NativeImage native;
  native.mode = kModes[image.channels - 1];
  native.pixels = image;
  return native;
}

}  // namespace

bool decodes_exactly(std::string_view view) { return !view.ends_with(kScaledView); }

std::string clip_sha256(const Clip& clip) {
  const ClipOptions& o = clip.options();
  return weights_sha256(clip.parameters(), fmt::format("clip: pictures {}; texts {}; end {}{}", tower_text(o.vision),
                                                       tower_text(o.text), o.end_id.value_or(-1), pooling_text(o)));
}

std::unique_ptr<ClipSource> ClipSource::open(const fs::path& weights, const ClipSourceOptions& options) {
  LoadedClip loaded = load_clip(weights, options.config);
  const fs::path file = options.tokenizer.empty() ? tokenizer_beside(weights) : options.tokenizer;
  std::optional<ClipBpe> tokenizer;
  if (!file.empty()) {
    tokenizer = ClipBpe::load(file);
    if (tokenizer->size() != loaded.clip->options().vocabulary) {
      throw DataError(file.string(),
                      fmt::format("is a tokenizer of {} tokens, but the CLIP in {} knows {}", tokenizer->size(),
                                  weights.string(), loaded.clip->options().vocabulary),
                      "Give the tokenizer that came with the weights");
    }
  }
  const auto side = static_cast<int>(loaded.clip->options().image_res);
  const FoundClipView found = find_clip_view(weights, loaded.config, side);
  if (const std::string differs = found.view.describe(); !differs.empty()) {
    log::info("{}: pictures are made ready as it says{}", found.file.string(), differs);
  }
  return std::make_unique<ClipSource>(std::move(loaded.clip), std::move(tokenizer), options.exact, found.view);
}

ClipSource::ClipSource(std::unique_ptr<Clip> clip, std::optional<ClipBpe> tokenizer, bool exact, ClipView view)
    : clip_(std::move(clip)),
      tokenizer_(std::move(tokenizer)),
      exact_(exact),
      view_(view),
      normalizer_(view_.mean, view_.std),
      scale_(clip_->logit_scale()) {
  if (view_.side == 0) view_.side = side();
  VICHA_ASSERT(view_.side == side());
  weights_.kind = "clip";
  weights_.name = fmt::format("{}, {:.0f} M parameters", clip_->options().name(),
                              static_cast<double>(clip_->options().parameters()) * 1e-6);
  weights_.sha256 = clip_sha256(*clip_);
  weights_.view = fmt::format("clip {}{}{}", side(), view_.describe(), exact ? "" : kScaledView);
}

void ClipSource::prepare(std::span<const std::uint8_t> bytes, std::string_view name, std::span<float> out) const {
  DecodeOptions how;
  if (!exact_) how.least_side = clip_least_side(view_.resized_to());
  normalizer_.apply(clip_crop(decode_native(bytes, name, how), view_), out);
}

void ClipSource::prepare(const Image& image, std::span<float> out) const {
  normalizer_.apply(clip_crop(native_of(image), view_), out);
}

at::Tensor ClipSource::embed_images(const at::Tensor& pixels) {
  std::unique_lock turn(on_device_, std::defer_lock);
  if (!clip_->device().is_cpu()) turn.lock();  // a device has memory for one batch rather than for one of each thread
  return clip_->encode_image(pixels).cpu();
}

at::Tensor ClipSource::embed_texts(std::span<const std::string> texts) {
  if (!tokenizer_) {
    throw DataError(weights_.describe(), "has no tokenizer, so texts cannot be embedded",
                    "Put bpe_simple_vocab_16e6.txt.gz (of OpenAI's clip package) or the model's tokenizer.json beside "
                    "the weights, or say where it is (--bpe FILE)");
  }
  if (texts.empty()) return at::empty({0, width()}, at::kFloat);
  const auto context = static_cast<std::size_t>(clip_->options().context);
  std::vector<std::vector<std::int64_t>> tokens;
  std::size_t longest = 1;
  for (const std::string& text : texts) {
    tokens.push_back(tokenizer_->tokenize(text, std::min(context, ClipBpe::kContextLength)));
    longest = std::max(longest, tokens.back().size());
  }
  const at::Tensor ids =
      at::zeros({static_cast<std::int64_t>(texts.size()), static_cast<std::int64_t>(longest)}, at::kLong);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    std::copy(tokens[i].begin(), tokens[i].end(), ids.data_ptr<std::int64_t>() + i * longest);
  }
  return clip_->encode_text(ids).cpu();
}

}  // namespace vicha

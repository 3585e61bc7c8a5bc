// CLIP as a source of concepts: its two towers, its preprocessing, its tokenizer.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "concepts/source/source.h"
#include "image/clip_preprocess.h"
#include "models/clip.h"
#include "text/clip_bpe/clip_bpe.h"

namespace vicha {

struct ClipSourceOptions {
  /// The byte-pair vocabulary (text/clip_bpe/clip_bpe.h); empty: looked for beside the weights. Without one only
  /// images can be embedded.
  std::filesystem::path tokenizer;
  /// config.json or open_clip_config.json; empty: looked for beside the weights. How images are made ready is read from
  /// it or from what lies beside it (clip_view.h).
  std::filesystem::path config;
  /// Decode every pixel of a JPEG, as OpenAI's code does. Otherwise large ones are decoded at 1/2 or 1/4 within
  /// the tolerance that image/clip_preprocess.h states for clip_least_side. Part of the identity.
  bool exact = false;
};

/// Any number of threads may share one, embed_* included.
class ClipSource final : public ConceptSource {
 public:
  /// Reads the weights (load_clip) and hashes them. Throws DataError as load_clip does, or if the tokenizer cannot be
  /// read or has another number of tokens than the model.
  static std::unique_ptr<ClipSource> open(const std::filesystem::path& weights, const ClipSourceOptions& options = {});
  /// `view`: OpenAI's way where none is given; its side is the model's.
  ClipSource(std::unique_ptr<Clip> clip, std::optional<ClipBpe> tokenizer, bool exact, ClipView view = {});

  const SourceWeights& weights() const override { return weights_; }
  std::int64_t width() const override { return clip_->options().embed; }
  int side() const override { return static_cast<int>(clip_->options().image_res); }
  double scale() const override { return scale_; }

  void prepare(std::span<const std::uint8_t> bytes, std::string_view name, std::span<float> out) const override;
  void prepare(const Image& image, std::span<float> out) const override;

  std::int64_t batch() const override { return clip_->batch(); }
  at::Tensor embed_images(const at::Tensor& pixels) override;
  /// Throws DataError if there is no tokenizer.
  at::Tensor embed_texts(std::span<const std::string> texts) override;

  const Clip& clip() const { return *clip_; }
  void to(const at::Device& device) { clip_->to(device); }

 private:
  std::unique_ptr<Clip> clip_;
  std::optional<ClipBpe> tokenizer_;
  bool exact_;
  ClipView view_;
  Normalizer normalizer_;
  double scale_;
  SourceWeights weights_;
  std::mutex on_device_;
};

/// Whether a source of this view (SourceWeights::view) decodes every pixel.
bool decodes_exactly(std::string_view view);

/// Of names, types, shapes and values of a model's tensors and of what else decides on its results (heads, activation,
/// epsilon, end id, masks, pooling): equal for the same weights under other names, in another file or stored as fp16.
std::string clip_sha256(const Clip& clip);

}  // namespace vicha

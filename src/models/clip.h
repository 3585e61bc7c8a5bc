// CLIP (Radford et al. 2021) with a ViT: images and texts into one space; method.md, section 6. Inference only: no
// gradient is recorded. Products run in the type that nn/precision says (fp32, or bf16 in a Bf16Scope).
// B images, S pixels a side, n texts, L tokens of each, E width of the space.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/names/load_report.h"
#include "models/clip_tower.h"

namespace vicha {

class Clip {
 public:
  /// Random weights, or zeros (to be loaded) without a seed. Throws DataError if the sizes do not fit each other.
  explicit Clip(const ClipOptions& options, std::optional<std::uint64_t> seed = std::nullopt);

  /// (B, 3, S, S), normalised, S = options().image_res -> (B, E) fp32, not normalised. Where the class token is the
  /// feature, it alone goes through the last layer. On a CPU each thread carries its share of the images through the
  /// whole tower; called from inside of a parallel region, it runs on the calling thread alone. Throws DataError on
  /// pixels of another size.
  at::Tensor encode_image(const at::Tensor& pixels) const;

  /// Token ids (n, L), L <= options().context, padded with anything behind the end -> (n, E) fp32, not normalised.
  /// Nothing behind the pooled token is computed: earlier tokens do not see it. Models for which it counts
  /// (options().reads_padding()) read zeros up to options().context. Threads as in encode_image. Throws
  /// DataError on too many tokens and on ids out of the vocabulary.
  at::Tensor encode_text(const at::Tensor& ids) const;

  /// Images that go through the tower together at best, on a CPU those of one thread: what an ImagePipeline takes at
  /// a time.
  std::int64_t batch() const;

  /// What cosines are multiplied by: exp of the stored parameter.
  double logit_scale() const;

  /// Where the feature of each text is read: the first end token, else (no end id is known) the first largest id; or
  /// the first or last of all, as options().text_pool says.
  std::vector<std::int64_t> pooled_at(const at::Tensor& ids) const;

  /// Every state, by plain operations and in full (padding included).
  struct States {
    std::vector<at::Tensor> hidden;  ///< (B, S, D): before the first layer, after it, … after the last
    at::Tensor normed;               ///< (B, S, D): the last one after the final norm
    at::Tensor pooled;               ///< (B, D): of `normed`, or of the last one and then normed
    at::Tensor features;             ///< (B, E)
  };
  States image_states(const at::Tensor& pixels) const;
  States text_states(const at::Tensor& ids) const;

  const ClipOptions& options() const { return options_; }
  const ParameterStore& parameters() const { return *store_; }
  void to(const at::Device& device) { store_->to(device); }
  at::Device device() const { return class_embedding_.device(); }

 private:
  at::Tensor image_tokens(const at::Tensor& pixels) const;  ///< (B, tokens, D) after the norm before the layers
  at::Tensor encode_block(const at::Tensor& pixels) const;
  at::Tensor mean_token(
      const at::Tensor& tokens_BSD) const;  ///< (B, D): over the tokens that options().image_pool takes
  at::Tensor encode_texts(const at::Tensor& ids, const std::vector<std::int64_t>& pooled) const;
  void check_pixels(const at::Tensor& pixels) const;
  at::Tensor checked_ids(const at::Tensor& ids) const;  ///< int64, contiguous, on the CPU, padded where that counts

  ClipOptions options_;
  std::unique_ptr<ParameterStore> store_;
  at::Tensor class_embedding_, image_positions_, patch_kernel_;
  LayerNorm image_norm_before_, image_norm_after_;
  ClipTower image_;
  at::Tensor image_projection_;  ///< (D, E)
  at::Tensor words_, text_positions_;
  ClipTower text_;
  LayerNorm text_norm_after_;
  at::Tensor text_projection_;  ///< (D, E)
  at::Tensor logit_scale_;
};

struct LoadedClip {
  std::unique_ptr<Clip> clip;
  std::string what;              ///< for people: "ViT-B/32, 151 M parameters (Hugging Face CLIP, config.json)"
  std::filesystem::path config;  ///< the configuration that was used; empty: none
};

/// A CLIP from tensors under anybody's names (checkpoint/names/clip_names.h), fp16 made fp32. `config` is the text of a
/// configuration, or empty. Strict: throws DataError naming `where` and what is missing, left over or of another shape.
std::unique_ptr<Clip> make_clip(const StateDict& tensors, std::string_view where, std::string_view config = {},
                                std::string_view config_where = "config");

/// A file or folder of weights: OpenAI's .pt, a Hugging Face folder, open_clip's folder or file, a safetensors file.
/// The configuration is `config`, or what lies beside the weights: NAME.config.json, config.json,
/// open_clip_config.json. Says by the log what it had to assume.
LoadedClip load_clip(const std::filesystem::path& path, const std::filesystem::path& config = {});

}  // namespace vicha

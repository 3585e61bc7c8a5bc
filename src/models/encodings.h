// Everything the objectives of one step look at, each computed once and only if somebody asks. Passes that share
// weights run together: picture and visible patches through one ViT pass, caption and masked caption through one text
// pass, all image–text pairs and the masked captions through one fusion pass; so every weight is read once and its
// gradient written once. Each such pass equals the separate ones (encodings_test.cpp).
//
// B pairs, S = 1 + N + K image tokens, E embedding, Q queue, V vocabulary, M masked words, D widths.
#pragma once

#include <optional>
#include <vector>

#include "models/batch.h"
#include "models/draws.h"
#include "models/text_cache.h"
#include "models/vicha.h"

namespace vicha {

/// What the objectives of a recipe will ask for; an objective that is off leaves its work undone.
struct Wants {
  bool features = false;         ///< projected class tokens, online and momentum
  bool itm = false;              ///< fused class tokens of positive and negative pairs
  bool mlm = false;              ///< fused states at masked words
  bool mlm_teacher = false;      ///< the momentum model's answer to the same
  bool visible_patches = false;  ///< MAE's pass over the visible patches
  std::int64_t levels = 0;       ///< hidden class tokens for the hierarchical contrast
  bool any_momentum() const { return features || mlm_teacher; }
};

enum class Positives { kIndex, kCaption, kImageId };

struct EncodingOptions {
  double mask_ratio = 0.75;                 ///< share of patches hidden by MAE
  Positives positives = Positives::kIndex;  ///< which pairs of a batch belong together besides the pair itself
  bool packed_text = true;                  ///< false: captions are padded to the longest, the plain path
  bool read_rows_only = true;               ///< false: the last fusion layer runs at every token, the plain path
  bool dropout = true;
};

class Encodings {
 public:
  Encodings(Vicha& model, const Batch& batch, Draws& draws, const Wants& wants, const EncodingOptions& options,
            TextCache* cache = nullptr);

  std::int64_t size() const { return batch_size_; }
  const Batch& batch() const { return batch_; }
  Vicha& model() const { return model_; }
  const Wants& wants() const { return wants_; }

  // Online, one modality.
  struct Image {
    at::Tensor states;                          ///< (B * S, D_image)
    std::int64_t tokens = 0;                    ///< S
    at::Tensor cls;                             ///< (B, D_image)
    std::vector<at::Tensor> hidden;             ///< `levels` x (B, D_image), the states before the last
    at::Tensor concept_hidden, concept_tokens;  ///< (B, K, D_text), (B, K, D_image)
    at::Tensor latent;                          ///< MAE: (B, 1 + visible, D_image)
    at::Tensor patch_order;                     ///< MAE: (B, N)
  };
  struct Text {
    PackedText pack;                 ///< the captions
    at::Tensor states;               ///< (T, D_text)
    at::Tensor cls;                  ///< (B, D_text)
    std::vector<at::Tensor> hidden;  ///< `levels` x (B, D_text)
    PackedText masked_pack;          ///< the masked captions
    at::Tensor masked_states;        ///< (T, D_text)
  };
  const Image& image();
  const Text& text();

  /// Normalised projections (B, E).
  struct Features {
    at::Tensor image, text;
  };
  const Features& features();

  // Momentum, without gradient.
  struct MomentumStates {
    at::Tensor image_states;  ///< (B * S, D_image)
    at::Tensor concept_tokens;
    at::Tensor image_cls, text_cls, text_states;
    Features features;
    at::Tensor masked_states;
  };
  const MomentumStates& momentum();

  /// Cosine over temperature with this batch's momentum features, then the queue: (B, B + Q).
  struct Similarities {
    at::Tensor i2t, t2i;
  };
  const Similarities& similarities();
  /// The same of the momentum features among themselves, without gradient.
  const Similarities& momentum_similarities();

  /// (B, B + Q) or (B, B) bool: which candidates are positives of a row. Undefined for Positives::kIndex.
  at::Tensor positives(bool with_queue);

  // Fusion.
  struct Negatives {
    at::Tensor weights_t2i, weights_i2t;    ///< (B, B), positives zeroed
    std::vector<std::int64_t> image, text;  ///< for each text an image, for each image a text; -1: none
  };
  const Negatives& negatives();
  struct Fused {
    at::Tensor pair_cls;     ///< (3 B, D_text): positives, (negative image, text), (image, negative text)
    at::Tensor masked_rows;  ///< (M, D_text)
    at::Tensor all_rows;     ///< with read_rows_only off: every row of the pass, sequence after sequence
  };
  const Fused& fused();
  /// The momentum model's vocabulary logits at the masked words (M, V), without gradient.
  const at::Tensor& teacher_logits();

  /// Cross-modal MAE: fused states (B * H, D_text) of the hidden patches, H of them in each picture.
  at::Tensor cross_modal_hidden();

 private:
  SegmentsPtr image_segments(std::int64_t tokens) const;
  std::int64_t real_image_tokens(std::int64_t index, std::int64_t tokens) const;
  Dropout dropout();
  PackedText pack(const Tokens& tokens) const;
  at::Tensor fuse_sequences(const Bert& bert, const at::Tensor& states, const std::vector<at::Tensor>& kv,
                            std::int64_t tokens, const struct FusionPlan& plan, at::Tensor* all_rows);
  void encode_text_cached(Text& text);

  Vicha& model_;
  const Batch& batch_;
  Draws& draws_;
  Wants wants_;
  EncodingOptions options_;
  TextCache* cache_;
  std::int64_t batch_size_;
  at::Tensor pixels_;  ///< unfolded once, read by the online and the momentum ViT

  std::optional<Image> image_;
  std::optional<Text> text_;
  std::optional<Features> features_;
  std::optional<MomentumStates> momentum_;
  std::optional<Similarities> similarities_, momentum_similarities_;
  std::optional<Negatives> negatives_;
  std::optional<Fused> fused_;
  at::Tensor teacher_;
};

}  // namespace vicha

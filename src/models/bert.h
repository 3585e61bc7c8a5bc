// Text side: BERT embeddings, text layers, fusion layers; and the concept encoder made of the same parts.
// T rows of packed tokens (no padding), or B * L rows with it; D width.
#pragma once

#include <string>
#include <vector>

#include "models/batch.h"
#include "models/model_options.h"
#include "nn/bert_layer.h"

namespace vicha {

constexpr double kBertEps = 1e-12;

/// Tokens as the encoders read them: rows one after the other.
struct PackedText {
  at::Tensor ids, positions;          ///< (T) int64
  std::vector<std::int64_t> lengths;  ///< real tokens of each sequence
  std::vector<std::int64_t> strides;  ///< rows each sequence takes: its length, or the padded one
  std::vector<std::int64_t> begin;    ///< first row of each sequence
  SegmentsPtr segments;               ///< self-attention: every row attends to the real tokens of its sequence

  std::int64_t rows() const { return segments->q_rows; }
  std::int64_t size() const { return static_cast<std::int64_t>(lengths.size()); }

  /// Real tokens only.
  static PackedText packed(const Tokens& tokens, const at::Device& device);
  /// With the padding, whose rows are computed like any other (the concept encoder; the plain path).
  static PackedText padded(const Tokens& tokens, const at::Device& device);
  /// Several, one after the other.
  static PackedText joined(const std::vector<const PackedText*>& packs);
};

struct BertEmbeddings {
  at::Tensor word, position, type;
  LayerNorm norm;
  std::int64_t pad_id = 0;

  BertEmbeddings() = default;
  BertEmbeddings(ParameterStore& store, const std::string& prefix, const TextOptions& options);

  /// (T) ids and positions -> (T, D); token type 0 throughout unless `types` (T) is given. Look-ups of the padding id
  /// give the word embedding no gradient.
  at::Tensor operator()(const at::Tensor& ids, const at::Tensor& positions, const Dropout& dropout,
                        const at::Tensor& types = {}) const;
};

class Bert {
 public:
  /// `image_width`: of what the fusion layers read of pictures. Registers "<prefix>bert.…", in the scopes "text" and
  /// "fusion". With kind = cross and n images fusion layer F + j of a model with one becomes F + n j, F + n j + 1, …:
  /// the first reads picture 0, the next picture 1 with the same keys and values. With kind = joint they are plain
  /// layers, and "<prefix>bert.image_embeddings.…" makes pictures' rows tokens among the words.
  Bert(ParameterStore& store, const std::string& prefix, const TextOptions& options, std::int64_t image_width,
       const FusionOptions& fusion = {});

  struct TextStates {
    at::Tensor states;  ///< (T, D) after the last text layer
    std::vector<at::Tensor>
        hidden_rows;  ///< rows asked for, of (embeddings, layer 1, … last layer), from `hidden_from`
  };
  /// Embeddings and text layers. `rows` (R) picks hidden states (undefined: none), from state `hidden_from` on.
  TextStates encode(const at::Tensor& ids, const at::Tensor& positions, const SegmentsPtr& segments,
                    const at::Tensor& rows, std::int64_t hidden_from, const Dropout& dropout) const;

  /// What is made of images once for all their texts, of ImageStates::fusion_rows: keys and values for each fusion
  /// layer and its copies, (S, D_image) -> fusion_layers x (S, 2 D); with joint fusion the rows in the width of the
  /// words, 1 x (S, D), which image_tokens makes tokens.
  std::vector<at::Tensor> image_kv(const at::Tensor& image_SD) const;
  /// What that changes by when `vector` (D_image) is added to an image's state: fusion_layers x (1, 2 D), or 1 x (1,
  /// D).
  std::vector<at::Tensor> image_kv_change(const at::Tensor& vector_D) const;
  /// Rows of image_kv as they enter the joint layers (S, D): with the type of the picture that they are of (S int64:
  /// its place among those of its text), normalised.
  at::Tensor image_tokens(const at::Tensor& rows_SD, const at::Tensor& picture_S) const;

  /// The same from embeddings (T, D).
  TextStates encode_embedded(const at::Tensor& embedded_TD, const SegmentsPtr& segments, const at::Tensor& rows,
                             std::int64_t hidden_from, const Dropout& dropout) const;

  /// What the fusion layers do: rows attend to their own text and, in turn, to each of its images; with joint fusion to
  /// their own sequence, in which the images stand before the text.
  struct Fusion {
    SegmentsPtr self;
    std::vector<SegmentsPtr> cross;  ///< one for each image that a text is read with; none with joint fusion
    /// With `rows` (P) defined the last layer runs at those rows only; its segments have P query rows.
    at::Tensor rows;
    SegmentsPtr rows_self, rows_cross;  ///< the latter of the last image
    /// Sees the attention to the image (joint: to the sequence) in its fusion layer, at all rows: so without `rows`.
    /// The states have gradient from there on alone.
    AttentionWatch* watch = nullptr;
  };
  /// (T, D) -> (T, D), or (P, D) with Fusion::rows. With joint fusion `kv` is empty: the images are among the rows.
  at::Tensor fuse(const at::Tensor& text_TD, const std::vector<at::Tensor>& kv, const Fusion& fusion,
                  const Dropout& dropout) const;
  /// As `fuse`, from states that the first fusion layer's self-attention has already seen (it does not read the
  /// image).
  at::Tensor fuse_after_first(const at::Tensor& attended_TD, const std::vector<at::Tensor>& kv, const Fusion& fusion,
                              const Dropout& dropout) const;
  at::Tensor first_self_attention(const at::Tensor& text_TD, const SegmentsPtr& self, const Dropout& dropout) const;

  const TextOptions& options() const { return options_; }
  /// That a text is read with.
  std::int64_t images() const { return fusion_.images; }
  /// Whether the fusion layers expect to be told similarities of words and patches (models/similarity.h).
  bool compared() const { return fusion_.similarity; }
  /// Whether words and pictures are one sequence for the fusion layers.
  bool joint() const { return fusion_.joint(); }
  const BertEmbeddings& embeddings() const { return embeddings_; }

 private:
  TextOptions options_;
  BertEmbeddings embeddings_;
  FusionOptions fusion_;
  std::vector<BertLayer> text_layers_, fusion_layers_;
  // Of joint fusion: rows of pictures to the words' width, what marks them as of a picture (of a further one: in
  // addition), and the norm of the sum.
  Linear image_proj_;
  std::vector<at::Tensor> image_types_;
  LayerNorm image_norm_;

  at::Tensor fuse_joint(const at::Tensor& rows_TD, const Fusion& fusion, const Dropout& dropout) const;
  /// Copies of each fusion layer: one for each picture, with cross-attention.
  std::int64_t copies() const { return fusion_.joint() ? 1 : fusion_.images; }
};

/// Concept words to tokens of the image encoder: BERT embeddings, a few layers, one linear map to the ViT's width.
class ConceptEncoder {
 public:
  /// Registers "<encoder_prefix>…" (in the scope "concept_encoder") and "<proj_prefix>…".
  ConceptEncoder(ParameterStore& store, const std::string& encoder_prefix, const std::string& proj_prefix,
                 const TextOptions& text, const ConceptOptions& options, std::int64_t image_width);

  struct Output {
    at::Tensor hidden;  ///< (B, K, D_text)
    at::Tensor tokens;  ///< (B, K, D_image)
  };
  /// Padding is masked in self-attention; padded tokens are computed and returned all the same.
  Output operator()(const Tokens& concepts, const at::Device& device, const Dropout& dropout) const;

 private:
  BertEmbeddings embeddings_;
  std::vector<BertLayer> layers_;
  Linear proj_;
};

}  // namespace vicha

// The two towers and the concepts: images, captions and concept words to states. What exists twice, online and as a
// momentum copy.
// B images, N patches, K concept tokens, S = 1 + N + K tokens of an image, L text tokens, T packed text rows, D widths,
// R regions, E common embedding.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/aligned_heads.h"
#include "models/bert.h"
#include "models/joined_rows.h"
#include "models/similarity.h"
#include "models/vit.h"

namespace vicha {

/// Concepts of pictures as a text head reads them (model.heads.concept_weight).
struct ConceptText {
  at::Tensor pooled;  ///< (B, D_text): AlignedHeads::pooled_text of all concepts of a picture as one text
  at::Tensor named;   ///< (B, 1) fp32: 1, or 0 where a picture has no concept

  bool defined() const { return pooled.defined(); }
};

struct ImageInput {
  at::Tensor patches;      ///< (B * N, P): patch_rows (models/vit.h)
  std::int64_t count = 0;  ///< B
  Tokens concepts = {};    ///< undefined where the model has none
  bool regions = false;    ///< ImageStates::regions are wanted, whatever the fusion reads
  bool contrast = false;   ///< nobody fuses the states or compares their patches: neither those nor regions are made
  // With model.regions.encode = crops; undefined: the regions are cut out of the patches, and have no tags.
  at::Tensor crops = {};          ///< (B, R, 3, r, r), r = model.regions.region_size
  Tokens crop_concepts = {};      ///< of B * R crops: each one's own tag
  ConceptText concept_text = {};  ///< what the same text encoder has already read; undefined: to be read
};

struct ImageStates {
  at::Tensor states;                          ///< (B * S, D_image), image after image
  std::int64_t tokens = 0;                    ///< S
  std::vector<std::int64_t> real;             ///< tokens of each image that others may attend to, 1..S
  at::Tensor cls;                             ///< (B, D_image)
  at::Tensor pooled;                          ///< (B, P): mean of the patches as they came; undefined without heads
  ConceptText concept_text;                   ///< undefined without model.heads.concept_weight
  std::vector<at::Tensor> hidden;             ///< `levels` x (B, D_image): class tokens of the states before the last
  at::Tensor concept_hidden, concept_tokens;  ///< (B, K, D_text), (B, K, D_image); undefined without concepts
  /// Who compares words with the patches, and these as it sees them (B, N, E); null and undefined where nobody does.
  std::shared_ptr<const WordPatchSimilarity> similarity;
  at::Tensor patches;  ///< with joint fusion regions in their place: (B, R, E)
  /// (B, R, D_image); undefined unless the fusion is joint or ImageInput::regions asks for them.
  at::Tensor regions;
  bool joint = false;  ///< the fusion reads class token and regions, and not the states

  /// What the fusion reads of each image, Bert::image_kv's input: the states, or with joint fusion class token and
  /// regions. (B * F, D_image), F = fusion_tokens(): S, or 1 + R.
  at::Tensor fusion_rows() const;
  std::int64_t fusion_tokens() const { return joint ? 1 + regions.size(1) : tokens; }
  /// Of these, how many of each image may be attended to.
  std::vector<std::int64_t> fusion_real() const;
  std::int64_t count() const { return static_cast<std::int64_t>(real.size()); }
};

struct TextStates {
  PackedText pack;
  at::Tensor states;               ///< (T, D_text)
  at::Tensor cls;                  ///< (B, D_text)
  std::vector<at::Tensor> hidden;  ///< `levels` x (B, D_text): [CLS] of the states before the last
};

struct Encoders {
  Vit vit;
  Bert text;
  std::optional<ConceptEncoder> concepts;
  Linear vision_proj, text_proj;  ///< to the common embedding
  bool mask_concept_padding;
  ModelOptions sizes;                                     ///< as they were made
  std::shared_ptr<const WordPatchSimilarity> similarity;  ///< null without model.fusion.similarity
  std::optional<AlignedHeads> heads;                      ///< model.heads

  /// `suffix` "" or "_m". Scopes: "image", "text", "fusion", "concepts" (within it "concept_encoder"), "projections",
  /// "similarity", "aligned_heads".
  Encoders(ParameterStore& store, const ModelOptions& options, const std::string& suffix);

  /// Adds rows to the image encoder's pass; gets the patches' tokens (B, N, D_image).
  using JoinImage = std::function<void(const at::Tensor& patches_BND, JoinedRows& pass)>;
  /// The image encoder, concepts read. With `join`, other rows go through the blocks with the images', and their states
  /// are left in the JoinedRows. `watch`: Vit::run.
  ImageStates encode_image(const ImageInput& input, const Dropout& dropout, std::int64_t levels = 0,
                           JoinedRows* joined = nullptr, const JoinImage& join = {},
                           AttentionWatch* watch = nullptr) const;
  /// For images whose states (and class tokens) were made elsewhere or kept: their regions, where the fusion is joint
  /// or `regions` asks for them and they are not there yet (pooled), and what a comparison with words sees.
  void show_patches(ImageStates& image, bool regions = false) const;
  /// Class tokens of regions that are encoded on their own (model.regions.encode = crops): (B, R, D_image).
  at::Tensor encode_crops(const ImageInput& input, const Dropout& dropout) const;
  /// Concepts through the text encoder, as one text for each picture; no dropout.
  ConceptText read_concepts(const Tokens& concepts) const;
  /// Embeddings and text layers.
  TextStates encode_text(PackedText pack, const Dropout& dropout, std::int64_t levels = 0) const;

  /// To the common embedding (B, E): the class token's projection, and added to it what aligned heads say of the
  /// picture and, with model.heads.concept_weight, of its concepts.
  at::Tensor image_embedding(const ImageStates& image) const;
  at::Tensor text_embedding(const at::Tensor& states_TD, const at::Tensor& cls_BD, const PackedText& pack) const;
  at::Tensor text_embedding(const TextStates& text) const { return text_embedding(text.states, text.cls, text.pack); }
  /// The same, rows of length 1.
  at::Tensor image_features(const ImageStates& image) const;
  at::Tensor text_features(const TextStates& text) const;
};

/// Row indices on a device.
at::Tensor row_indices(const std::vector<std::int64_t>& rows, const at::Device& device);

}  // namespace vicha

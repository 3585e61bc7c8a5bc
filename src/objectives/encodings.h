// Everything the objectives of one step look at, each computed once and only if it is read. Passes that share
// weights run together: objectives add sequences of their own to the image encoder's, the text encoder's and the fusion
// pass (visible patches, masked captions, image–text pairs). Each such pass equals the separate ones
// (pretrain_step_test.cpp).
//
// B pairs, S = 1 + N + K image tokens, E embedding, Q queue, D widths.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "models/batch.h"
#include "models/fusion.h"
#include "models/vicha.h"
#include "objectives/draws.h"
#include "objectives/text_cache.h"

namespace vicha {

/// What the objectives of a recipe will ask for; an objective that is off leaves its work undone.
struct Wants {
  bool features = false;    ///< projected class tokens, online and momentum
  std::int64_t levels = 0;  ///< hidden class tokens of both towers, below the last state
  bool regions = false;     ///< ImageStates::regions, online; with joint fusion they are there in any case
};

enum class Positives { kIndex, kCaption, kImageId };

struct EncodingOptions {
  Positives positives = Positives::kIndex;  ///< which pairs of a batch belong together besides the pair itself
  bool packed_text = true;                  ///< false: captions are padded to the longest, the plain path
  bool read_rows_only = true;               ///< false: the last fusion layer runs at every token, the plain path
  bool dropout = true;
};

/// Texts that go through the text encoder with the captions.
class TextPass {
 public:
  using Part = std::size_t;
  /// With `momentum` the momentum model reads it too.
  Part add(PackedText pack, bool momentum);
  bool empty() const { return parts_.empty(); }

 private:
  friend class Encodings;
  struct Extra {
    PackedText pack;
    bool momentum;
    at::Tensor states, momentum_states;  ///< (T, D_text)
  };
  std::vector<Extra> parts_;
};

/// Texts with images that go through the fusion layers together.
class FusionPass {
 public:
  using Part = std::size_t;
  /// First row of those states (T, D_text) among all that the pass gathers from.
  std::int64_t source(const at::Tensor& states_TD);
  /// Number of the first of these images in the pass. The batch's own, Encodings::image(), are 0 … B - 1; others, such
  /// as the same pictures partly hidden, stand behind them.
  std::int64_t images(const ImageStates& images);
  /// Each sequence's `begin` counts from `source`.
  Part add(std::vector<FusionPlan::Sequence> sequences);

 private:
  friend class Encodings;
  std::vector<at::Tensor> sources_;
  std::vector<ImageStates> images_;  ///< the batch's own first
  std::int64_t image_count_ = 0;     ///< of all
  FusionPlan plan_;
  std::vector<std::int64_t> first_read_;  ///< of each part among the rows that are read; one more at the end
};

/// Who may join the shared passes. Called at most once a step each, when the pass first runs.
class PassGuest {
 public:
  virtual ~PassGuest() = default;
  virtual void join_image(const at::Tensor& /*patches_BND*/, JoinedRows&) {}
  virtual void join_text(TextPass&) {}
  virtual void join_fusion(FusionPass&) {}
};

class MaskedPass;

class Encodings {
 public:
  Encodings(Vicha& model, const Batch& batch, Draws& draws, const Wants& wants, const EncodingOptions& options,
            TextCache* cache = nullptr);
  ~Encodings();
  /// Guests join in this order; they must live as long as the encodings are read.
  void set_guests(std::vector<PassGuest*> guests) { guests_ = std::move(guests); }

  std::int64_t size() const { return batch_size_; }
  const Batch& batch() const { return batch_; }
  Vicha& model() const { return model_; }
  Draws& draws() const { return draws_; }
  const Wants& wants() const { return wants_; }
  /// Of BERT's hidden states, drawn anew; none where the options say so.
  Dropout dropout() const;
  /// Tokens as this step's passes take them: packed, or padded on the plain path.
  PackedText pack(const Tokens& tokens) const;
  /// A zero with a gradient of 0, for a batch that has nothing to say.
  at::Tensor nothing() const;

  /// Online, one modality.
  const ImageStates& image();
  const TextStates& text();
  /// What guests' rows have become: (T, D_image), (T, D_text).
  const at::Tensor& image_rows(JoinedRows::Part part);
  const at::Tensor& text_rows(TextPass::Part part);
  const at::Tensor& momentum_text_rows(TextPass::Part part);

  /// Normalised projections (B, E).
  struct Features {
    at::Tensor image, text;
  };
  const Features& features();

  /// Momentum, without gradient.
  struct MomentumStates {
    ImageStates image;
    at::Tensor text_states, text_cls;  ///< (T, D_text), (B, D_text)
    Features features;
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
  at::Tensor positives(bool with_queue) const;

  /// Rows that a guest reads of the joined fusion pass: (P, D_text); P may be 0.
  at::Tensor fused(FusionPass::Part part);
  /// A pass of the momentum model's fusion layers, without gradient: rows that are read (P, D_text) of texts' momentum
  /// states, each with its image.
  at::Tensor momentum_fused(const at::Tensor& text_states_TD, const FusionPlan& plan);
  /// The pictures with regions hidden, which several objectives read (objectives/masked_pass.h).
  MaskedPass& masked();
  /// On the plain path: every row of the pass, sequence after sequence.
  const at::Tensor& all_fused_rows();

 private:
  ImageInput image_input(bool regions) const;
  void run_text();
  void encode_cached(TextStates& text);
  void run_fusion();

  Vicha& model_;
  const Batch& batch_;
  Draws& draws_;
  Wants wants_;
  EncodingOptions options_;
  TextCache* cache_;
  std::int64_t batch_size_;
  std::vector<PassGuest*> guests_;
  at::Tensor patches_;  ///< patch_rows, once; read by the online and the momentum ViT

  JoinedRows image_pass_;
  TextPass text_pass_;
  FusionPass fusion_pass_;
  std::optional<ImageStates> image_;
  std::optional<TextStates> text_;
  std::optional<Features> features_;
  std::optional<MomentumStates> momentum_;
  std::optional<Similarities> similarities_, momentum_similarities_;
  std::optional<at::Tensor> fused_;  ///< undefined within: no sequence in the whole batch
  at::Tensor all_fused_rows_;
  std::unique_ptr<MaskedPass> masked_;
};

}  // namespace vicha

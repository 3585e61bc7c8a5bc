// The model: online encoders, their momentum copies, heads and queue, under the names of released checkpoints.
// E size of the common embedding, Q queue length, B batch.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "models/bert.h"
#include "models/mae_decoder.h"
#include "models/model_options.h"
#include "models/vit.h"

namespace vicha {

/// What exists twice: online and as a momentum copy.
struct Encoders {
  Vit vit;
  Bert text;
  std::optional<ConceptEncoder> concepts;
  Linear vision_proj, text_proj;  ///< to the common embedding

  /// `suffix` "" or "_m".
  Encoders(ParameterStore& store, const ModelOptions& options, const std::string& suffix);
};

/// Features of earlier batches, as negatives of the contrast. A batch that does not divide the length wraps round.
class Queue {
 public:
  Queue(ParameterStore& store, std::int64_t embed_dim, std::int64_t length, bool ids, Rng& rng);

  const at::Tensor& images() const { return images_; }  ///< (E, Q)
  const at::Tensor& texts() const { return texts_; }    ///< (E, Q)
  const at::Tensor& ids() const { return ids_; }        ///< (1, Q) int64, -100 where nothing came yet; or undefined
  /// (B, E) features and (B) ids (may be undefined) go in at the pointer.
  void push(const at::Tensor& image_feat, const at::Tensor& text_feat, const at::Tensor& ids);

 private:
  at::Tensor images_, texts_, ids_, pointer_;
};

class Vicha {
 public:
  Vicha(const ModelOptions& options, std::uint64_t seed);

  const ModelOptions& options() const { return options_; }
  ParameterStore& parameters() { return store_; }

  /// Momentum copies become equal to the online weights.
  void reset_momentum();
  /// m = momentum * m + (1 - momentum) * online; once a step, with the weights before this step's update.
  void update_momentum();
  /// To [0.001, 0.5], at the start of a pretraining step.
  void clamp_temperature();
  /// Stops learning of a part: "image", "text" (embeddings and text layers), "fusion", "concepts", "concept_encoder"
  /// (of the concepts, not their map to the image encoder's width), "mlm_head". Throws UsageError on other names.
  void freeze(std::string_view part);
  /// The fusion layers and the heads that read them (matching, masked words) learn at `scale` times the run's rate.
  void set_fusion_lr_scale(double scale);
  /// Shares of the run at which parts first learn that serve some objectives alone (Parameter::begins).
  struct Starts {
    double fusion = 0, itm_head = 0, mlm_head = 0, mae_decoder = 0;
  };
  void set_starts(const Starts& starts);
  bool text_frozen() const { return text_frozen_; }

  at::Device device() const { return temperature.device(); }
  void to(const at::Device& device) { store_.to(device); }

 private:
  bool is_text_layer(std::string_view name) const;
  bool is_fusion_layer(std::string_view name) const;

  ModelOptions options_;
  ParameterStore store_;
  Rng init_rng_;
  bool text_frozen_ = false;
  std::vector<std::pair<at::Tensor, at::Tensor>> pairs_;  ///< (momentum, online)

 public:
  at::Tensor temperature;  ///< 0-D, "temp"
  Encoders online, momentum;
  Linear itm_head;                                           ///< (2, D_text)
  std::vector<Linear> vision_proj_hidden, text_proj_hidden;  ///< one per level
  std::unique_ptr<MaeDecoder> mae;
  Queue queue;
};

}  // namespace vicha

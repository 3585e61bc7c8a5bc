#include "benchmark/synthetic.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "models/masking.h"

namespace vicha::bench {

SyntheticConfig synthetic_config(const std::string& name, std::int64_t image_res, std::int64_t queue) {
  SyntheticConfig config;
  config.model.vit.image_res = image_res;
  config.model.queue_size = queue;
  if (name == "small") {
    config.model.vit.width = 384;
    config.model.vit.heads = 6;
    config.model.text.width = 384;
    config.model.text.inner = 1536;
    config.model.text.text_layers = config.model.text.fusion_layers = 3;
    config.model.mae_decoder = {192, 4, 2};
    config.objectives.hitc.levels = 2;
  } else if (name != "base") {
    throw UsageError("unknown configuration '" + name + "': one of small, base");
  }
  config.objectives.shape_model(config.model);
  return config;
}

Tokens synthetic_tokens(const TextOptions& text, std::int64_t count, std::int64_t shortest, std::int64_t longest,
                        std::int64_t width, Rng& rng) {
  Tokens tokens;
  for (std::int64_t i = 0; i < count; ++i) {
    tokens.lengths.push_back(shortest +
                             static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(longest - shortest + 1))));
  }
  if (width == 0) width = *std::max_element(tokens.lengths.begin(), tokens.lengths.end());
  tokens.ids = at::full({count, width}, text.pad_id, at::kLong);
  std::int64_t* ids = tokens.ids.data_ptr<std::int64_t>();
  const std::int64_t first_word = std::min<std::int64_t>(1000, text.vocabulary / 2);
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = 0; j < tokens.lengths[static_cast<std::size_t>(i)]; ++j) {
      const auto word =
          first_word + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(text.vocabulary - first_word)));
      ids[i * width + j] = j == 0 ? text.cls_id : word;
    }
  }
  return tokens;
}

Batch synthetic_batch(const SyntheticConfig& config, std::int64_t size, Rng& rng) {
  const ModelOptions& model = config.model;
  Batch batch;
  batch.image = at::randn({size, 3, model.vit.image_res, model.vit.image_res});
  batch.text = synthetic_tokens(model.text, size, 8, 25, 0, rng);
  if (model.concepts.enabled) batch.concepts = synthetic_tokens(model.text, size, 10, 20, 0, rng);
  MaskingOptions masking{config.objectives.mlm.probability, model.text.pad_id, model.text.cls_id, model.text.mask_id,
                         model.text.vocabulary};
  batch.add(mask_words(batch.text, masking, rng));
  return batch;
}

}  // namespace vicha::bench

#include "report/mae_images.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <span>

#include "base/error.h"
#include "data/pipeline/evaluation.h"
#include "image/draw.h"
#include "objectives/encodings.h"
#include "objectives/mae.h"

namespace vicha {
namespace {

constexpr std::uint64_t kSeed = 8;

/// (3, R, R) <-> (N, P), pixels of a patch in the order row, column, channel, as mae_target has them.
at::Tensor to_patches(const at::Tensor& image, std::int64_t patch) {
  const std::int64_t side = image.size(1) / patch;
  return image.reshape({3, side, patch, side, patch})
      .permute({1, 3, 2, 4, 0})
      .reshape({side * side, patch * patch * 3});
}
at::Tensor from_patches(const at::Tensor& patches, std::int64_t side, std::int64_t patch) {
  return patches.reshape({side, side, patch, patch, 3})
      .permute({4, 0, 2, 1, 3})
      .reshape({3, side * patch, side * patch})
      .contiguous();
}

MaeExample make_example(LoadedModel& loaded, const Batch& batch, Rng& rng) {
  Vicha& model = loaded.vicha();
  const MaeObjective& objective = *loaded.parts->objectives().find<MaeObjective>();
  const VitOptions& vit = model.options().vit;
  const int side = static_cast<int>(vit.side()), pixels = static_cast<int>(vit.image_res);
  RandomDraws draws(rng);
  EncodingOptions how;
  how.dropout = false;
  Encodings encodings(model, batch, draws, Wants(), how);
  MaeStep step(objective, encodings);
  encodings.set_guests({&step});
  const bool by_fusion = objective.mae_options().variant == MaeVariant::kCrossModal;
  const at::Tensor predicted = (by_fusion ? step.cross_modal() : step.unimodal()).to(at::kFloat).cpu();
  const at::Tensor order = step.patch_order().cpu().contiguous();

  const at::Tensor target = mae_target(batch.image, vit.patch);
  const at::Tensor image = batch.image[0].contiguous();
  at::Tensor patches = to_patches(image, vit.patch);
  const at::Tensor hidden = order[0].slice(0, order.size(1) - predicted.size(0));
  const at::Tensor truth = patches.index_select(0, hidden);
  const auto [variance, mean] = at::var_mean(truth, at::OptionalIntArrayRef({1}), c10::Scalar(1), true);
  patches = patches.index_copy(0, hidden, predicted * (variance + 1e-6).sqrt() + mean);
  const at::Tensor reconstructed = from_patches(patches, vit.side(), vit.patch);

  std::vector<std::uint8_t> covered(static_cast<std::size_t>(side) * static_cast<std::size_t>(side), 0);
  for (std::int64_t i = 0; i < hidden.size(0); ++i)
    covered[static_cast<std::size_t>(hidden[i].item<std::int64_t>())] = 1;
  const ImageTransformOptions& transform = loaded.recipe->data.transform;
  const Normalizer normalizer(transform.mean, transform.std);
  const auto image_of = [&](const at::Tensor& values) {
    return normalizer.undo({values.data_ptr<float>(), static_cast<std::size_t>(values.numel())}, pixels, pixels);
  };
  MaeExample example;
  example.image = image_of(image);
  example.masked = example.image;
  cover_patches(example.masked, covered, side, side);
  example.reconstructed = image_of(reconstructed);
  example.error = mae_loss(predicted, target, order).item<double>();
  return example;
}

}  // namespace

MaeExamples mae_examples(LoadedModel& loaded, const std::filesystem::path& manifest, std::int64_t count,
                         std::optional<ConceptKit> kit, const ConceptFinderOptions& concepts) {
  VICHA_ASSERT(loaded.parts->objectives().find<MaeObjective>() != nullptr);
  const at::NoGradGuard guard;
  DataOptions data = loaded.recipe->data;
  data.manifests = {manifest.string()};
  data.workers = data.prefetch = 1;  // an image at a time
  const auto set = ConceptFinder(std::move(kit), "the training set", concepts).load(data, loaded.tokenizer);
  const std::int64_t images = set->image_count(), chosen = std::min(count, images);
  MaeExamples out;
  const std::vector<std::int64_t>& caption_images = set->caption_images();
  for (std::int64_t i = 0; i < chosen; ++i) {
    const std::int64_t image = (2 * i + 1) * images / (2 * chosen);
    try {
      std::optional<Batch> batch = EvaluationImages(set, 1, image, image + 1).next();
      VICHA_ASSERT(batch);
      const auto caption = std::lower_bound(caption_images.begin(), caption_images.end(), image);
      batch->text = set->captions(caption - caption_images.begin(), 1);  // the cross-modal variant reads it
      Rng rng(mix_seed({kSeed, static_cast<std::uint64_t>(i)}));
      out.examples.push_back(make_example(loaded, *batch, rng));
      out.examples.back().path = set->image_path(image);
    } catch (const DataError& error) {
      out.left_out = error.what();
    }
  }
  return out;
}

}  // namespace vicha

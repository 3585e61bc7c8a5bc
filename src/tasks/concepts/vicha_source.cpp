#include "tasks/concepts/vicha_source.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "data/pipeline/sample_maker.h"
#include "models/image_pipeline.h"
#include "tasks/host/model_files.h"
#include "tasks/host/model_identity.h"
#include "tasks/host/picture_feed.h"
#include "tasks/host/text_feed.h"

namespace vicha {
namespace {

/// Whether the two towers read a parameter.
bool is_of_the_towers(const Parameter& parameter) {
  return parameter.in("image") || parameter.in("text") || parameter.in("projections") || parameter.in("aligned_heads");
}

class VichaSource : public ConceptSource {
 public:
  VichaSource(LoadedModel loaded, std::unique_ptr<PictureFeed> feed, std::string name)
      : parts_(std::move(loaded.parts)), text_(loaded.tokenizer, loaded.recipe->data), feed_(std::move(feed)) {
    weights_ = {"vicha", std::move(name), hash_of_parameters(model(), is_of_the_towers).hex(), feed_->view()};
    scale_ = 1.0 / model().temperature().item<double>();
  }

  const SourceWeights& weights() const override { return weights_; }
  std::int64_t width() const override { return model().options().embed_dim; }
  int side() const override { return static_cast<int>(feed_->height()); }
  double scale() const override { return scale_; }

  void prepare(std::span<const std::uint8_t> bytes, std::string_view name, std::span<float> out) const override {
    feed_->prepare(bytes, name, out);
  }
  void prepare(const Image& image, std::span<float> out) const override { feed_->prepare(image, out); }

  std::int64_t batch() const override { return images_at_once(1 + model().options().vit.patches(), model().device()); }
  at::Tensor embed_images(const at::Tensor& pixels) override {
    const at::NoGradGuard guard;
    std::unique_lock turn(on_device_, std::defer_lock);
    if (!model().device().is_cpu())
      turn.lock();  // a device has memory for one batch rather than for one of each thread
    const at::Tensor pictures = feed_->pictures(pixels).to(model().device());
    const at::Tensor patches = patch_rows(pictures, model().options().vit);
    const Encoders& online = model().online();
    const ImageStates image =
        online.encode_image({.patches = patches, .count = pixels.size(0), .contrast = true}, Dropout());
    return online.image_embedding(image).to(at::kCPU, at::kFloat);
  }

  at::Tensor embed_texts(std::span<const std::string> texts) override {
    return vicha::embed_texts(model(), text_, texts);
  }

 private:
  const Vicha& model() const { return parts_->vicha(); }

  std::unique_ptr<TaskModel> parts_;
  SampleText text_;
  std::unique_ptr<PictureFeed> feed_;
  SourceWeights weights_;
  double scale_ = 1;
  std::mutex on_device_;
};

}  // namespace

void require_contrast(const LoadedModel& model, const std::string& where) {
  static constexpr std::string_view kWithout[] = {"words", "irta", "ira", "itm", "mlm", "mae", "mrm", "mtm"};
  bool trained = false, contrast = false;
  for (const ObjectiveSet::Entry& entry : model.parts->objectives().entries()) {
    trained = trained || entry.enabled;
    contrast = contrast || (entry.enabled && std::ranges::find(kWithout, entry.name) == std::end(kWithout));
  }
  const char* remedy =
      "Give a run of `vicha pretrain`, `vicha align` or `vicha finetune retrieval`, such as the one that it began with";
  if (!trained) {
    throw DataError(where,
                    fmt::format("is a model of the task '{}', which trains no contrast of pictures and texts: its "
                                "vectors of the two cannot be compared",
                                model.recipe->task),
                    remedy);
  }
  if (!contrast) {
    log::warning("{}: none of its objectives trains the contrast by which pictures and words are compared", where);
  }
}

std::unique_ptr<ConceptSource> open_vicha_source(const fs::path& checkpoint, const std::string& device) {
  LoadedModel loaded = load_trained(checkpoint, device);
  require_contrast(loaded, checkpoint.string());
  if (loaded.recipe->model.concepts.enabled) {
    throw DataError(checkpoint.string(),
                    "was trained with concepts: its image encoder expects those of a picture as input, so it cannot be "
                    "asked for them",
                    "Give a checkpoint that was trained without (model.concepts.enabled = false)");
  }
  auto feed = open_square_picture_feed(loaded, checkpoint, device);
  return std::make_unique<VichaSource>(std::move(loaded), std::move(feed), checkpoint_name(checkpoint));
}

ConceptSourceKind vicha_source_kind() {
  return {.key = "vicha",
          .where = "CHECKPOINT",
          .about = "a model that was trained without concepts",
          .open = [](const std::string& checkpoint, const ConceptSourceOptions& options) {
            return open_vicha_source(checkpoint, options.device);
          }};
}

}  // namespace vicha

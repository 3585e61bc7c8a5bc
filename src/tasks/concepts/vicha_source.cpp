#include "tasks/concepts/vicha_source.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/sha256.h"
#include "data/pipeline/collate.h"
#include "data/pipeline/sample_maker.h"
#include "models/image_pipeline.h"
#include "tasks/host/model_files.h"
#include "tasks/host/picture_feed.h"

namespace vicha {
namespace {

constexpr std::int64_t kTextsPerPass = 256;

/// Whether the two towers read a parameter.
bool is_of_the_towers(const Parameter& parameter) {
  return parameter.in("image") || parameter.in("text") || parameter.in("projections");
}

std::string hash_of_towers(const Vicha& model) {
  const ParameterStore& store = model.parameters();
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const ParameterStore::Released& r : store.released()) {
    if (r.is_alias || r.parameter < 0) continue;
    if (is_of_the_towers(store.parameters()[static_cast<std::size_t>(r.parameter)])) {
      tensors.emplace_back(r.name, store.view(r));
    }
  }
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  Sha256 hash;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor values = tensor.to(at::kCPU).contiguous();
    hash.update(
        fmt::format("{} {} [{}]\n", name, c10::toString(values.scalar_type()), fmt::join(values.sizes(), ", ")));
    hash.update({static_cast<const char*>(values.const_data_ptr()), values.nbytes()});
  }
  return hash.hex();
}

/// "demo1, step-004600".
std::string name_of(const fs::path& folder) {
  const fs::path path = fs::absolute(folder).lexically_normal();
  const fs::path last = path.has_filename() ? path : path.parent_path();
  const fs::path above = last.parent_path();
  if (above.filename() == "checkpoints") {
    return fmt::format("{}, {}", above.parent_path().filename().string(), last.filename().string());
  }
  return last.filename().string();
}

class VichaSource : public ConceptSource {
 public:
  VichaSource(LoadedModel loaded, std::unique_ptr<PictureFeed> feed, std::string name)
      : parts_(std::move(loaded.parts)), text_(loaded.tokenizer, loaded.recipe->data), feed_(std::move(feed)) {
    weights_ = {"vicha", std::move(name), hash_of_towers(model()), feed_->view()};
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
    const ImageStates image = online.encode_image({patches, pixels.size(0)}, Dropout());
    return online.vision_proj(image.cls).to(at::kCPU, at::kFloat);
  }

  at::Tensor embed_texts(std::span<const std::string> texts) override {
    const at::NoGradGuard guard;
    std::vector<at::Tensor> parts;
    for (std::size_t begin = 0; begin < texts.size(); begin += kTextsPerPass) {
      parts.push_back(embed_some(texts.subspan(begin, std::min<std::size_t>(kTextsPerPass, texts.size() - begin))));
    }
    return parts.empty() ? at::empty({0, width()}) : at::cat(parts);
  }

 private:
  at::Tensor embed_some(std::span<const std::string> texts) {
    std::vector<std::vector<std::int64_t>> rows;
    for (const std::string& text : texts) rows.push_back(text_.encode(text_.clean(text)));
    std::vector<const std::vector<std::int64_t>*> pointers;
    for (const auto& row : rows) pointers.push_back(&row);
    const Tokens tokens = collate_tokens(pointers, text_.pad_id());
    const Encoders& online = model().online();
    const TextStates states = online.encode_text(PackedText::packed(tokens, model().device()), Dropout());
    return online.text_proj(states.cls).to(at::kCPU, at::kFloat);
  }

  const Vicha& model() const { return parts_->vicha(); }

  std::unique_ptr<TaskModel> parts_;
  SampleText text_;
  std::unique_ptr<PictureFeed> feed_;
  SourceWeights weights_;
  double scale_ = 1;
  std::mutex on_device_;
};

}  // namespace

std::unique_ptr<ConceptSource> open_vicha_source(const fs::path& checkpoint, const std::string& device) {
  LoadedModel loaded = load_trained(checkpoint, device);
  if (loaded.recipe->model.concepts.enabled) {
    throw DataError(checkpoint.string(),
                    "was trained with concepts: its image encoder expects those of a picture as input, so it cannot be "
                    "asked for them",
                    "Give a checkpoint that was trained without (model.concepts.enabled = false)");
  }
  auto feed = open_picture_feed(loaded, device);
  if (feed->height() != feed->width()) {
    throw DataError(checkpoint.string(),
                    fmt::format("reads pictures of {} x {} pixels, and a source of concepts reads squares",
                                feed->height(), feed->width()),
                    "Give a model whose tower reads squares");
  }
  return std::make_unique<VichaSource>(std::move(loaded), std::move(feed), name_of(checkpoint));
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

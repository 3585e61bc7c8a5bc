#include "tasks/align/aligned_source.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "base/sha256.h"

namespace vicha {
namespace {

class AlignedSource : public ConceptSource {
 public:
  explicit AlignedSource(std::unique_ptr<AlignedModel> model)
      : model_(std::move(model)), pictures_(model_->pictures()), texts_(model_->texts()) {
    // A source's input is square; of a tower whose input is not, the numbers lie in the first part of it.
    const auto area = static_cast<double>(pictures_.height() * pictures_.width());
    side_ = static_cast<int>(std::ceil(std::sqrt(area)));
    weights_ = {
        "aligned", model_->name(),
        sha256_hex(fmt::format("{} {} {}", model_->sha256(), pictures_.weights().sha256, texts_.weights().sha256)),
        pictures_.weights().view};
  }

  const SourceWeights& weights() const override { return weights_; }
  std::int64_t width() const override { return model_->width(); }
  int side() const override { return side_; }
  double scale() const override { return model_->scale(); }

  void prepare(std::span<const std::uint8_t> bytes, std::string_view name, std::span<float> out) const override {
    pictures_.prepare(bytes, name, {}, out.first(numbers()));
  }
  void prepare(const Image& image, std::span<float> out) const override {
    pictures_.prepare(image, {}, out.first(numbers()));
  }

  std::int64_t batch() const override { return pictures_.tower().batch(); }
  at::Tensor embed_images(const at::Tensor& pixels) override {
    const at::Tensor input = pixels.flatten(1)
                                 .narrow(1, 0, static_cast<std::int64_t>(numbers()))
                                 .reshape({pixels.size(0), 3, pictures_.height(), pictures_.width()});
    return model_->embed_pictures(pictures_.encode(input, /*patches=*/false).pooled_BP);
  }
  at::Tensor embed_texts(std::span<const std::string> texts) override {
    return model_->embed_texts(texts_.encode(texts));
  }

 private:
  std::size_t numbers() const { return static_cast<std::size_t>(3 * pictures_.height() * pictures_.width()); }

  std::unique_ptr<AlignedModel> model_;
  const PictureEncoder& pictures_;
  const TextEncoder& texts_;
  SourceWeights weights_;
  int side_ = 0;
};

}  // namespace

std::unique_ptr<ConceptSource> open_aligned_source(const std::filesystem::path& folder,
                                                   const ConceptSourceOptions& options) {
  return std::make_unique<AlignedSource>(std::make_unique<AlignedModel>(
      folder, AlignedModelOptions{options.device, options.image_tower, options.text_tower}));
}

ConceptSourceKind aligned_source_kind() {
  return {.key = "aligned",
          .where = "RUN",
          .about = "a model of `vicha align`",
          .open = [](const std::string& folder, const ConceptSourceOptions& options) {
            return open_aligned_source(folder, options);
          }};
}

}  // namespace vicha

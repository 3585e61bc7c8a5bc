#include "tasks/host/picture_feed.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "base/error.h"
#include "image/decode.h"
#include "image/transform.h"
#include "tasks/host/feature_tower.h"

namespace vicha {
namespace {

class PixelFeed : public PictureFeed {
 public:
  explicit PixelFeed(const DataOptions& data)
      : transform_(data.transform), options_(data.transform), decode_(data.decode_options()) {}

  std::int64_t height() const override { return options_.image_res; }
  std::int64_t width() const override { return options_.image_res; }
  std::string view() const override {
    std::string view = fmt::format("whole {}", options_.image_res);
    const ImageTransformOptions usual;
    if (options_.mean != usual.mean || options_.std != usual.std) {
      view += fmt::format(", mean {}, std {}", fmt::join(options_.mean, " "), fmt::join(options_.std, " "));
    }
    return view;
  }
  void prepare(std::span<const std::uint8_t> bytes, std::string_view name, std::span<float> out) const override {
    transform_.evaluate(decode_rgb(bytes, name, decode_), out);
  }
  void prepare(const Image& image, std::span<float> out) const override { transform_.evaluate(image, out); }
  at::Tensor pictures(const at::Tensor& pixels) const override { return pixels; }

 private:
  ImageTransform transform_;
  ImageTransformOptions options_;
  DecodeOptions decode_;
};

class TowerFeed : public PictureFeed {
 public:
  explicit TowerFeed(std::unique_ptr<PictureEncoder> encoder) : encoder_(std::move(encoder)) {}

  std::int64_t height() const override { return encoder_->height(); }
  std::int64_t width() const override { return encoder_->width(); }
  std::string view() const override {
    const SourceWeights& weights = encoder_->weights();
    return fmt::format("{} of {} {}", weights.view, weights.kind, weights.sha256.substr(0, 12));
  }
  void prepare(std::span<const std::uint8_t> bytes, std::string_view name, std::span<float> out) const override {
    encoder_->prepare(bytes, name, PictureView(), out);
  }
  void prepare(const Image& image, std::span<float> out) const override {
    encoder_->prepare(image, PictureView(), out);
  }
  at::Tensor pictures(const at::Tensor& pixels) const override {
    return encoder_->encode(pixels, /*patches=*/true).patches_BND;
  }

 private:
  std::unique_ptr<PictureEncoder> encoder_;
};

}  // namespace

void set_tower(LoadedModel& loaded, const std::string& spec) {
  if (!loaded.tower)
    throw UsageError("--tower: the model reads pixels, not the features of a tower; leave the option out");
  loaded.recipe->data.features.tower = spec;
}

std::unique_ptr<PictureFeed> open_picture_feed(const LoadedModel& loaded, const std::string& device) {
  const TaskRecipe& recipe = *loaded.recipe;
  if (!recipe.model.vit.reads_features()) return std::make_unique<PixelFeed>(recipe.data);
  VICHA_ASSERT(loaded.tower);
  auto encoder = open_feature_tower(recipe.data, *loaded.tower, "the model", device);
  const PictureEncoder::Grid grid = encoder->grid();
  const VitOptions& vit = loaded.vicha().options().vit;
  VICHA_ASSERT(grid.rows == vit.rows() && grid.columns == vit.columns() &&
               encoder->patch_width() == vit.patch_numbers());
  return std::make_unique<TowerFeed>(std::move(encoder));
}

std::unique_ptr<PictureFeed> open_square_picture_feed(const LoadedModel& loaded,
                                                      const std::filesystem::path& checkpoint,
                                                      const std::string& device) {
  auto feed = open_picture_feed(loaded, device);
  if (feed->height() != feed->width()) {
    throw DataError(checkpoint.string(),
                    fmt::format("reads pictures of {} x {} pixels, and a source of concepts reads squares",
                                feed->height(), feed->width()),
                    "Give a model whose tower reads squares");
  }
  return feed;
}

}  // namespace vicha

#include "features/picture_encoder.h"

#include <ATen/ATen.h>

#include "features/features_test_support.h"
#include "image/clip_preprocess.h"
#include "image/resize.h"

namespace vicha {
namespace {

using namespace features_test;

std::vector<float> prepared(const PictureEncoder& encoder, const std::string& file, const PictureView& view = {}) {
  std::vector<float> out(static_cast<std::size_t>(3 * encoder.height() * encoder.width()));
  encoder.prepare(bytes_of(file), "a.png", view, out);
  return out;
}
std::vector<float> prepared(const PictureEncoder& encoder, const Image& image, const PictureView& view = {}) {
  std::vector<float> out(static_cast<std::size_t>(3 * encoder.height() * encoder.width()));
  encoder.prepare(image, view, out);
  return out;
}

std::unique_ptr<PictureEncoder> toy(const TowerInput& input = toy_input(), const DecodeOptions& decode = {}) {
  return std::make_unique<PictureEncoder>(std::make_unique<ToyTower>(input), decode);
}

TowerInput clip_input(std::int64_t side, std::int64_t resized) {
  TowerInput input;
  input.height = input.width = side;
  input.resize_height = input.resize_width = resized;
  input.mean = kClipMean;
  input.std = kClipStd;
  return input;
}

TEST(PictureEncoder, AShorterSideAndItsCentreAreThoseOfClip) {
  for (const auto& [width, height] : {std::pair{331, 257}, {257, 331}, {40, 41}, {64, 64}}) {
    const std::string file = encode_png(noise_image(width, height, 3));
    std::vector<float> plain(3 * 64 * 64);
    clip_preprocess(bytes_of(file), "a.png", 64, plain);
    EXPECT_EQ(prepared(*toy(clip_input(64, 64)), file), plain) << width;
    const ClipView view{.side = 64, .resized = 73};
    Normalizer().apply(clip_crop(decode_native(bytes_of(file), "a.png"), view), plain);
    EXPECT_EQ(prepared(*toy(clip_input(64, 73)), file), plain) << width;
  }
}

TEST(PictureEncoder, StretchedToASizeThatIsNotSquare) {
  const auto encoder = toy();
  const Image image = noise_image(50, 31, 4);
  std::vector<float> plain(3 * 8 * 12);
  Normalizer(toy_input().mean, toy_input().std).apply(resize_by(Filter::kBilinear, image, 12, 8), plain);
  EXPECT_EQ(prepared(*encoder, image), plain);
  EXPECT_EQ(prepared(*encoder, encode_png(image)), plain);
  EXPECT_EQ(encoder->grid().rows, 2);
  EXPECT_EQ(encoder->grid().columns, 3);
}

TEST(PictureEncoder, AViewIsThePictureThatItShows) {
  const auto encoder = toy();
  const Image image = noise_image(50, 30, 5);
  EXPECT_EQ(prepared(*encoder, image, {.flip = true}), prepared(*encoder, flip_horizontal(image)));
  const PictureView part{.top = 0.1, .left = 0.5, .height = 0.8, .width = 0.3};
  EXPECT_EQ(prepared(*encoder, image, part), prepared(*encoder, crop(image, {25, 3, 15, 24})));
  PictureView both = part;
  both.flip = true;
  EXPECT_EQ(prepared(*encoder, image, both), prepared(*encoder, flip_horizontal(crop(image, {25, 3, 15, 24}))));
  // All views of one file at once, and of a picture of one pixel.
  std::vector<float> views(3 * 3 * 8 * 12);
  const std::vector<PictureView> all = {PictureView{}, part, both};
  encoder->prepare_views(bytes_of(encode_png(image)), "a.png", all, views);
  const std::vector<float> second = prepared(*encoder, image, part);
  EXPECT_TRUE(std::equal(second.begin(), second.end(), views.begin() + 3 * 8 * 12));
  prepared(*encoder, noise_image(1, 1, 5), part);
  for (const PictureView& view : views_named("flip+crops:64")) {
    for (const int side : {1, 2, 3, 97}) {
      const Box box = view_box(view, side, side + 1);
      EXPECT_GE(box.x, 0);
      EXPECT_GE(std::min(box.width, box.height), 1);
      EXPECT_LE(box.x + box.width, side);
      EXPECT_LE(box.y + box.height, side + 1);
    }
  }
}

TEST(PictureEncoder, GreyAndTransparentPicturesBecomeRgb) {
  const auto encoder = toy();
  Image grey(20, 20, 1), rgb(20, 20, 3);
  for (int i = 0; i < 400; ++i) {
    const auto value = static_cast<std::uint8_t>(i * 7 % 256);
    grey.pixels[static_cast<std::size_t>(i)] = value;
    std::fill_n(rgb.pixels.begin() + 3 * i, 3, value);
  }
  EXPECT_EQ(prepared(*encoder, grey), prepared(*encoder, rgb));
  EXPECT_EQ(prepared(*encoder, encode_png(grey)), prepared(*encoder, rgb));
}

/// Numbers of Pillow 13's `resize((5, 4), LANCZOS)` of a picture made by a rule.
TEST(PictureEncoder, LanczosIsPillows) {
  Image image(13, 11, 3);
  for (int y = 0; y < 11; ++y) {
    for (int x = 0; x < 13; ++x) {
      for (int c = 0; c < 3; ++c) {
        image.row(y)[3 * x + c] = static_cast<std::uint8_t>((x * x * 7 + y * 31 + c * 50 + x * y * 3) % 256);
      }
    }
  }
  const std::vector<std::uint8_t> pillow = {33,  92,  156, 124, 158, 166, 145, 124, 125, 149, 147, 124, 138, 115, 136,
                                            143, 179, 173, 141, 119, 115, 125, 138, 146, 135, 111, 107, 137, 122, 133,
                                            180, 80,  83,  111, 125, 126, 142, 147, 134, 112, 136, 139, 120, 125, 133,
                                            85,  102, 159, 142, 139, 123, 143, 127, 124, 131, 126, 117, 112, 116, 143};
  EXPECT_EQ(resize_by(Filter::kLanczos, image, 5, 4).pixels, pillow);
}

TEST(PictureEncoder, ADecodingAtScaleIsNearAndPartOfTheIdentity) {
  const TowerInput input = clip_input(64, 64);
  const std::string file = encode_jpeg(resize_bicubic(noise_image(80, 60, 6), 640, 480), 90);
  DecodeOptions quick;
  quick.least_side = 1;
  const auto exact = toy(input), scaled = toy(input, quick);
  EXPECT_FALSE(exact->weights().same(scaled->weights()));
  const std::vector<float> a = prepared(*exact, file), b = prepared(*scaled, file);
  EXPECT_NE(a, b);
  double difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference += std::fabs(a[i] - b[i]) * kClipStd[0] * 255;
  EXPECT_LT(difference / static_cast<double>(a.size()), 1.5);
  // Views are decoded in full.
  EXPECT_EQ(prepared(*exact, file, {.flip = true}), prepared(*scaled, file, {.flip = true}));
}

TEST(PictureEncoder, WhatCannotBePreparedIsNamed) {
  const auto encoder = toy(clip_input(64, 64));
  const std::string file = encode_png(noise_image(30, 30, 7));
  std::vector<float> out(3 * 64 * 64);
  EXPECT_TRUE(contains(message([&] { encoder->prepare(bytes_of(file.substr(0, 60)), "half.png", PictureView{}, out); }),
                       "half.png"));
  const std::string narrow = encode_png(Image(40000, 1, 3));
  EXPECT_TRUE(contains(message([&] { encoder->prepare(bytes_of(narrow), "line.png", PictureView{}, out); }),
                       "line.png: a picture of 40000 x 1 pixels is too narrow"));
}

TEST(PictureEncoder, ReleasedTowersOfEachKind) {
  for (const char* spec : {"vit:vit_tiny_hf", "dinov2:dinov2_registers_tiny", "siglip:siglip_tiny"}) {
    const std::string text = spec, prefix = text.substr(0, text.find(':') + 1), name = text.substr(prefix.size());
    const auto encoder = PictureEncoder::open(prefix + (kTowers / (name + ".safetensors")).string(), "cpu");
    const std::vector<float> pixels = prepared(*encoder, noise_image(90, 70, 8));
    const at::Tensor one = at::tensor(pixels).view({1, 3, encoder->height(), encoder->width()});
    const TowerFeatures features = encoder->encode(one, true);
    EXPECT_EQ(features.pooled_BP.size(1), encoder->pooled_width());
    EXPECT_EQ(features.patches_BND.size(1), encoder->grid().rows * encoder->grid().columns);
    EXPECT_EQ(features.patches_BND.size(2), encoder->patch_width());
    EXPECT_EQ(encoder->weights().kind + ":", prefix);
  }
  EXPECT_THROW(PictureEncoder::open("vit:" + (kTowers / "vit_tiny_hf.safetensors").string(), "nonsense"), UsageError);
}

}  // namespace
}  // namespace vicha

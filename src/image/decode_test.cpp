#include "image/decode.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "image/clip_preprocess.h"
#include "image/native.h"
#include "image/resize.h"
#include "image/testing.h"

namespace vicha {
namespace {

const nlohmann::json& image_index() {
  static const auto index = nlohmann::json::parse(read_file(golden("images/index.json")));
  return index;
}

TEST(Decode, EqualsPillowOnEveryGoldenImage) {
  int compared = 0;
  for (const auto& [name, about] : image_index().at("images").items()) {
    const Image rgb = load_rgb(golden("images/" + name));
    EXPECT_EQ(rgb.width, about.at("width")) << name;
    EXPECT_EQ(pixels_hash(rgb), about.at("rgb_sha256")) << name;
    EXPECT_EQ(pixels_hash(resize_bicubic(rgb, 256, 256)), about.at("eval_256_sha256")) << name;
    EXPECT_EQ(pixels_hash(resize_bicubic(rgb, 384, 384)), about.at("eval_384_sha256")) << name;
    const std::string file = read_file(golden("images/" + name));
    EXPECT_EQ(pixels_hash(clip_crop(decode_native(bytes_of(file), name), 32)), about.at("clip_crop_32_sha256")) << name;
    EXPECT_EQ(pixels_hash(clip_crop(decode_native(bytes_of(file), name), 224)), about.at("clip_crop_224_sha256"))
        << name;
    ++compared;
  }
  EXPECT_GE(compared, 26);
}

TEST(Decode, RefusesWhatPillowRefusesAndNamesTheFile) {
  for (const auto& [name, about] : image_index().at("bad").items()) {
    try {
      load_rgb(golden("images/bad/" + name));
      ADD_FAILURE() << name << " was read";
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  }
}

TEST(Decode, MissingFileIsAnErrorThatNamesIt) {
  try {
    load_rgb("no/such/picture.png");
    ADD_FAILURE();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("no/such/picture.png"), std::string::npos);
  }
}

TEST(Decode, AcceptsTruncatedImagesWhenAsked) {
  DecodeOptions accept;
  accept.accept_truncated = true;
  const std::map<std::string, std::string> whole = {{"truncated.jpg", "photo_420.jpg"},
                                                    {"truncated.png", "emoji_rgb.png"}};
  for (const auto& [name, original] : whole) {
    const Image image = load_rgb(golden("images/bad/" + name), accept), full = load_rgb(golden("images/" + original));
    ASSERT_EQ(image.height, full.height) << name;
    EXPECT_EQ(crop(image, {0, 0, image.width, 4}).pixels, crop(full, {0, 0, full.width, 4}).pixels) << name;
    EXPECT_NE(image.pixels, full.pixels) << name;
  }
}

TEST(Decode, AlphaIsDroppedOrKept) {
  const Image rgba = noise(7, 5, 4);
  const std::string file = encode_png(rgba);
  EXPECT_EQ(decode_rgba(bytes_of(file), "a.png").pixels, rgba.pixels);
  const Image rgb = decode_rgb(bytes_of(file), "a.png");
  for (std::size_t i = 0; i < 35; ++i) {
    for (std::size_t c = 0; c < 3; ++c) EXPECT_EQ(rgb.pixels[3 * i + c], rgba.pixels[4 * i + c]);
  }
}

TEST(Decode, KnowsItsFormatsByContent) {
  const Image image = gradient(4, 4, 3);
  for (const std::string& file : {encode_png(image), encode_jpeg(image), encode_webp(image), make_bmp(image)}) {
    EXPECT_TRUE(is_known_format(bytes_of(file)));
    EXPECT_FALSE(is_known_format(bytes_of(file.substr(1))));
  }
  EXPECT_FALSE(is_known_format({}));
}

TEST(Decode, PlainFormats) {
  const Image image = noise(7, 5, 3);
  EXPECT_EQ(decode_rgb(bytes_of(make_bmp(image)), "a.bmp").pixels, image.pixels);
  EXPECT_EQ(decode_rgb(bytes_of(make_ppm(image)), "a.ppm").pixels, image.pixels);
  const std::string bits("P4 9 1\n\xa0\x80", 9);
  const Image bilevel = decode_rgb(bytes_of(bits), "a.pbm");
  const std::uint8_t expected[] = {0, 255, 0, 255, 255, 255, 255, 255, 0};
  for (int x = 0; x < 9; ++x) EXPECT_EQ(bilevel.pixels[static_cast<std::size_t>(3 * x)], expected[x]) << x;
}

TEST(Decode, FirstFrameOfAnimatedWebp) {
  // A canvas of 4 x 3 whose first frame covers 2 x 2 of it, at (2, 0).
  const Image frame = gradient(2, 2, 3);
  const std::string still = encode_webp(frame);
  const auto u24 = [](std::uint32_t v) {
    return std::string{static_cast<char>(v), static_cast<char>(v >> 8), static_cast<char>(v >> 16)};
  };
  const auto chunk = [&](const std::string& id, std::string data) {
    const auto size = static_cast<std::uint32_t>(data.size());
    if (data.size() % 2 != 0) data += '\0';
    return id + u24(size) + '\0' + data;
  };
  const std::string body = "WEBP" + chunk("VP8X", std::string("\x02\0\0\0", 4) + u24(3) + u24(2)) +
                           chunk("ANIM", std::string(6, '\0')) +
                           chunk("ANMF", u24(1) + u24(0) + u24(1) + u24(1) + u24(100) + '\0' + still.substr(12));
  const std::string file = chunk("RIFF", body);
  const Image image = decode_rgb(bytes_of(file), "a.webp");
  ASSERT_EQ(image.width, 4);
  ASSERT_EQ(image.height, 3);
  EXPECT_EQ(crop(image, {2, 0, 2, 2}).pixels, decode_rgb(bytes_of(still), "b.webp").pixels);
  EXPECT_EQ(crop(image, {0, 0, 2, 3}).pixels, std::vector<std::uint8_t>(18, 0));
}

TEST(Decode, RefusesImagesOverTheLimit) {
  DecodeOptions small;
  small.max_pixels = 99;
  const Image image = gradient(10, 10, 3);
  for (const std::string& file :
       {encode_png(image), encode_jpeg(image), encode_webp(image), make_bmp(image), make_ppm(image)}) {
    EXPECT_THROW(decode_rgb(bytes_of(file), "a", small), DataError);
    EXPECT_NO_THROW(decode_rgb(bytes_of(file), "a"));
  }
}

TEST(Encode, PngKeepsEverything) {
  for (const int channels : {1, 2, 3, 4}) {
    const Image image = noise(11, 6, channels);
    const NativeImage again = decode_native(bytes_of(encode_png(image)), "a.png");
    EXPECT_EQ(again.pixels.channels, channels);
    EXPECT_EQ(again.pixels.pixels, image.pixels);
  }
}

TEST(Encode, LossyFormatsAreClose) {
  const Image image = gradient(48, 40, 3);
  for (const std::string& file : {encode_jpeg(image), encode_webp(image)}) {
    const Image again = decode_rgb(bytes_of(file), "a");
    ASSERT_EQ(again.pixels.size(), image.pixels.size());
    double error = 0;
    for (std::size_t i = 0; i < image.pixels.size(); ++i) error += std::abs(again.pixels[i] - image.pixels[i]);
    EXPECT_LT(error / static_cast<double>(image.pixels.size()), 4.0);
    EXPECT_LT(file.size(), image.pixels.size() / 2);
  }
  const Image grey = gradient(48, 40, 1);
  EXPECT_EQ(decode_native(bytes_of(encode_jpeg(grey)), "g.jpg").mode, PixelMode::kGrey);
}

constexpr std::string_view kSvgStart = "<svg xmlns=\"http://www.w3.org/2000/svg\" ";

TEST(Svg, IsStretchedToTheSizeAskedFor) {
  const std::string body = "><rect width='10' height='10' fill='#ff0000'/></svg>";
  for (const char* size :
       {"viewBox='0 0 20 10'", "width='20' height='10'", "width='20mm' height='10mm' viewBox='0 0 20 10'"}) {
    const Image image = render_svg(std::string(kSvgStart) + size + body, 40, 40, "a.svg");
    ASSERT_EQ(image.channels, 4);
    // The left half red from top to bottom, the right half transparent.
    const std::vector<std::uint8_t> red = {255, 0, 0, 255}, nothing = {0, 0, 0, 0};
    EXPECT_EQ(crop(image, {10, 39, 1, 1}).pixels, red) << size;
    EXPECT_EQ(crop(image, {30, 20, 1, 1}).pixels, nothing) << size;
  }
}

TEST(Svg, SemitransparentColoursAreNotPremultiplied) {
  const Image image = render_svg(std::string(kSvgStart) +
                                     "width='4' height='4'><rect width='4' height='4' fill='#c86432' "
                                     "fill-opacity='0.5'/></svg>",
                                 4, 4, "a.svg");
  EXPECT_NEAR(image.pixels[0], 0xc8, 1);
  EXPECT_NEAR(image.pixels[1], 0x64, 1);
  EXPECT_NEAR(image.pixels[3], 128, 1);
}

TEST(Svg, ReadsNoFiles) {
  const fs::path folder = fs::temp_directory_path() / ("vicha_svg_" + std::to_string(::getpid()));
  fs::create_directories(folder);
  write_file_atomic(folder / "secret.png", encode_png(gradient(8, 8, 3)));
  for (const std::string& address : {"file://" + (folder / "secret.png").string(), (folder / "secret.png").string()}) {
    const Image image = render_svg(
        std::string(kSvgStart) + "width='8' height='8'><image href='" + address + "' width='8' height='8'/></svg>", 8,
        8, "a.svg");
    EXPECT_EQ(image.pixels, std::vector<std::uint8_t>(256, 0)) << address;
  }
  fs::remove_all(folder);
}

TEST(Svg, RefusesWhatCannotBeDrawn) {
  for (const char* text : {"", "no drawing", "<html/>", "<svg xmlns='http://www.w3.org/2000/svg'/>",
                           "<svg xmlns='http://www.w3.org/2000/svg' width='0' height='0'/>"}) {
    EXPECT_THROW(render_svg(text, 8, 8, "a.svg"), DataError) << text;
  }
  EXPECT_THROW(render_svg("<svg/>", 0, 8, "a.svg"), UsageError);
}

}  // namespace
}  // namespace vicha

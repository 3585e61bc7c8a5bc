// TIFF, AVIF, HEIC and EXIF orientation against what Pillow reads (tests/golden/pictures, tests/golden/reported).
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "image/decode.h"
#include "image/native.h"
#include "image/orientation.h"
#include "image/testing.h"

namespace vicha {
namespace {

std::filesystem::path formats(std::string_view path) { return golden("../pictures") / path; }
std::filesystem::path reported(std::string_view path) { return golden("../reported/pictures") / path; }

double mean_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  if (a.pixels.size() != b.pixels.size()) return 255.0;
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

std::string message_of(const std::filesystem::path& file, const DecodeOptions& options = {}) {
  try {
    load_rgb(file, options);
    return "";
  } catch (const ImageError& error) {
    return error.what();
  }
}

TEST(Formats, EqualPillow) {
  const auto index = nlohmann::json::parse(read_file(formats("index.json")));
  for (const auto& [name, about] : index.at("images").items()) {
    const Image image = load_rgb(formats(name));
    ASSERT_EQ(image.width, about.at("width")) << name;
    ASSERT_EQ(image.height, about.at("height")) << name;
    if (about.contains("near")) {  // lossy: versions of libraries differ in the last bits
      EXPECT_LT(mean_difference(image, load_rgb(formats(about.at("near").get<std::string>()))), 1.0) << name;
    } else {
      EXPECT_EQ(pixels_hash(image), about.at("rgb_sha256")) << name;
    }
    const std::string bytes = read_file(formats(name));
    EXPECT_EQ(decode_rgba(bytes_of(bytes), name).channels, 4) << name;
  }
}

TEST(Formats, WhatIsReported) {
  const std::map<std::string, std::string> hashes = {
      {"exif6.jpg", "c12349d6a00cb7ae874bc50656e7a0dd6042c098d605f91e60436d8907ac196c"},
      {"cmyk_noadobe.jpg", "0d0dbe4ee8b5b00b56271bd91d1a613399828ae62a5e67e902806d7b9464ba8f"},
      {"pal_trns.png", "07c4e72badace124e55c7619f4d62cb35e15aaab61f0e811e2943d8ccc7be9d1"},
      {"plain.tiff", "e48794ee7b4c9d7227e892fba157bb113950ed7224cba43bfc170ace6dd19b71"},
  };
  for (const auto& [name, hash] : hashes) EXPECT_EQ(pixels_hash(load_rgb(reported(name))), hash) << name;
  EXPECT_LT(mean_difference(load_rgb(reported("plain.avif")), load_rgb(formats("near/plain.avif.png"))), 1.0);
}

TEST(Formats, AWrongChecksumIsNoFileThatEndsEarly) {
  try {
    load_rgb(reported("badcrc_idat.png"));
    ADD_FAILURE();
  } catch (const ImageError& error) {
    EXPECT_EQ(error.fault(), ImageFault::kChecksum) << error.what();
    EXPECT_NE(std::string(error.what()).find("checksum is wrong (IDAT: CRC error)"), std::string::npos) << error.what();
  }
  DecodeOptions accept;
  accept.accept_truncated = true;
  EXPECT_EQ(pixels_hash(load_rgb(reported("badcrc_idat.png"), accept)), pixels_hash(load_rgb(reported("plain.tiff"))));
}

TEST(Formats, KindsOfTiffThatAreNotReadAreNamed) {
  const std::map<std::string, std::string> kinds = {{"float.tif", "floating-point samples"},
                                                    {"int32.tif", "samples with a sign"},
                                                    {"uint32.tif", "32 bits a sample"},
                                                    {"complex.tif", "complex samples"},
                                                    {"lab.tif", "Lab colours"}};
  for (const auto& [name, kind] : kinds) {
    const std::string message = message_of(formats("refused/" + name));
    EXPECT_NE(message.find("a TIFF of " + kind), std::string::npos) << name << ": " << message;
  }
}

TEST(Formats, LimitsHoldBeforeAnythingIsDecoded) {
  DecodeOptions small;
  small.max_pixels = 37 * 29 - 1;
  for (const char* name : {"rgb_lzw.tif", "tiled.tif", "rgb.avif", "anim.avif", "rgb.heic"}) {
    const std::string message = message_of(formats(name), small);
    EXPECT_NE(message.find("37 x 29 pixels, more than the limit"), std::string::npos) << name << ": " << message;
  }
}

/// A TIFF of one strip or tile: tags that are given, then `pixels`, where strips and tiles begin.
std::string make_tiff(const std::map<std::uint16_t, std::uint32_t>& tags, const std::string& pixels) {
  const auto u16 = [](std::uint32_t v) { return std::string{static_cast<char>(v), static_cast<char>(v >> 8)}; };
  const auto u32 = [&](std::uint32_t v) { return u16(v) + u16(v >> 16); };
  std::string file = std::string("II*\0", 4) + u32(8) + u16(static_cast<std::uint32_t>(tags.size()));
  const auto start = static_cast<std::uint32_t>(8 + 2 + 12 * tags.size() + 4);
  for (const auto& [tag, value] : tags) {
    const bool place = tag == 273 || tag == 324;
    file += u16(tag) + u16(4) + u32(1) + u32(place ? start : value);
  }
  return file + u32(0) + pixels;
}

TEST(Formats, TiffsThatLieAboutTheirSizeTakeNoMemory) {
  const std::string pixels(100, 'x');
  for (const std::uint32_t compression : {1, 2, 3, 4, 5, 7, 8, 32773}) {
    const std::uint32_t bits = compression >= 2 && compression <= 4 ? 1 : 8;
    const std::string file = make_tiff({{256, 12000},
                                        {257, 12000},
                                        {258, bits},
                                        {259, compression},
                                        {262, 1},
                                        {273, 0},
                                        {277, 1},
                                        {278, 12000},
                                        {279, 100}},
                                       pixels);
    try {
      decode_rgb(bytes_of(file), "a.tif");
      ADD_FAILURE() << compression;
    } catch (const ImageError& error) {
      EXPECT_EQ(error.fault(), ImageFault::kEndsEarly) << compression << ": " << error.what();
    }
  }
  const auto refusal = [&](const std::map<std::uint16_t, std::uint32_t>& tags) -> std::string {
    try {
      decode_rgb(bytes_of(make_tiff(tags, pixels)), "a.tif");
      return "";
    } catch (const ImageError& error) {
      return error.what();
    }
  };
  EXPECT_NE(refusal({{256, 10},
                     {257, 10},
                     {258, 8},
                     {259, 8},
                     {262, 1},
                     {277, 1},
                     {322, 16384},
                     {323, 8192},
                     {324, 0},
                     {325, 100}})
                .find("whose tiles are 16384 x 8192"),
            std::string::npos);
  EXPECT_NE(refusal({{256, 10}, {257, 10}, {258, 8}, {259, 1}, {262, 2}, {273, 0}, {277, 65535}, {278, 10}, {279, 100}})
                .find("65535 samples a pixel"),
            std::string::npos);
}

TEST(Formats, WhatIsNoPictureIsNamed) {
  const std::map<std::string, std::string> files = {
      {"<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">", "an HTML page"},
      {"\n\n<html lang=\"en\">", "an HTML page"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:", "git lfs pull"},
      {"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"/>", "a drawing in SVG"},
      {std::string("\0\0\0\x0cJXL \r\n\x87\n", 12), "JPEG XL"},
      {std::string("\0\0\0\x18"
                   "ftypmp42\0\0\0\0mp42isom",
                   24),
       "a film"},
      {std::string(100, '\0'), "zeros from its start"},
      {"# xet version 0\n", "hf download"},
      {"what is this", "no picture of a known format"},
  };
  for (const auto& [bytes, what] : files) {
    EXPECT_FALSE(is_known_format(bytes_of(bytes)));
    EXPECT_NE(unknown_format(bytes_of(bytes)).find(what), std::string::npos) << unknown_format(bytes_of(bytes));
  }
}

TEST(Orientation, IsReadWhereFilesHaveIt) {
  const std::map<std::filesystem::path, int> files = {{reported("exif6.jpg"), 6},  {formats("exif5.jpg"), 5},
                                                      {formats("exif6.png"), 6},   {formats("exif8.webp"), 8},
                                                      {reported("plain.tiff"), 1}, {reported("pal_trns.png"), 1},
                                                      {reported("plain.avif"), 1}};
  for (const auto& [file, orientation] : files) {
    EXPECT_EQ(exif_orientation(bytes_of(read_file(file))), orientation) << file;
  }
}

TEST(Orientation, IsAppliedOnlyWhenAsked) {
  DecodeOptions turn;
  turn.apply_exif = true;
  const Image lying = load_rgb(reported("exif6.jpg")), upright = load_rgb(reported("exif6.jpg"), turn);
  EXPECT_EQ(lying.width, upright.height);
  EXPECT_EQ(lying.height, upright.width);
  EXPECT_EQ(upright.pixels, oriented(lying, 6).pixels);
  EXPECT_EQ(load_rgb(reported("plain.tiff"), turn).pixels, load_rgb(reported("plain.tiff")).pixels);
}

/// 3 x 2 pixels 0 … 5, one channel.
TEST(Orientation, TurnsAsPillowDoes) {
  Image image(3, 2, 1);
  image.pixels = {0, 1, 2, 3, 4, 5};
  const std::map<int, std::vector<std::uint8_t>> turned = {
      {1, {0, 1, 2, 3, 4, 5}}, {2, {2, 1, 0, 5, 4, 3}}, {3, {5, 4, 3, 2, 1, 0}}, {4, {3, 4, 5, 0, 1, 2}},
      {5, {0, 3, 1, 4, 2, 5}}, {6, {3, 0, 4, 1, 5, 2}}, {7, {5, 2, 4, 1, 3, 0}}, {8, {2, 5, 1, 4, 0, 3}}};
  for (const auto& [orientation, pixels] : turned) {
    const Image out = oriented(image, orientation);
    EXPECT_EQ(out.pixels, pixels) << orientation;
    EXPECT_EQ(out.width, orientation < 5 ? 3 : 2) << orientation;
  }
}

TEST(Orientation, HostileExifIsPassedOver) {
  const std::string jpeg = read_file(reported("exif6.jpg"));
  const std::size_t exif = jpeg.find("Exif");
  ASSERT_NE(exif, std::string::npos);
  Rng rng(3);
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = jpeg.substr(0, rng.chance(0.3) ? rng.below(jpeg.size()) : jpeg.size());
    for (int n = 0; n < 3; ++n) {
      if (const std::size_t at = rng.below(exif + 80); at < damaged.size())
        damaged[at] = static_cast<char>(rng.below(256));
    }
    const int orientation = exif_orientation(bytes_of(damaged));
    EXPECT_TRUE(orientation >= 1 && orientation <= 8);
  }
}

}  // namespace
}  // namespace vicha

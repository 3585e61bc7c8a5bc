// Damaged files of every format: each must be read or refused with a DataError, whatever is in it.
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "image/clip_preprocess.h"
#include "image/decode.h"
#include "image/testing.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

namespace vicha {
namespace {

std::map<std::string, std::string> small_files() {
  const Image rgb = gradient(13, 11, 3);
  std::map<std::string, std::string> files = {{"rgb.png", encode_png(rgb)},
                                              {"rgba.png", encode_png(noise(9, 7, 4))},
                                              {"grey.png", encode_png(noise(9, 7, 1))},
                                              {"rgb.jpg", encode_jpeg(rgb)},
                                              {"grey.jpg", encode_jpeg(gradient(9, 7, 1))},
                                              {"rgb.webp", encode_webp(rgb)},
                                              {"rgba.webp", encode_webp(noise(9, 7, 4))},
                                              {"rgb.bmp", make_bmp(rgb)},
                                              {"rgb.ppm", make_ppm(rgb)},
                                              {"bits.pbm", std::string("P4 9 1\n\xa0\x80", 9)}};
  for (const char* name : {"anim.gif", "palette_trns.png", "bilevel.png", "gray16.png", "interlaced.png",
                           "progressive.jpg", "cmyk.jpg", "restart.jpg", "lossless_alpha.webp"}) {
    files[name] = read_file(golden(std::string("images/") + name));
  }
  for (const char* name : {"rgb_deflate.tif", "rgb_jpeg.tif", "bilevel_g4.tif", "palette.tif", "tiled.tif", "rgb.avif",
                           "rgba.avif", "anim.avif", "rgb.heic", "rgba.heic"}) {
    files[name] = read_file(golden(std::string("../pictures/") + name));
  }
  return files;
}

enum class Outcome { kRead, kRefused };

/// Fails the test on any exception but a DataError that names the file.
Outcome decode(const std::string& file, const std::string& name, const DecodeOptions& options) {
  try {
    const Image image = decode_rgba(bytes_of(file), name, options);
    EXPECT_EQ(image.pixels.size(), 4u * static_cast<unsigned>(image.width) * static_cast<unsigned>(image.height));
    EXPECT_FALSE(image.empty());
    return Outcome::kRead;
  } catch (const DataError& error) {
    EXPECT_EQ(std::string(error.what()).rfind(name, 0), 0u) << error.what();
    return Outcome::kRefused;
  }
}

TEST(Hostile, EveryPrefixIsReadOrRefused) {
  DecodeOptions strict, accept;
  accept.accept_truncated = true;
  for (const auto& [name, file] : small_files()) {
    ASSERT_EQ(decode(file, name, strict), Outcome::kRead) << name;
    int accepted = 0;
    for (std::size_t size = 0; size < file.size(); ++size) {
      const std::string prefix = file.substr(0, size);
      // What may be missing without loss: end marks, checksums, later frames.
      const bool could_be_whole = size + 24 > file.size() || name.starts_with("anim.");
      const Outcome outcome = decode(prefix, name, strict);
      EXPECT_TRUE(outcome == Outcome::kRefused || could_be_whole) << name << " cut to " << size;
      accepted += decode(prefix, name, accept) == Outcome::kRead;
    }
    // libtiff keeps what tells of the rows behind them, or reads strips whole; libavif and libheif give all or nothing.
    const bool in_order = !name.ends_with(".tif") && !name.ends_with(".avif") && !name.ends_with(".heic");
    EXPECT_TRUE(accepted > 0 || !in_order) << name;
  }
}

TEST(Hostile, FlippedBytesAreReadOrRefused) {
  DecodeOptions options;
  options.max_pixels = 1 << 18;
  Rng rng(20240607);
  for (const auto& [name, file] : small_files()) {
    for (int round = 0; round < 300; ++round) {
      std::string damaged = file;
      // Mostly in the first part, where sizes and tables are.
      const std::size_t range = rng.chance(0.5) ? std::min<std::size_t>(64, file.size()) : file.size();
      for (std::uint64_t n = 1 + rng.below(3); n > 0; --n)
        damaged[rng.below(range)] = static_cast<char>(rng.below(256));
      options.accept_truncated = rng.chance(0.5);
      decode(damaged, name, options);
    }
  }
}

TEST(Hostile, LyingSizesTakeNoMemory) {
  // Headers that promise 12,000 x 12,000 pixels with next to nothing behind them.
  const Image tiny = gradient(8, 8, 3);
  const auto put_u16 = [](std::string file, std::size_t at, int value) {
    file[at] = static_cast<char>(value >> 8);
    file[at + 1] = static_cast<char>(value);
    return file;
  };
  const std::string jpeg = encode_jpeg(tiny);
  const std::size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  const std::string bmp = make_bmp(tiny);
  const std::map<std::string, std::string> files = {
      {"a.jpg", put_u16(put_u16(jpeg, frame + 5, 12000), frame + 7, 12000)},
      {"a.bmp", bmp.substr(0, 18) + std::string("\xe0\x2e\0\0\xe0\x2e\0\0", 8) + bmp.substr(26)},
      {"a.ppm", "P6 12000 12000 255\nabc"},
      {"b.ppm", "P6 99999999999999999999 99999999999999999999 255\nabc"},
  };
  for (const auto& [name, file] : files) EXPECT_EQ(decode(file, name, {}), Outcome::kRefused) << name;
}

TEST(Hostile, DamagedDrawings) {
  const std::string svg =
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'><g id='a'><circle r='3' cx='4' cy='4' fill='red'/>"
      "<use href='#a'/></g></svg>";
  const auto draw = [](const std::string& text) {
    try {
      render_svg(text, 9, 9, "a.svg");
    } catch (const DataError& error) {
      EXPECT_EQ(std::string(error.what()).rfind("a.svg", 0), 0u) << error.what();
    }
  };
  for (std::size_t size = 0; size <= svg.size(); ++size) draw(svg.substr(0, size));
  Rng rng(7);
  for (int round = 0; round < 200; ++round) {
    std::string damaged = svg;
    damaged[rng.below(svg.size())] = static_cast<char>(rng.below(256));
    draw(damaged);
  }
#if defined(__SANITIZE_ADDRESS__)
  const __lsan::ScopedDisabler ignore_leaks;  // librsvg 2.54 loses the text of every entity
#endif
  std::string laughs = "<!DOCTYPE svg [<!ENTITY l0 'ha'>";
  for (int i = 1; i < 30; ++i) {
    const std::string before = "&l" + std::to_string(i - 1) + ";";
    laughs += "<!ENTITY l" + std::to_string(i) + " '" + before + before + before + before + "'>";
  }
  draw(laughs + "]><svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><text>&l29;</text></svg>");
  std::string deep = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'>";
  for (int i = 0; i < 5000; ++i) deep += "<g>";
  draw(deep);
}

}  // namespace
}  // namespace vicha

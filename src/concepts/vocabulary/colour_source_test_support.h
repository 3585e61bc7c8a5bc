// A source whose towers can be followed by eye: an image's vector is its mean colour, a text's the colour that it
// names.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "concepts/source/source.h"
#include "concepts/vocabulary/concept_vocabulary.h"
#include "image/decode.h"
#include "image/resize.h"
#include "nn/kernel_choice.h"

namespace vicha {

using Colour = std::array<int, 3>;

inline const std::map<std::string, Colour>& source_colours() {
  static const std::map<std::string, Colour> colours = {{"red", {250, 10, 10}},
                                                        {"green", {10, 250, 10}},
                                                        {"blue", {10, 10, 250}},
                                                        {"yellow", {250, 250, 10}},
                                                        {"white", {250, 250, 250}}};
  return colours;
}

class ColourSource : public ConceptSource {
 public:
  explicit ColourSource(std::string sha256 = std::string(64, 'a')) : weights_{"test", "colours", sha256, "whole 8"} {}

  const SourceWeights& weights() const override { return weights_; }
  std::int64_t width() const override { return 3; }
  int side() const override { return 8; }
  double scale() const override { return 60; }
  void prepare(std::span<const std::uint8_t> bytes, std::string_view name, std::span<float> out) const override {
    ++prepared;
    prepare(decode_rgb(bytes, name), out);
  }
  void prepare(const Image& image, std::span<float> out) const override {
    const Image small = resize_bicubic(image, 8, 8);
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = static_cast<float>(small.pixels[(i % 64) * 3 + i / 64]) / 255 - 0.4f;
    }
  }
  at::Tensor embed_images(const at::Tensor& pixels) override {
    const std::int64_t seen = images_seen += pixels.size(0);
    if (fail_after >= 0 && seen > fail_after) throw Error("killed");
    return pixels.mean(at::IntArrayRef{2, 3});
  }
  at::Tensor embed_texts(std::span<const std::string> texts) override {
    texts_seen += static_cast<std::int64_t>(texts.size());
    if (fail_after >= 0 && texts_seen > fail_after) throw Error("killed");
    at::Tensor rows = at::zeros({static_cast<std::int64_t>(texts.size()), 3});
    for (std::size_t i = 0; i < texts.size(); ++i) {
      // "bright red" is longer than "red"; "word17" somewhere of its own.
      at::Tensor row = rows[static_cast<std::int64_t>(i)];
      row.fill_(0.1 + 0.001 * static_cast<double>(texts[i].size()));
      if (texts[i].starts_with("word")) row[0] = 0.01 * std::stod(texts[i].substr(4));
      for (const auto& [name, colour] : source_colours()) {
        if (texts[i].find(name) == std::string::npos) continue;
        for (int c = 0; c < 3; ++c) row[c] = static_cast<float>(colour[static_cast<std::size_t>(c)]) / 255 - 0.4f;
      }
      if (texts[i].find("dark") != std::string::npos) row -= 0.2;
    }
    return rows;
  }

  mutable std::atomic<int> prepared = 0;
  std::atomic<std::int64_t> images_seen = 0;
  std::int64_t texts_seen = 0, fail_after = -1;

 private:
  SourceWeights weights_;
};

/// A folder of images and manifests that goes when the test ends.
class ConceptFolder : public testing::Test {
 protected:
  void SetUp() override {
    set_matmul_kernel("blas");
    log::set_level(log::Level::kError);
    folder_ = fs::temp_directory_path() / ("vicha_concepts_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "images");
  }
  void TearDown() override {
    log::set_level(log::Level::kInfo);
    fs::remove_all(folder_);
  }

  /// A cell of 12 x 12 pixels for each colour, `across` in a row.
  void write_image(const std::string& name, const std::vector<std::string>& cells, int across = 1) {
    Image image(12 * across, 12 * static_cast<int>(cells.size()) / across, 3);
    for (int y = 0; y < image.height; ++y) {
      for (int x = 0; x < image.width; ++x) {
        const Colour& colour = source_colours().at(cells[static_cast<std::size_t>(y / 12 * across + x / 12)]);
        for (int c = 0; c < 3; ++c)
          image.row(y)[3 * x + c] = static_cast<std::uint8_t>(colour[static_cast<std::size_t>(c)]);
      }
    }
    write_file_atomic(folder_ / "images" / name, encode_png(image));
  }
  fs::path write_manifest(const std::string& name, const std::vector<std::string>& images) {
    std::string rows;
    for (const std::string& image : images) {
      rows += R"({"image": "images/)" + image + R"(", "caption": "a picture", "more": {"n": 1}})" + "\n";
    }
    write_file_atomic(folder_ / name, rows);
    return folder_ / name;
  }

  static ConceptVocabulary words(const std::vector<std::string>& texts) {
    std::vector<ConceptWord> list;
    for (const std::string& text : texts) list.push_back({text, 1, ConceptKind::kObject});
    return ConceptVocabulary(std::move(list));
  }

  fs::path folder_;
};

}  // namespace vicha

// Pictures of four coloured cells, and a model that can be followed by eye: a picture's vector is its cells' colours, a
// text's those of a picture that has the colour it names everywhere; texts that name none lie elsewhere.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/random.h"
#include "concepts/embed/embed.h"
#include "image/decode.h"
#include "image/resize.h"
#include "nn/kernel_choice.h"
#include "search/background.h"
#include "search/build_index.h"
#include "search/picture_search.h"

namespace vicha {

inline const std::map<std::string, std::array<int, 3>>& cell_colours() {
  static const std::map<std::string, std::array<int, 3>> colours = {
      {"red", {240, 20, 20}},     {"green", {20, 200, 20}},   {"blue", {20, 20, 240}},
      {"yellow", {240, 230, 20}}, {"white", {245, 245, 245}}, {"black", {8, 8, 8}}};
  return colours;
}

class CellSource final : public ConceptSource {
 public:
  explicit CellSource(char digit = 'a') : weights_{"test", "cells", std::string(64, digit), "whole 16"} {}
  const SourceWeights& weights() const override { return weights_; }
  std::int64_t width() const override { return 13; }
  int side() const override { return 16; }
  double scale() const override { return 20; }
  std::int64_t batch() const override { return 3; }
  void prepare(std::span<const std::uint8_t> bytes, std::string_view name, std::span<float> out) const override {
    prepare(decode_rgb(bytes, name), out);
  }
  void prepare(const Image& image, std::span<float> out) const override {
    const Image small = resize_bicubic(image, 16, 16);
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = static_cast<float>(small.pixels[(i % 256) * 3 + i / 256]) / 255 - 0.5f;
    }
  }
  at::Tensor embed_images(const at::Tensor& pixels) override {
    if (fail_after >= 0 && (seen += pixels.size(0)) > fail_after) throw Error("killed");
    const at::Tensor cells = at::adaptive_avg_pool2d(pixels, {2, 2}).flatten(1);
    return at::cat({cells, at::full({pixels.size(0), 1}, 0.05)}, 1);
  }
  at::Tensor embed_texts(std::span<const std::string> texts) override {
    if (fail_at_texts) throw Error("killed");
    at::Tensor rows = at::zeros({static_cast<std::int64_t>(texts.size()), 13});
    const std::vector<std::string> things = background_texts();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      at::Tensor row = rows[static_cast<std::int64_t>(i)];
      Rng rng(content_hash({reinterpret_cast<const std::uint8_t*>(texts[i].data()), texts[i].size()}));
      for (std::int64_t j = 0; j < 13; ++j) row[j] = 0.3 * rng.normal();
      row[12] = 1;
      // The background's things have some colour in each of their cells.
      if (std::find(things.begin(), things.end(), texts[i]) != things.end()) {
        for (std::int64_t cell = 0; cell < 4; ++cell) {
          auto colour = cell_colours().begin();
          std::advance(colour, static_cast<std::ptrdiff_t>(rng.below(cell_colours().size())));
          for (std::int64_t c = 0; c < 3; ++c) {
            row[4 * c + cell] = static_cast<double>(colour->second[static_cast<std::size_t>(c)]) / 255 - 0.5;
          }
        }
        row[12] = 0.05;
      }
      for (const auto& [name, rgb] : cell_colours()) {
        if (texts[i].find(name) == std::string::npos) continue;
        for (std::int64_t j = 0; j < 12; ++j) {
          row[j] = static_cast<double>(rgb[static_cast<std::size_t>(j / 4)]) / 255 - 0.5 + 0.02 * rng.normal();
        }
        row[12] = 0.05;
      }
    }
    return rows;
  }

  std::atomic<std::int64_t> seen = 0;
  std::int64_t fail_after = -1;
  bool fail_at_texts = false;

 private:
  SourceWeights weights_;
};

class SearchFolder : public testing::Test {
 protected:
  void SetUp() override {
    set_matmul_kernel("blas");
    log::set_level(log::Level::kError);
    folder_ = fs::temp_directory_path() / ("vicha_search_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(pictures());
  }
  void TearDown() override {
    log::set_level(log::Level::kInfo);
    fs::remove_all(folder_);
  }

  fs::path pictures() const { return folder_ / "pictures"; }
  fs::path index() const { return folder_ / "index"; }

  /// Cells from left to right, then downwards; `noise` for pictures that are alike, not equal.
  static std::string picture(const std::array<std::string, 4>& cells, int noise = 0, int side = 48) {
    Image image(side, side, 3);
    Rng rng(static_cast<std::uint64_t>(noise));
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        const auto& rgb = cell_colours().at(cells[static_cast<std::size_t>(2 * (2 * y / side) + 2 * x / side)]);
        for (std::size_t c = 0; c < 3; ++c) {
          const double v = rgb[c] + (noise == 0 ? 0.0 : rng.uniform(-6, 6));
          image.row(y)[3 * x + static_cast<int>(c)] = static_cast<std::uint8_t>(std::clamp(v, 0.0, 255.0));
        }
      }
    }
    return encode_png(image);
  }
  void put(const std::string& name, const std::string& bytes) const {
    fs::create_directories((pictures() / name).parent_path());
    write_file_atomic(pictures() / name, bytes);
  }
  /// A picture for each colour and 20 mixed ones, in folders.
  void put_some() const {
    std::vector<std::string> names;
    for (const auto& [name, rgb] : cell_colours()) {
      put(name + ".png", picture({name, name, name, name}));
      names.push_back(name);
    }
    Rng rng(7);
    for (int i = 0; i < 20; ++i) {
      const auto any = [&] { return names[rng.below(names.size())]; };
      put("mixed/" + std::to_string(i) + ".png", picture({any(), any(), any(), any()}, i + 1));
    }
  }

  static SearchModel model(std::unique_ptr<CellSource> source = std::make_unique<CellSource>()) {
    SearchModel result;
    result.spec = "test:cells";
    result.hash_side = source->side();
    result.towers = std::move(source);
    return result;
  }
  IndexReport build(const IndexOptions& options = {}) const {
    SearchModel towers = model();
    return build_index(pictures(), index(), towers, options);
  }
  /// Name and content of every file in the index.
  std::map<std::string, std::string> parts() const {
    std::map<std::string, std::string> all;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(index())) {
      if (entry.is_regular_file()) all[entry.path().lexically_relative(index()).string()] = read_file(entry.path());
    }
    return all;
  }
  SearchResult find(const std::string& query, const SearchOptions& options = {}) const {
    const PictureIndex opened(index());
    SearchModel towers = model();
    return PictureSearch(opened, towers).search(SearchQuery::parse(query), options);
  }
  static std::string refused(const std::function<void()>& work) {
    try {
      work();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
};

}  // namespace vicha

// Stores and manifests made by hand, for the tests of what reads them.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "concepts/source/source.h"
#include "concepts/store/store.h"
#include "data/manifest/data_test_support.h"
#include "data/manifest/rewrite.h"

namespace vicha::testing_filter {

using Ordered = nlohmann::ordered_json;
using Vectors = std::vector<std::pair<std::string, std::vector<float>>>;

inline SourceWeights weights_named(const std::string& name) { return {"clip", name, "sha-of-" + name, "clip 224"}; }

inline EmbeddingStore store_of(const fs::path& file, const Vectors& vectors, const std::string& source = "a") {
  const auto width = static_cast<std::int64_t>(vectors.front().second.size());
  EmbeddingStoreWriter writer(file, weights_named(source), {width, 1, StoreType::kFloat32});
  for (const auto& [key, numbers] : vectors) {
    const std::vector<std::string> keys = {key};
    const std::vector<std::uint64_t> contents = {0};
    writer.add(keys, contents, at::tensor(numbers).view({1, width}));
  }
  writer.finish();
  return EmbeddingStore::open(file);
}

inline std::vector<Ordered> rows_of(const fs::path& file) {
  std::vector<Ordered> rows;
  for_each_record(file, [&](const Ordered& record, std::int64_t) { rows.push_back(record); });
  return rows;
}

/// Letters as dimensions: a text's vector counts its letters. Remembers what it was given.
class LetterSource : public ConceptSource {
 public:
  const SourceWeights& weights() const override { return weights_; }
  std::int64_t width() const override { return 26; }
  int side() const override { return 4; }
  double scale() const override { return 10; }
  void prepare(std::span<const std::uint8_t>, std::string_view, std::span<float> out) const override {
    std::fill(out.begin(), out.end(), 1.0f);
  }
  void prepare(const Image&, std::span<float> out) const override { std::fill(out.begin(), out.end(), 1.0f); }
  at::Tensor embed_images(const at::Tensor& pixels) override { return at::ones({pixels.size(0), 26}); }
  at::Tensor embed_texts(std::span<const std::string> texts) override {
    at::Tensor rows = at::zeros({static_cast<std::int64_t>(texts.size()), 26});
    for (std::size_t i = 0; i < texts.size(); ++i) {
      asked.push_back(texts[i]);
      if (texts[i] == fail_at) throw Error("killed");
      for (const char c : texts[i]) {
        if (c >= 'a' && c <= 'z') rows[static_cast<std::int64_t>(i)][c - 'a'] += 1;
      }
    }
    return rows;
  }

  std::vector<std::string> asked;
  std::string fail_at;

 private:
  SourceWeights weights_ = weights_named("letters");
};

}  // namespace vicha::testing_filter

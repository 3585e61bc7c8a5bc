#include "concepts/match/similarity.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "concepts/match/similarity_captions.h"
#include "data/manifest/record_fields.h"
#include "data/manifest/record_reader.h"
#include "data/manifest/string_pool.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kPairsAtOnce = 4096;

/// Reads the manifest; `see` puts the record's similarities behind those in `pairs.sims`.
ManifestPairs read_pairs(
    const fs::path& manifest,
    const std::function<void(const Json&, const std::string& image, const std::vector<std::string>& captions,
                             const RecordReader&, ManifestPairs& pairs)>& see) {
  ManifestPairs pairs;
  pairs.file = manifest;
  pairs.file_bytes = fs::file_size(manifest);
  RecordReader reader(manifest);
  pairs.lines = reader.lines();
  StringPool names;
  RecordText text;
  while (reader.next(text)) {
    const Json record = reader.parse(text);
    const std::string image = image_of(record, reader);
    const std::vector<std::string> captions = captions_of(record, reader);
    pairs.records.push_back(
        {text.offset, pairs.sims.size(), static_cast<std::uint32_t>(text.json.size()), names.intern(image)});
    see(record, image, captions, reader, pairs);
    VICHA_ASSERT(pairs.sims.size() == pairs.records.back().first_pair + captions.size());
  }
  pairs.records.shrink_to_fit();
  pairs.sims.shrink_to_fit();
  pairs.images = names.size();
  return pairs;
}

float number_of(const Json& value, const RecordReader& reader, std::string_view field) {
  if (!value.is_number()) {
    throw DataError(reader.where(), fmt::format("field \"{}\" holds no number", field),
                    "Compute the similarities: give --source, or --store and --caption-store");
  }
  return value.get<float>();
}

/// Pairs whose vectors are fetched together.
class Batch {
 public:
  Batch(const EmbeddingStore& images, const EmbeddingStore& captions) : images_(images), captions_(captions) {}

  /// False if one of the two is not there.
  bool add(std::size_t pair, std::optional<std::int64_t> image, std::optional<std::int64_t> caption) {
    if (!image || !caption) return false;
    if (image_records_.empty() || image_records_.back() != *image) image_records_.push_back(*image);
    caption_records_.push_back(*caption);
    pairs_.push_back({pair, image_records_.size() - 1});
    return true;
  }
  std::size_t size() const { return pairs_.size(); }

  void compute(std::vector<float>& sims) {
    if (pairs_.empty()) return;
    const at::Tensor images = images_.rows(image_records_).select(1, 0).contiguous();
    const at::Tensor captions = captions_.rows(caption_records_).select(1, 0).contiguous();
    const std::int64_t width = images.size(1);
    const float *image_data = images.data_ptr<float>(), *caption_data = captions.data_ptr<float>();
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      const float* a = image_data + static_cast<std::int64_t>(pairs_[i].second) * width;
      const float* b = caption_data + static_cast<std::int64_t>(i) * width;
      double dot = 0, aa = 0, bb = 0;
      for (std::int64_t j = 0; j < width; ++j) {
        const double x = a[j], y = b[j];
        dot += x * y;
        aa += x * x;
        bb += y * y;
      }
      sims[pairs_[i].first] = static_cast<float>(dot / std::sqrt(aa * bb));  // 0 / 0: unknown
    }
    pairs_.clear();
    image_records_.clear();
    caption_records_.clear();
  }

 private:
  const EmbeddingStore &images_, &captions_;
  std::vector<std::pair<std::size_t, std::size_t>> pairs_;  // index among all pairs, row of the image
  std::vector<std::int64_t> image_records_, caption_records_;
};

void count_unknown(ManifestPairs& pairs) {
  for (std::size_t i = 0; i < pairs.records.size(); ++i) {
    for (const float sim : pairs.sims_of(i)) {
      if (!std::isnan(sim)) continue;
      if (pairs.unknown++ == 0 && pairs.first_unknown.empty()) {
        pairs.first_unknown = fmt::format("{}, record {}: an embedding has no length", pairs.file.string(), i);
      }
    }
  }
}

}  // namespace

ManifestPairs saved_similarities(const fs::path& manifest) {
  return read_pairs(manifest, [](const Json& record, const std::string&, const std::vector<std::string>& captions,
                                 const RecordReader& reader, ManifestPairs& pairs) {
    const auto several = record.find("sims");
    const auto one = record.find("sim");
    if (several != record.end() && several->is_array() && several->size() == captions.size()) {
      for (const Json& value : *several) pairs.sims.push_back(number_of(value, reader, "sims"));
    } else if (captions.size() == 1 && one != record.end()) {
      pairs.sims.push_back(number_of(*one, reader, "sim"));
    } else if (!captions.empty()) {
      throw DataError(reader.where(),
                      captions.size() == 1
                          ? std::string("field \"sim\" is missing")
                          : fmt::format("has {} captions, but no list \"sims\" of so many numbers", captions.size()),
                      "Compute the similarities: give --source, or --store and --caption-store");
    }
  });
}

ManifestPairs stored_similarities(const fs::path& manifest, const EmbeddingStore& images,
                                  const EmbeddingStore& captions) {
  require_embeddings(images, FeatureKind::kPooled);
  require_embeddings(captions, FeatureKind::kTexts);
  require_same(images.source(), images.path().string(), captions.source(), captions.path().string());
  if (images.shape().width != captions.shape().width) {
    throw DataError(captions.path().string(),
                    fmt::format("holds vectors of {} numbers, {} of {}", captions.shape().width, images.path().string(),
                                images.shape().width),
                    "One of them was not written by this source: compute it again");
  }
  Batch batch(images, captions);
  ManifestPairs pairs = read_pairs(manifest, [&](const Json&, const std::string& image,
                                                 const std::vector<std::string>& texts, const RecordReader& reader,
                                                 ManifestPairs& all) {
    const std::optional<std::int64_t> image_row = images.find(image);
    for (const std::string& text : texts) {
      const std::optional<std::int64_t> caption = text.empty() ? std::nullopt : captions.find(caption_key(text));
      if (!batch.add(all.sims.size(), image_row, caption) && all.first_unknown.empty()) {
        all.first_unknown =
            image_row
                ? fmt::format("{}: {}", reader.where(),
                              text.empty() ? "an empty caption"
                                           : fmt::format("caption \"{}\" is not in {}", text, captions.path().string()))
                : fmt::format("{}: picture \"{}\" is not in {}", reader.where(), image, images.path().string());
      }
      all.sims.push_back(ManifestPairs::kUnknown);
    }
    if (batch.size() >= kPairsAtOnce) batch.compute(all.sims);
  });
  batch.compute(pairs.sims);
  count_unknown(pairs);
  return pairs;
}

}  // namespace vicha

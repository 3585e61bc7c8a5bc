#include "concepts/match/nearest_captions.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "concepts/match/similarity_captions.h"
#include "data/manifest/record_fields.h"
#include "data/manifest/record_reader.h"
#include "data/manifest/rewrite.h"
#include "data/manifest/string_pool.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kRecordsAtOnce = 2048;
constexpr std::int64_t kOwnExpected = 8;  // captions a record has: with more, the matcher is made anew

/// Distinct captions of a manifest and their vectors.
struct CaptionSet {
  StringPool texts;
  at::Tensor rows;  // (V, E)
};

CaptionSet read_others(const fs::path& others, const EmbeddingStore& store) {
  CaptionSet set;
  std::vector<std::int64_t> places;
  RecordReader reader(others);
  RecordText text;
  while (reader.next(text)) {
    for (const std::string& caption : captions_of(reader.parse(text), reader)) {
      if (caption.empty() || set.texts.intern(caption) != places.size()) continue;
      const std::optional<std::int64_t> place = store.find(caption_key(caption));
      if (!place) {
        throw DataError(reader.where(),
                        fmt::format("caption \"{}\" has no embedding in {}", caption, store.path().string()),
                        "Give --source, which computes what is missing");
      }
      places.push_back(*place);
    }
  }
  if (places.empty()) throw DataError(others.string(), "holds no captions", "Name the set to take captions from");
  set.rows = store.rows(places).select(1, 0).contiguous();
  return set;
}

class Adder {
 public:
  Adder(const fs::path& in, const fs::path& out, const fs::path& others, const EmbeddingStore& queries,
        const EmbeddingStore& captions, const NearestCaptionsOptions& options)
      : options_(options),
        queries_(queries),
        others_(read_others(others, captions)),
        reader_(in),
        writer_(out, out_in_lines(in, out, reader_.lines())) {
    report_.captions = others_.texts.size();
  }

  NearestCaptionsReport run() {
    while (read_some()) {
      search();
      for (const Waiting& waiting : waiting_) add_changed(writer_, waiting.text, waiting.record);
    }
    report_.records = writer_.size();
    writer_.finish();
    return report_;
  }

 private:
  struct Waiting {
    std::string text;
    Json record;
    std::vector<std::string> own;     // captions
    std::vector<std::int64_t> query;  // records of the store; empty: unknown
  };

  bool read_some() {
    waiting_.clear();
    RecordText text;
    while (waiting_.size() < kRecordsAtOnce && reader_.next(text)) {
      Waiting waiting{text.json, reader_.parse(text), {}, {}};
      waiting.own = captions_of(waiting.record, reader_);
      const auto look_for = [&](const std::string& key) {
        const std::optional<std::int64_t> found = key.empty() ? std::nullopt : queries_.find(key);
        if (found) waiting.query.push_back(*found);
      };
      if (options_.by_caption) {
        for (const std::string& caption : waiting.own) look_for(caption_key(caption));
      } else {
        look_for(image_of(waiting.record, reader_));
      }
      waiting_.push_back(std::move(waiting));
    }
    return !waiting_.empty();
  }

  /// (1, E): the mean of the query's unit vectors; undefined if it has no direction.
  at::Tensor direction(const Waiting& waiting) const {
    if (waiting.query.empty()) return {};
    const at::Tensor rows = queries_.rows(waiting.query).select(1, 0).to(at::kDouble);
    const at::Tensor mean = (rows / rows.norm(2, {1}, true)).mean(0, true);
    const double length = mean.norm().item<double>();
    return length > 0 && std::isfinite(length) ? mean.to(at::kFloat) : at::Tensor();
  }

  void search() {
    std::vector<at::Tensor> queries;
    std::vector<std::size_t> asking;
    std::int64_t most_own = 0;
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
      write(waiting_[i].record, {}, {});
      const at::Tensor query = direction(waiting_[i]);
      if (!query.defined()) {
        ++report_.unknown;
        continue;
      }
      queries.push_back(query);
      asking.push_back(i);
      most_own = std::max(most_own, static_cast<std::int64_t>(waiting_[i].own.size()));
    }
    if (queries.empty()) return;
    const NearestWords nearest = matcher_for(options_.k + std::max(most_own, kOwnExpected)).nearest(at::cat(queries));
    for (std::size_t i = 0; i < asking.size(); ++i) choose(waiting_[asking[i]], nearest, static_cast<std::int64_t>(i));
  }

  /// One that finds k captions or more. (Own captions are found too, and skipped.)
  WordMatcher& matcher_for(std::int64_t k) {
    if (!matcher_ || matcher_->options().k < k) {
      NearestOptions options = options_.nearest;
      options.k = k;
      matcher_.emplace(others_.rows, options);
    }
    return *matcher_;
  }

  void choose(Waiting& waiting, const NearestWords& nearest, std::int64_t row) const {
    Json captions = Json::array(), sims = Json::array();
    const std::span<const std::int32_t> found = nearest.words_of(row);
    for (std::size_t j = 0; j < found.size() && std::ssize(captions) < options_.k; ++j) {
      if (found[j] < 0) continue;  // an approximate search may come up short
      const std::string_view text = others_.texts[static_cast<std::uint32_t>(found[j])];
      if (std::find(waiting.own.begin(), waiting.own.end(), text) != waiting.own.end()) continue;
      captions.push_back(text);
      sims.push_back(std::strtod(fmt::format("{}", nearest.cosines_of(row)[j]).c_str(), nullptr));
    }
    write(waiting.record, std::move(captions), std::move(sims));
  }

  void write(Json& record, Json captions, Json sims) const {
    record[options_.field] = captions.is_null() ? Json::array() : std::move(captions);
    if (options_.scores) record[options_.field + "_sim"] = sims.is_null() ? Json::array() : std::move(sims);
  }

  const NearestCaptionsOptions& options_;
  const EmbeddingStore& queries_;
  CaptionSet others_;
  RecordReader reader_;
  ManifestWriter writer_;
  std::optional<WordMatcher> matcher_;
  std::vector<Waiting> waiting_;
  NearestCaptionsReport report_;
};

}  // namespace

NearestCaptionsReport add_nearest_captions(const fs::path& in, const fs::path& out, const fs::path& others,
                                           const EmbeddingStore& queries, const EmbeddingStore& captions,
                                           const NearestCaptionsOptions& options) {
  if (options.k < 1) throw UsageError("The number of captions must be at least 1");
  require_embeddings(captions, FeatureKind::kTexts);
  if (const auto& layout = queries.shape().layout; layout && layout->kind == FeatureKind::kPatches) {
    require_embeddings(queries, FeatureKind::kPooled);
  }
  require_same(queries.source(), queries.path().string(), captions.source(), captions.path().string());
  return Adder(in, out, others, queries, captions, options).run();
}

}  // namespace vicha

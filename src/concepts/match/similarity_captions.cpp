#include "concepts/match/similarity_captions.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "data/manifest/record_fields.h"
#include "data/manifest/record_reader.h"
#include "data/manifest/string_pool.h"

namespace vicha {
namespace {

constexpr std::size_t kLongestKey = 4096;
constexpr std::size_t kKeptOfLong = 1024;

/// Distinct captions in the order of their first appearance.
StringPool distinct_captions(const std::vector<fs::path>& manifests) {
  StringPool captions;
  for (const fs::path& manifest : manifests) {
    RecordReader reader(manifest);
    RecordText text;
    while (reader.next(text)) {
      for (const std::string& caption : captions_of(reader.parse(text), reader)) {
        if (!caption.empty()) captions.intern(caption);
      }
    }
  }
  captions.seal();
  return captions;
}

}  // namespace

std::string caption_key(std::string_view caption) {
  if (caption.size() <= kLongestKey) return std::string(caption);
  return std::string(caption.substr(0, kKeptOfLong)) + " sha256:" + sha256_hex(caption);
}

EmbedCaptionsReport embed_captions(ConceptSource& source, const std::vector<fs::path>& manifests, const fs::path& store,
                                   const EmbedCaptionsOptions& options) {
  VICHA_ASSERT(options.batch_size > 0);
  const StringPool captions = distinct_captions(manifests);
  EmbeddingStoreWriter writer(store, source.weights(), {source.width(), 1, options.type});
  EmbedCaptionsReport report{.captions = captions.size()};
  Progress progress("embedding captions", "captions", report.captions);
  for (std::int64_t begin = 0; begin < report.captions; begin += options.batch_size) {
    const std::int64_t end = std::min(begin + options.batch_size, report.captions);
    std::vector<std::string> texts, keys;
    std::vector<std::int64_t> places;  // of those that are new
    for (std::int64_t i = begin; i < end; ++i) {
      texts.emplace_back(captions[static_cast<std::uint32_t>(i)]);
      std::string key = caption_key(texts.back());
      if (writer.content(key)) continue;
      keys.push_back(std::move(key));
      places.push_back(i - begin);
    }
    const auto fresh = static_cast<std::int64_t>(places.size());
    report.known += end - begin - fresh;
    report.embedded += fresh;
    if (fresh > 0) {
      const at::Tensor rows = source.embed_texts(texts);
      writer.add(keys, std::vector<std::uint64_t>(keys.size(), 0), rows.index_select(0, at::tensor(places, at::kLong)));
    }
    progress.update(end, report.known);
  }
  writer.finish();
  report.seconds = progress.seconds();
  return report;
}

}  // namespace vicha

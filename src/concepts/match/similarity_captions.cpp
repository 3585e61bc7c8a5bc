#include "concepts/match/similarity_captions.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"

namespace vicha {

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

#include "search/index_check.h"

#include <ATen/ATen.h>

#include "base/random.h"
#include "concepts/embed/embed.h"
#include "concepts/store/store.h"
#include "search/damaged_part.h"

namespace vicha {
namespace {

constexpr std::string_view kWrongSum = "is damaged: its checksum is wrong";

}  // namespace

std::uint64_t sum_of(std::string_view text) {
  return content_hash({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

std::uint64_t build_of(std::string_view lines, const SourceWeights& weights) {
  return mix_seed({sum_of(lines), sum_of(weights.sha256)});
}

void require_right_lines(const IndexPaths& paths, std::string_view lines, const IndexDescription& description) {
  if (build_of(lines, description.weights) == description.build) return;
  throw DamagedPart(paths.files().string(), kWrongSum);
}

void require_right_codes(const fs::path& file, const Codes& codes) {
  if (!codes.right()) throw DamagedPart(file.string(), kWrongSum);
}

void require_right_store(const fs::path& file) {
  try {
    const EmbeddingStore store = EmbeddingStore::open(file);
    store.verify();
    if (store.lost_bytes() == 0 && store.size() > 0) return;
  } catch (const DataError&) {  // which would say how to save what is left of any store
  }
  throw DamagedPart(file.string(), "is damaged: it is cut short, or a checksum is wrong");
}

at::Tensor read_background(const fs::path& file, std::int64_t width) {
  require_right_store(file);
  const EmbeddingStore store = EmbeddingStore::open(file);
  if (store.shape().width != width || store.shape().vectors != 1) {
    throw DamagedPart(file.string(), "does not belong to this index");
  }
  return store.rows(store.newest()).select(1, 0).contiguous();
}

Calibration read_calibration(const fs::path& file, const IndexDescription* description) {
  const std::string text = read_file(file);
  Calibration calibration = calibration_from_json(text, file.string());
  if (description != nullptr && description->calibration_sum != 0 && description->calibration_sum != sum_of(text)) {
    throw DamagedPart(file.string(), kWrongSum);
  }
  return calibration;
}

}  // namespace vicha

#include "features/feature_store.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/printable.h"
#include "concepts/embed/captions.h"
#include "concepts/store/store_format.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kNumbersOfAThread = 1 << 15;  // fewer are not worth waking one

std::string name_of(FeatureKind kind) {
  return kind == FeatureKind::kPooled  ? "pooled features"
         : kind == FeatureKind::kTexts ? "features of texts"
                                       : "patches";
}

/// "vicha embed train.json --tower vit:FILE --patches --out train.features".
std::string command_for(const FeatureStore& store, std::string_view manifest) {
  std::string file = store.path().string(), options;
  const std::string& kind = store.source().kind;
  if (store.layout().kind == FeatureKind::kTexts && kind != "bert") options = " --texts";
  if (store.layout().kind == FeatureKind::kPatches) {
    options = " --patches";
    if (file.ends_with(".patches")) file.resize(file.size() - std::string_view(".patches").size());
  }
  return fmt::format("vicha embed {} --tower {}:FILE{} --out {}", manifest, kind, options, file);
}

}  // namespace

fs::path patches_beside(const fs::path& pooled) { return pooled.string() + ".patches"; }

FeatureStore FeatureStore::open(const fs::path& path, FeatureKind kind) {
  FeatureStore opened;
  opened.store_ = std::make_shared<const EmbeddingStore>(EmbeddingStore::open(path));
  const StoreShape& shape = opened.store_->shape();
  if (shape.layout) {
    opened.layout_ = *shape.layout;
  } else if (kind != FeatureKind::kPatches && shape.vectors == 1) {
    opened.layout_.kind = kind;
  } else {
    throw DataError(path.string(),
                    fmt::format("holds embeddings of `vicha concepts embed` ({} a picture), and wanted are {}",
                                shape.vectors, name_of(kind)),
                    "Make the store with `vicha embed`");
  }
  if (opened.layout_.kind != kind) {
    throw DataError(path.string(), fmt::format("holds {}, and wanted are {}", opened.layout_.describe(), name_of(kind)),
                    kind == FeatureKind::kPatches && fs::exists(patches_beside(path))
                        ? fmt::format("They are in {}", patches_beside(path).string())
                        : "Name the store that has them");
  }
  return opened;
}

std::vector<std::int64_t> FeatureStore::records_of(std::span<const std::string> keys, std::string_view manifest) const {
  std::vector<std::int64_t> records;
  records.reserve(keys.size());
  std::int64_t missing = 0;
  const std::string* first = nullptr;
  for (const std::string& key : keys) {
    const auto record = store_->find(layout_.kind == FeatureKind::kTexts ? caption_key(key) : key);
    if (record) {
      records.push_back(*record);
    } else if (missing++ == 0) {
      first = &key;
    }
  }
  if (missing == 0) return records;
  const bool texts = layout_.kind == FeatureKind::kTexts;
  throw DataError(manifest,
                  fmt::format("{} of its {} {} have no features in {}, the first is \"{}\"", missing, keys.size(),
                              texts ? "texts" : "pictures", path().string(), printable(*first)),
                  fmt::format("Add them: {}", command_for(*this, manifest)));
}

at::Tensor FeatureStore::gather(std::span<const std::int64_t> records, std::span<const std::int64_t> views) const {
  VICHA_ASSERT(records.size() == views.size());
  const std::int64_t of_view = layout_.vectors_of_view(), each = of_view * width();
  const auto count = static_cast<std::int64_t>(records.size());
  const at::Tensor out = at::empty({count, of_view, width()}, at::kFloat);
  float* const data = out.data_ptr<float>();
  at::parallel_for(0, count, std::max<std::int64_t>(1, kNumbersOfAThread / each),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                       const std::int64_t view = views[static_cast<std::size_t>(i)];
                       VICHA_ASSERT(view >= 0 && view < layout_.views);
                       store_->read(records[static_cast<std::size_t>(i)], view * of_view, of_view, data + i * each);
                     }
                   });
  return out;
}

at::Tensor FeatureStore::gather(std::span<const std::int64_t> records, std::int64_t view) const {
  return gather(records, std::vector<std::int64_t>(records.size(), view));
}

FeatureStore::Stored FeatureStore::load(std::span<const std::int64_t> records) const {
  const StoreShape& shape = store_->shape();
  const auto count = static_cast<std::int64_t>(records.size()), rows = count * shape.vectors;
  const bool int8 = shape.type == StoreType::kInt8;
  Stored stored;
  stored.rows = at::empty({rows, shape.width}, int8                                ? at::kChar
                                               : shape.type == StoreType::kFloat16 ? at::kHalf
                                                                                   : at::kFloat);
  if (int8) stored.scale = at::empty({rows}, at::kFloat);
  const std::size_t scales = int8 ? static_cast<std::size_t>(shape.vectors) * sizeof(float) : 0;
  const std::size_t numbers = store_detail::record_bytes(shape) - scales;
  auto* const to = static_cast<std::byte*>(stored.rows.mutable_data_ptr());
  auto* const scale = int8 ? static_cast<std::byte*>(stored.scale.mutable_data_ptr()) : nullptr;
  at::parallel_for(0, count, std::max<std::int64_t>(1, kNumbersOfAThread / (shape.vectors * shape.width)),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
                       const std::span<const std::byte> record = store_->stored(records[i]);
                       if (int8) std::memcpy(scale + i * scales, record.data(), scales);
                       std::memcpy(to + i * numbers, record.data() + scales, numbers);
                     }
                   });
  return stored;
}

}  // namespace vicha

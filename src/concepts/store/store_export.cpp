#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/named_outputs.h"
#include "concepts/store/store.h"
#include "concepts/store/store_format.h"
#include "concepts/store/store_npy.h"

namespace vicha {
namespace {

using store_detail::encode_npy_header, store_detail::kBlockBytes, store_detail::record_bytes;
using ExportJson = nlohmann::ordered_json;
using ExportSink = std::function<void(std::string_view)>;

constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;

std::vector<std::int64_t> shape_of(const StoreShape& shape, std::size_t records) {
  const auto n = static_cast<std::int64_t>(records);
  return shape.vectors == 1 ? std::vector{n, shape.width} : std::vector{n, shape.vectors, shape.width};
}

std::string hexadecimal(std::uint64_t content) { return fmt::format("{:016x}", content); }

/// The numbers of the records, piece by piece, in the store's own type; of int8 what it stands for, as fp32, which
/// holds it exactly.
void write_rows(const EmbeddingStore& store, std::span<const std::int64_t> records, const ExportSink& out) {
  const std::size_t at_once = std::max<std::size_t>(1, kBlockBytes / record_bytes(store.shape()));
  for (std::size_t i = 0; i < records.size(); i += at_once) {
    at::Tensor rows = store.rows(records.subspan(i, std::min(at_once, records.size() - i)));
    if (store.shape().type == StoreType::kFloat16) rows = rows.to(at::kHalf);
    out({static_cast<const char*>(rows.const_data_ptr()), rows.nbytes()});
  }
}

void export_safetensors(const EmbeddingStore& store, std::span<const std::int64_t> records, const fs::path& path) {
  ExportJson keys = ExportJson::array(), contents = ExportJson::array();
  for (const std::int64_t record : records) {
    keys.push_back(store.key(record));
    contents.push_back(hexadecimal(store.content(record)));
  }
  const bool half = store.shape().type == StoreType::kFloat16;
  const StoreShape& shape = store.shape();
  const auto numbers = records.size() * static_cast<std::size_t>(shape.vectors) * static_cast<std::size_t>(shape.width);
  std::string text;
  try {
    ExportJson header = {
        {"__metadata__",
         {{"format", "pt"}, {"source", to_json(store.source())}, {"contents", contents.dump()}, {"keys", keys.dump()}}},
        {"embeddings",
         {{"dtype", half ? "F16" : "F32"},
          {"shape", shape_of(shape, records.size())},
          {"data_offsets", {0, numbers * (half ? 2 : 4)}}}}};
    if (shape.layout) header["__metadata__"]["layout"] = store_detail::layout_json(*shape.layout);
    text = header.dump();
  } catch (const ExportJson::exception&) {
    throw DataError(store.path().string(), "a picture's name is not UTF-8, and safetensors has no other names",
                    "Export as .npy");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxSafetensorsHeader) {
    throw DataError(path.string(),
                    fmt::format("the names of {} pictures do not fit a safetensors header (100 MB)", records.size()),
                    "Export as .npy");
  }
  write_file_atomic(path, [&](const ExportSink& out) {
    const std::uint64_t length = text.size();
    out({reinterpret_cast<const char*>(&length), sizeof(length)});
    out(text);
    write_rows(store, records, out);
  });
}

void export_npy(const EmbeddingStore& store, std::span<const std::int64_t> records, const fs::path& path) {
  for (const std::int64_t record : records) {
    if (store.key(record).find('\n') == std::string_view::npos) continue;
    throw DataError(store.path().string(), fmt::format("the name of record {} has a line break", record),
                    "Export as .safetensors");
  }
  const fs::path keys = fs::path(path).replace_extension(".keys.txt");
  const GuardedOutputs outputs({{"the export", path}, {"the list of its keys", keys}}, {store.path()});
  write_file_atomic(path, [&](const ExportSink& out) {
    out(encode_npy_header(store.shape().type == StoreType::kFloat16 ? "<f2" : "<f4",
                          shape_of(store.shape(), records.size())));
    write_rows(store, records, out);
  });
  write_file_atomic(keys, [&](const ExportSink& out) {
    for (const std::int64_t record : records) {
      out(fmt::format("{}\t{}\n", store.key(record), hexadecimal(store.content(record))));
    }
  });
}

}  // namespace

void export_store(const EmbeddingStore& store, const fs::path& out) {
  const std::vector<std::int64_t> records = store.newest();
  if (out.extension() == ".safetensors") {
    export_safetensors(store, records, out);
  } else if (out.extension() == ".npy") {
    export_npy(store, records, out);
  } else {
    throw UsageError(fmt::format("{}: an export ends in .safetensors or .npy", out.string()));
  }
}

}  // namespace vicha

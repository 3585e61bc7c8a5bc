#include <ATen/Functions.h>
#include <c10/core/ScalarType.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "base/json_depth.h"
#include "checkpoint/safetensors/safetensors.h"
#include "concepts/store/store.h"
#include "concepts/store/store_format.h"
#include "concepts/store/store_npy.h"

namespace vicha {
namespace {

using store_detail::kBlockBytes, store_detail::kMaxKey, store_detail::NpyHeader, store_detail::record_bytes;
using ImportJson = nlohmann::ordered_json;

struct ImportedRows {
  at::Tensor rows;  ///< as many dimensions as in the file; in a memory map
  std::vector<std::string> keys;
  std::vector<std::uint64_t> contents;
  std::string keys_where;
  std::optional<FeatureLayout> layout = {};
};

std::optional<std::uint64_t> from_hexadecimal(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  const bool right = text.size() == 16 && error == std::errc() && end == text.data() + text.size();
  return right ? std::optional(value) : std::nullopt;
}

/// A metadata entry that holds a JSON list of strings.
std::vector<std::string> string_list(const Metadata& metadata, const char* name, const std::string& where) {
  const auto found = metadata.find(name);
  if (found == metadata.end()) return {};
  const ImportJson json = nests_deeper(found->second) ? ImportJson() : ImportJson::parse(found->second, nullptr, false);
  if (!json.is_array() || !std::ranges::all_of(json, [](const ImportJson& item) { return item.is_string(); })) {
    throw DataError(where, fmt::format("metadata \"{}\" is not a JSON list of strings", name));
  }
  return json.get<std::vector<std::string>>();
}

ImportedRows read_safetensors_import(const fs::path& path) {
  const std::string where = path.string();
  Metadata metadata;
  const StateDict tensors = read_safetensors(path, &metadata, true);
  ImportedRows in{tensors.find("embeddings"), string_list(metadata, "keys", where), {}, where};
  if (!in.rows.defined()) {
    throw DataError(where, "has no tensor \"embeddings\"", "Store the vectors under this name, keys in the metadata");
  }
  if (!metadata.contains("keys")) {
    throw DataError(where, "has no \"keys\" in its metadata",
                    "Add them: a JSON list with the name of each row's picture, as the manifests name it");
  }
  for (const std::string& text : string_list(metadata, "contents", where)) {
    const auto content = from_hexadecimal(text);
    if (!content) throw DataError(where, fmt::format("\"{}\" in \"contents\" is not 16 hexadecimal digits", text));
    in.contents.push_back(*content);
  }
  if (!metadata.contains("contents")) in.contents.assign(in.keys.size(), 0);
  if (const auto layout = metadata.find("layout"); layout != metadata.end()) {
    in.layout = store_detail::layout_from_json(layout->second, where);
  }
  if (in.contents.size() != in.keys.size()) {
    throw DataError(where, fmt::format("has {} keys and {} contents", in.keys.size(), in.contents.size()));
  }
  return in;
}

at::Tensor read_npy_rows(const fs::path& path) {
  const std::string where = path.string();
  const auto map = std::make_shared<MappedFile>(path);
  const std::string_view bytes(reinterpret_cast<const char*>(map->bytes().data()), map->bytes().size());
  const NpyHeader header = store_detail::decode_npy_header(bytes, where);
  const auto type = header.type == "<f4"   ? std::optional(at::kFloat)
                    : header.type == "<f2" ? std::optional(at::kHalf)
                    : header.type == "<f8" ? std::optional(at::kDouble)
                                           : std::nullopt;
  if (!type) {
    throw DataError(where, fmt::format("holds numbers of type '{}', not <f2, <f4 or <f8", header.type),
                    "Save the array as numpy.float32 or numpy.float16");
  }
  std::uint64_t size = c10::elementSize(*type);
  bool fits = true;  // also where a later dimension is 0
  for (const std::int64_t dimension : header.shape) {
    fits = !__builtin_mul_overflow(size, static_cast<std::uint64_t>(dimension), &size) && fits;
  }
  if (!fits) size = ~std::uint64_t{0};
  if (size != bytes.size() - header.data) {
    throw DataError(
        where, fmt::format("has {} bytes of numbers where its header tells of {}", bytes.size() - header.data, size),
        "It is cut off or damaged: copy it again");
  }
  auto* const data = const_cast<char*>(bytes.data() + header.data);  // from_blob; only read
  const at::Tensor rows = at::from_blob(
      data, header.shape, [map](void*) {}, at::TensorOptions().dtype(*type));
  return header.data % c10::elementSize(*type) == 0 ? rows : rows.clone();
}

constexpr std::uint64_t kMostKeys = std::uint64_t{16} << 30;  // some hundred million names

ImportedRows read_npy_import(const fs::path& path) {
  const fs::path beside = fs::path(path).replace_extension(".keys.txt");
  ImportedRows in{read_npy_rows(path), {}, {}, beside.string()};
  const std::string text = read_file(beside, kMostKeys);
  for (std::string_view left = text; !left.empty();) {
    std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(line.size() + 1, left.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::size_t tab = line.rfind('\t');
    const auto content = tab == std::string_view::npos ? std::nullopt : from_hexadecimal(line.substr(tab + 1));
    in.keys.emplace_back(content ? line.substr(0, tab) : line);
    in.contents.push_back(content.value_or(0));
  }
  return in;
}

void check_keys(const ImportedRows& in, const std::string& where) {
  const auto rows = static_cast<std::size_t>(in.rows.size(0));
  if (in.keys.size() != rows) {
    throw DataError(in.keys_where, fmt::format("holds {} keys, and {} holds {} rows", in.keys.size(), where, rows));
  }
  std::unordered_map<std::string_view, std::size_t> seen;
  for (std::size_t i = 0; i < rows; ++i) {
    if (in.keys[i].empty() || in.keys[i].size() > kMaxKey) {
      throw DataError(in.keys_where, fmt::format("the key of row {} is empty or too long", i));
    }
    const auto [first, fresh] = seen.emplace(in.keys[i], i);
    if (!fresh) {
      throw DataError(in.keys_where,
                      fmt::format("rows {} and {} have the same key \"{}\"", first->second, i, in.keys[i]));
    }
  }
}

/// `use` gets pieces of the rows in the type they will have in the store, as (n, vectors, width).
template <class Use>
void for_each_piece(const at::Tensor& rows, const StoreShape& shape, Use&& use) {
  const auto at_once = static_cast<std::int64_t>(std::max<std::uint64_t>(1, kBlockBytes / record_bytes(shape)));
  for (std::int64_t i = 0; i < rows.size(0); i += at_once) {
    const std::int64_t n = std::min(at_once, rows.size(0) - i);
    use(i, rows.narrow(0, i, n)
               .to(shape.type == StoreType::kFloat16 ? at::kHalf : at::kFloat)
               .reshape({n, shape.vectors, shape.width}));
  }
}

void check_finite(const ImportedRows& in, const StoreShape& shape, const std::string& where) {
  for_each_piece(in.rows, shape, [&](std::int64_t first, const at::Tensor& piece) {
    const at::Tensor finite = at::isfinite(piece).flatten(1).all(1);
    for (std::int64_t i = 0; i < finite.size(0); ++i) {
      if (finite.const_data_ptr<bool>()[i]) continue;
      throw DataError(where,
                      fmt::format("row {} (\"{}\") holds a number that is not finite as {}", first + i,
                                  in.keys[static_cast<std::size_t>(first + i)], store_detail::describe(shape)),
                      "Leave the row out, or import as float32 if float16 is too narrow");
    }
  });
}

}  // namespace

std::optional<SourceWeights> exported_source(const fs::path& file) {
  if (file.extension() != ".safetensors") return std::nullopt;
  Metadata metadata;
  read_safetensors_header(file, &metadata);
  const auto found = metadata.find("source");
  if (found == metadata.end()) return std::nullopt;
  return source_weights_from_json(found->second, file.string());
}

void import_store(const fs::path& path, const fs::path& out, const SourceWeights& source, StoreType type) {
  const std::string where = path.string();
  if (path.extension() != ".safetensors" && path.extension() != ".npy") {
    throw UsageError(where + ": embeddings are imported from .safetensors or .npy");
  }
  if (const auto named = exported_source(path)) require_same(source, "this command", *named, where);
  const ImportedRows in = path.extension() == ".npy" ? read_npy_import(path) : read_safetensors_import(path);
  const std::int64_t dimensions = in.rows.dim();
  if (!in.rows.is_floating_point() || (dimensions != 2 && dimensions != 3)) {
    throw DataError(
        where, fmt::format("holds an array of {} dimensions of {}", dimensions, c10::toString(in.rows.scalar_type())),
        "Embeddings are (pictures, width) or (pictures, vectors, width) floating-point numbers");
  }
  const StoreShape shape{in.rows.size(-1), dimensions == 3 ? in.rows.size(1) : 1, type, in.layout};
  store_detail::check_shape(shape, where);
  check_keys(in, where);
  check_finite(in, shape, where);
  EmbeddingStoreWriter writer(out, source, shape);
  for_each_piece(in.rows, shape, [&](std::int64_t first, const at::Tensor& piece) {
    const auto begin = static_cast<std::size_t>(first), count = static_cast<std::size_t>(piece.size(0));
    writer.add(std::span(in.keys).subspan(begin, count), std::span(in.contents).subspan(begin, count), piece);
  });
  writer.finish();
}

}  // namespace vicha

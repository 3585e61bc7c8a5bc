#include "concepts/store/store_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/json_depth.h"
#include "checkpoint/pickle/zip.h"

namespace vicha::store_detail {
namespace {

static_assert(std::endian::native == std::endian::little, "stores are little-endian and so must the machine be");

using StoreJson = nlohmann::ordered_json;

constexpr std::string_view kStoreMagic = "VICHAEMB", kBlockMagic = "VBLK";
constexpr std::uint64_t kStoreAlign = 64, kFixedHeader = 16, kMaxHeader = 1 << 16;
constexpr std::int64_t kMaxNumbers = std::int64_t{1} << 28;  // in one record: 1 GiB of fp32

std::uint64_t aligned(std::uint64_t size) { return (size + kStoreAlign - 1) / kStoreAlign * kStoreAlign; }

std::span<const char> chars(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class T>
T value_at(std::span<const std::byte> bytes, std::uint64_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

template <class T>
void append_value(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

void pad(std::string& out) { out.append(aligned(out.size()) - out.size(), '\0'); }

bool all_zero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

constexpr std::pair<FeatureKind, std::string_view> kKinds[] = {
    {FeatureKind::kPooled, "pooled"}, {FeatureKind::kPatches, "patches"}, {FeatureKind::kTexts, "texts"}};

StoreJson json_of(const FeatureLayout& layout) {
  StoreJson json = {{"kind", ""}, {"views", layout.views}};
  for (const auto& [kind, name] : kKinds) {
    if (kind == layout.kind) json["kind"] = name;
  }
  if (layout.kind == FeatureKind::kPatches) {
    json["rows"] = layout.rows;
    json["columns"] = layout.columns;
  }
  if (!layout.view_list.empty()) json["view_list"] = layout.view_list;
  return json;
}

std::uint32_t header_crc(const BlockHeader& header) {
  constexpr std::size_t kAfterCrc = offsetof(BlockHeader, tag);
  return crc32({reinterpret_cast<const char*>(&header) + kAfterCrc, sizeof(BlockHeader) - kAfterCrc});
}

std::int64_t whole_number(const StoreJson& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

FeatureLayout layout_of(const StoreJson& json, const std::string& where) {
  FeatureLayout layout;
  const auto kind = json.find("kind"), list = json.find("view_list");
  const auto named =
      std::ranges::find_if(kKinds, [&](const auto& k) { return kind != json.end() && *kind == k.second; });
  constexpr std::int64_t kMost = 1 << 20;
  const auto right = [](std::int64_t n) { return n >= 1 && n <= kMost; };
  layout.views = whole_number(json, "views");
  bool fine = named != std::end(kKinds) && right(layout.views);
  if (fine) layout.kind = named->first;
  if (fine && layout.kind == FeatureKind::kPatches) {
    layout.rows = whole_number(json, "rows");
    layout.columns = whole_number(json, "columns");
    fine = right(layout.rows) && right(layout.columns);
  }
  if (list != json.end()) {
    fine = fine && list->is_string();
    if (fine) layout.view_list = list->get<std::string>();
  }
  if (!fine) throw DataError(where, "says in its layout of features what is not known here");
  return layout;
}

StoreShape shape_from_json(const StoreJson& json, std::uint32_t version, const std::string& where) {
  StoreShape shape{whole_number(json, "width"), whole_number(json, "vectors"), StoreType::kFloat32};
  const auto type = json.find("type"), layout = json.find("layout");
  const auto is = [&](StoreType wanted) { return type != json.end() && *type == to_string(wanted); };
  if (is(StoreType::kFloat16)) {
    shape.type = StoreType::kFloat16;
  } else if (is(StoreType::kInt8) && version >= kFeatureVersion) {
    shape.type = StoreType::kInt8;
  } else if (!is(StoreType::kFloat32)) {
    throw DataError(where, "the store's header names no type of numbers that is known here");
  }
  if (layout != json.end() && version >= kFeatureVersion) {
    if (!layout->is_object()) throw DataError(where, "the store's layout of features is not readable");
    shape.layout = layout_of(*layout, where);
  }
  check_shape(shape, where);
  return shape;
}

std::uint64_t index_begin(std::uint64_t block) { return block + sizeof(BlockHeader); }

/// A header whose sum is right and that belongs to this file.
std::optional<BlockHeader> header_at(std::span<const std::byte> file, std::uint64_t at, std::uint32_t tag) {
  if (file.size() - at < sizeof(BlockHeader)) return std::nullopt;
  const auto header = value_at<BlockHeader>(file, at);
  const bool right = std::memcmp(header.magic, kBlockMagic.data(), kBlockMagic.size()) == 0 && header.tag == tag &&
                     header.crc == header_crc(header);
  return right ? std::optional(header) : std::nullopt;
}

bool block_follows(std::span<const std::byte> file, std::uint64_t from, const StoreHeader& header,
                   std::uint64_t number) {
  for (std::uint64_t at = aligned(from); at + sizeof(BlockHeader) <= file.size(); at += kStoreAlign) {
    const auto later = header_at(file, at, header.tag);
    if (later && later->number > number) return true;
  }
  return false;
}

/// The keys of a block whose index has a right sum; false where they do not fill it exactly.
bool read_keys(std::span<const std::byte> index, std::uint64_t records, std::vector<std::string_view>& keys) {
  constexpr std::uint64_t kFixed = sizeof(std::uint64_t) + sizeof(std::uint32_t);
  if (records > index.size() / kFixed) return false;
  std::uint64_t at = records * kFixed;
  for (std::uint64_t i = 0; i < records; ++i) {
    const auto length = value_at<std::uint32_t>(index, records * sizeof(std::uint64_t) + i * sizeof(std::uint32_t));
    if (length == 0 || length > kMaxKey || length > index.size() - at) return false;
    keys.push_back({reinterpret_cast<const char*>(index.data()) + at, length});
    at += length;
  }
  return at == index.size();
}

struct BlockState {
  enum { kWhole, kCut, kWrong } state = kWhole;
  std::string_view what = "";
};

/// Takes up the block at scan.end, or says what is the matter with it.
BlockState read_block(std::span<const std::byte> file, StoreScan& scan) {
  const std::uint64_t at = scan.end, left = file.size() - at;
  if (left < sizeof(BlockHeader)) return {BlockState::kCut};
  const auto header = header_at(file, at, scan.header.tag);
  if (!header) return {BlockState::kWrong, "its header is damaged"};
  const std::uint64_t each = record_bytes(scan.header.shape);
  const std::uint64_t vectors = aligned(sizeof(BlockHeader) + header->index_bytes);
  if (header->number != scan.blocks.size() || header->first_record != scan.keys.size() || header->records == 0 ||
      header->length != vectors + aligned(header->records * each)) {
    return {BlockState::kWrong, "its header does not belong here"};
  }
  if (header->length > left) return {BlockState::kCut};
  const auto index = file.subspan(index_begin(at), header->index_bytes);
  if (crc32(chars(index)) != header->index_crc) return {BlockState::kWrong, "its keys have a wrong checksum"};
  const std::size_t before = scan.keys.size();
  if (!read_keys(index, header->records, scan.keys)) {
    scan.keys.resize(before);
    return {BlockState::kWrong, "its keys do not fit it"};
  }
  scan.blocks.push_back({at, at + vectors, static_cast<std::int64_t>(before),
                         static_cast<std::int64_t>(header->records), header->vectors_crc});
  scan.end += header->length;
  return {};
}

/// What one unfinished write can leave at most.
std::uint64_t longest_block(const StoreShape& shape) {
  return sizeof(BlockHeader) + 3 * kStoreAlign + std::max(kBlockBytes, record_bytes(shape) + kMaxKey + 12);
}

}  // namespace

std::uint64_t record_bytes(const StoreShape& shape) {
  const auto numbers = static_cast<std::uint64_t>(shape.width) * static_cast<std::uint64_t>(shape.vectors);
  if (shape.type == StoreType::kInt8) return numbers + static_cast<std::uint64_t>(shape.vectors) * sizeof(float);
  return numbers * (shape.type == StoreType::kFloat32 ? 4 : 2);
}

std::string describe(const StoreShape& shape) {
  const std::string text = fmt::format("{} x {} {}", shape.vectors, shape.width, to_string(shape.type));
  return shape.layout ? fmt::format("{} ({})", text, shape.layout->describe()) : text;
}

std::string layout_json(const FeatureLayout& layout) { return json_of(layout).dump(); }

FeatureLayout layout_from_json(std::string_view text, const std::string& where) {
  const StoreJson json = StoreJson::parse(text, nullptr, false);
  if (!json.is_object() || nests_deeper(text)) throw DataError(where, "its layout of features is not readable");
  return layout_of(json, where);
}

void check_shape(const StoreShape& shape, std::string_view where) {
  if (shape.width < 1 || shape.vectors < 1 || shape.width > kMaxNumbers || shape.vectors > kMaxNumbers / shape.width) {
    throw DataError(where,
                    fmt::format("a store cannot hold {} vectors of {} numbers a record", shape.vectors, shape.width));
  }
  if (shape.layout && shape.layout->vectors() != shape.vectors) {
    throw DataError(where, fmt::format("{} are not {} vectors", shape.layout->describe(), shape.vectors));
  }
}

std::string encode_file_header(const SourceWeights& source, const StoreShape& shape) {
  StoreJson described = {{"source", StoreJson::parse(to_json(source))},
                         {"width", shape.width},
                         {"vectors", shape.vectors},
                         {"type", to_string(shape.type)}};
  if (shape.layout) described["layout"] = json_of(*shape.layout);
  const std::string json = described.dump();
  std::string out(kStoreMagic);
  append_value(out, shape.layout || shape.type == StoreType::kInt8 ? kFeatureVersion : kPlainVersion);
  append_value(out, static_cast<std::uint32_t>(json.size()));
  out += json;
  out.append(aligned(out.size() + 4) - out.size() - 4, '\0');
  append_value(out, crc32(out));
  if (out.size() > kMaxHeader) throw DataError("the source of embeddings", "its description is too long for a store");
  return out;
}

std::optional<StoreHeader> decode_file_header(std::span<const std::byte> file, const std::string& where) {
  if (all_zero(file.first(std::min<std::uint64_t>(file.size(), kMaxHeader)))) {
    if (file.size() > kMaxHeader) throw DataError(where, "is not an embedding store (zeros)");
    return std::nullopt;
  }
  if (std::memcmp(file.data(), kStoreMagic.data(), std::min(file.size(), kStoreMagic.size())) != 0) {
    throw DataError(where, "is not an embedding store",
                    "Name a file that `vicha embed`, `vicha concepts embed` or `store import` wrote");
  }
  if (file.size() < kFixedHeader) return std::nullopt;
  const auto version = value_at<std::uint32_t>(file, kStoreMagic.size());
  if (version < kPlainVersion || version > kFeatureVersion) {
    throw DataError(where,
                    fmt::format("is an embedding store of version {}, and this program reads {} and {}", version,
                                kPlainVersion, kFeatureVersion),
                    "Use the program that wrote it, or a newer one");
  }
  const std::uint64_t json_size = value_at<std::uint32_t>(file, kStoreMagic.size() + 4);
  const std::uint64_t size = aligned(kFixedHeader + json_size + 4);
  if (size <= kMaxHeader && size > file.size()) return std::nullopt;
  if (size > kMaxHeader || crc32(chars(file.first(size - 4))) != value_at<std::uint32_t>(file, size - 4)) {
    throw DataError(where, "the store's header is damaged", "Copy the file again, or delete it and compute it again");
  }
  const auto text = chars(file.subspan(kFixedHeader, json_size));
  const StoreJson json = StoreJson::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object() || !json.contains("source") || nests_deeper({text.data(), text.size()}))
    throw DataError(where, "the store's header is not readable");
  return StoreHeader{source_weights_from_json(json["source"].dump(), where), shape_from_json(json, version, where),
                     size, value_at<std::uint32_t>(file, size - 4)};
}

std::string encode_block(const StoreHeader& header, std::uint64_t number, std::uint64_t first_record,
                         std::span<const std::string_view> keys, std::span<const std::uint64_t> contents,
                         std::span<const char> vectors) {
  VICHA_ASSERT(keys.size() == contents.size() && vectors.size() == keys.size() * record_bytes(header.shape));
  std::string out(sizeof(BlockHeader), '\0');
  for (const std::uint64_t content : contents) append_value(out, content);
  for (const std::string_view key : keys) append_value(out, static_cast<std::uint32_t>(key.size()));
  for (const std::string_view key : keys) out += key;
  BlockHeader block{};
  std::memcpy(block.magic, kBlockMagic.data(), kBlockMagic.size());
  block.tag = header.tag;
  block.records = static_cast<std::uint32_t>(keys.size());
  block.number = number;
  block.first_record = first_record;
  block.index_bytes = static_cast<std::uint32_t>(out.size() - sizeof(BlockHeader));
  block.index_crc = crc32(std::span(out).subspan(sizeof(BlockHeader)));
  block.vectors_crc = crc32(vectors);
  pad(out);
  out.append(vectors.data(), vectors.size());
  pad(out);
  block.length = out.size();
  block.crc = header_crc(block);
  std::memcpy(out.data(), &block, sizeof(block));
  return out;
}

bool vectors_right(std::span<const std::byte> file, const StoreBlock& block, const StoreShape& shape) {
  const std::uint64_t size = static_cast<std::uint64_t>(block.records) * record_bytes(shape);
  return crc32(chars(file.subspan(block.vectors, size))) == block.vectors_crc;
}

void refuse_block(const std::string& where, std::size_t number, const StoreBlock& block, std::string_view what) {
  throw DataError(
      where,
      fmt::format("block {} (from byte {}, record {}) is damaged: {}", number, block.begin, block.first_record, what),
      fmt::format("Copy the file again; or keep the {} records before the block (truncate -s {} FILE) and "
                  "repeat the command that wrote it",
                  block.first_record, block.begin));
}

StoreScan scan_blocks(std::span<const std::byte> file, const StoreHeader& header, const std::string& where) {
  StoreScan scan;
  scan.header = header;
  scan.end = header.size;
  BlockState read;
  while (scan.end < file.size() && read.state == BlockState::kWhole) read = read_block(file, scan);
  scan.lost = file.size() - scan.end;
  const auto expected = StoreBlock{scan.end, 0, static_cast<std::int64_t>(scan.keys.size()), 0, 0};
  if (read.state == BlockState::kWrong) {
    if (scan.lost > longest_block(header.shape) ||
        block_follows(file, scan.end + kStoreAlign, header, scan.blocks.size())) {
      refuse_block(where, scan.blocks.size(), expected, read.what);
    }
    // Zeros are space that was taken from the disk and never written.
    if (!all_zero(file.subspan(scan.end))) scan.damage = read.what;
  } else if (scan.lost == 0 && !scan.blocks.empty() && !vectors_right(file, scan.blocks.back(), header.shape)) {
    scan.damage = "its vectors have a wrong checksum";
    scan.end = scan.blocks.back().begin;
    scan.keys.resize(static_cast<std::size_t>(scan.blocks.back().first_record));
    scan.blocks.pop_back();
    scan.lost = file.size() - scan.end;
  }
  return scan;
}

}  // namespace vicha::store_detail

namespace vicha {

std::string_view to_string(StoreType type) {
  return type == StoreType::kFloat32 ? "float32" : type == StoreType::kFloat16 ? "float16" : "int8";
}

std::string FeatureLayout::describe() const {
  std::string text = kind == FeatureKind::kPooled  ? "pooled features"
                     : kind == FeatureKind::kTexts ? "features of texts"
                                                   : fmt::format("features of {}x{} patches", rows, columns);
  if (views > 1) text += fmt::format(", {} views", views);
  if (!view_list.empty()) text += fmt::format(" ({})", view_list);
  return text;
}

void require_embeddings(const EmbeddingStore& store, FeatureKind wanted) {
  const auto& layout = store.shape().layout;
  if (!layout || layout->kind == wanted) return;
  const bool pictures = wanted == FeatureKind::kPooled;
  throw DataError(store.path().string(),
                  fmt::format("holds {}, and wanted is one embedding of each {}", layout->describe(),
                              pictures ? "picture" : "caption"),
                  layout->kind == FeatureKind::kPatches
                      ? "Name the store of pooled features beside it (without .patches)"
                      : fmt::format("Name the store of the {}", pictures ? "pictures" : "captions"));
}

}  // namespace vicha

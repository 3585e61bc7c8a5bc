#include "checkpoint/safetensors/safetensors.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/safetensors/safetensors_header.h"
#include "checkpoint/tensors/dtypes.h"
#include "checkpoint/tensors/in_quotes.h"
#include "checkpoint/tensors/pieces.h"
#include "checkpoint/tensors/storage.h"

namespace vicha {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian and so must the machine be");

constexpr std::uint64_t kMaxHeader = 100'000'000;  // the reference implementation's limit

struct Layout {
  SafetensorsHeader header;
  std::uint64_t data_begin = 0;
};

/// The entries must tile the data exactly, as the format says: no hole, no overlap, nothing left over.
void check_tiling(const std::vector<SafetensorsEntry>& entries, std::uint64_t data_size, const std::string& where) {
  std::vector<const SafetensorsEntry*> sorted;
  for (const SafetensorsEntry& entry : entries) sorted.push_back(&entry);
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return a->begin != b->begin ? a->begin < b->begin : a->end < b->end;
  });
  std::uint64_t expected = 0;
  for (const SafetensorsEntry* entry : sorted) {
    if (entry->begin != expected) {
      throw DataError(where, "tensor " + in_quotes(entry->info.name) + " starts at byte " +
                                 std::to_string(entry->begin) + " of the data where " + std::to_string(expected) +
                                 " was expected: tensors overlap or leave a hole");
    }
    expected = entry->end;
  }
  if (expected != data_size) {
    throw DataError(where,
                    "the tensors take " + std::to_string(expected) + " bytes but the file holds " +
                        std::to_string(data_size) + " after its header",
                    expected > data_size ? "The file is cut off: copy or download it again" : "");
  }
}

Layout read_layout(std::ifstream& file, const std::filesystem::path& path) {
  const std::string where = path.string();
  std::error_code failed;
  const std::uint64_t size = std::filesystem::file_size(path, failed);
  if (!file.is_open() || failed) {
    throw DataError(where, std::filesystem::is_directory(path) ? "is a folder, not a safetensors file" : "cannot open");
  }
  unsigned char length_bytes[8];
  if (size < 8 || !file.read(reinterpret_cast<char*>(length_bytes), 8)) {
    throw DataError(where, "is too short to be a safetensors file (" + std::to_string(size) + " bytes)");
  }
  std::uint64_t length = 0;
  std::memcpy(&length, length_bytes, 8);
  if (length > kMaxHeader || length > size - 8) {
    throw DataError(where,
                    "says that its header has " + std::to_string(length) + " bytes, but " +
                        (length > size - 8 ? "the file has only " + std::to_string(size) : "100 MB is the limit"),
                    "It is cut off: copy or download it again");
  }
  std::string text(length, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(length))) throw DataError(where, "cannot read the header");
  Layout layout{parse_safetensors_header(text, where), 8 + length};
  check_tiling(layout.header.entries, size - layout.data_begin, where);
  return layout;
}

struct SharedMap : c10::intrusive_ptr_target {
  explicit SharedMap(const std::filesystem::path& path) : file(path) {}
  const MappedFile file;
};

at::Tensor map_tensor(const c10::intrusive_ptr<SharedMap>& map, std::uint64_t offset, const SafetensorsEntry& entry) {
  auto* data = const_cast<std::byte*>(map->file.bytes().data()) + offset;
  return tensor_over(storage_over(data, entry.end - entry.begin, map), entry.info.dtype, entry.info.shape);
}

StateDict map_tensors(const std::filesystem::path& path, const Layout& layout) {
  const auto map = c10::make_intrusive<SharedMap>(path);
  const auto bytes = map->file.bytes();
  StateDict tensors;
  for (const SafetensorsEntry& entry : layout.header.entries) {
    const std::uint64_t offset = layout.data_begin + entry.begin;
    if (entry.end == entry.begin) {
      tensors.set(entry.info.name, at::empty(entry.info.shape, entry.info.dtype));
      continue;
    }
    if (offset + (entry.end - entry.begin) > bytes.size()) throw DataError(path.string(), "shrank while being read");
    // Kernels may assume that elements are aligned; the format does not promise it.
    if (offset % c10::elementSize(entry.info.dtype) != 0) {
      at::Tensor copy = at::empty(entry.info.shape, entry.info.dtype);
      std::memcpy(copy.data_ptr(), bytes.data() + offset, copy.nbytes());
      normalise_bools(copy);
      tensors.set(entry.info.name, std::move(copy));
      continue;
    }
    at::Tensor mapped = map_tensor(map, offset, entry);
    if (has_odd_bools(mapped)) {
      mapped = mapped.view(at::kByte).ne(0);
    }
    tensors.set(entry.info.name, std::move(mapped));
  }
  return tensors;
}

StateDict copy_tensors(std::ifstream& file, const std::filesystem::path& path, const Layout& layout) {
  StateDict tensors;
  StorageArena arena;
  std::uint64_t at = UINT64_MAX;  // where the file is; looking for a place empties the stream's buffer
  for (const SafetensorsEntry& entry : layout.header.entries) {
    at::Tensor tensor = tensor_over(arena.allocate(entry.end - entry.begin), entry.info.dtype, entry.info.shape);
    if (at != entry.begin) file.seekg(static_cast<std::streamoff>(layout.data_begin + entry.begin));
    at = entry.end;
    if (!file.read(static_cast<char*>(tensor.data_ptr()), static_cast<std::streamsize>(entry.end - entry.begin))) {
      throw DataError(path.string(), "cannot read tensor " + in_quotes(entry.info.name));
    }
    normalise_bools(tensor);
    tensors.set(entry.info.name, std::move(tensor));
  }
  return tensors;
}

struct Planned {
  const at::Tensor* tensor;
  std::uint64_t begin;
};

/// Wide types first, so that every tensor is aligned to its element size; the header keeps the caller's order.
std::vector<Planned> plan(const StateDict& tensors) {
  std::vector<Planned> planned;
  for (const auto& [name, tensor] : tensors) planned.push_back({&tensor, 0});
  std::vector<Planned*> order;
  for (Planned& p : planned) order.push_back(&p);
  std::stable_sort(order.begin(), order.end(), [](const Planned* a, const Planned* b) {
    return a->tensor->element_size() > b->tensor->element_size();
  });
  std::uint64_t at = 0;
  for (Planned* p : order) {
    p->begin = at;
    at += static_cast<std::uint64_t>(p->tensor->numel()) * p->tensor->element_size();
  }
  return planned;
}

std::string header_text(const StateDict& tensors, const std::vector<Planned>& planned, const Metadata& metadata,
                        const std::string& where) {
  // Piece by piece: an ordered JSON object looks each new name up among all before it.
  std::string text = "{";
  try {
    if (!metadata.empty()) text += "\"__metadata__\":" + nlohmann::json(metadata).dump();
    std::size_t i = 0;
    for (const auto& [name, tensor] : tensors) {
      const std::uint64_t begin = planned[i++].begin;
      const std::uint64_t end = begin + static_cast<std::uint64_t>(tensor.numel()) * tensor.element_size();
      if (text.size() > 1) text += ',';
      text += nlohmann::json(name).dump() + ":{\"dtype\":\"";
      text += find_dtype(tensor.scalar_type())->safetensors;
      text += "\",\"shape\":[";
      for (std::int64_t d = 0; d < tensor.dim(); ++d) {
        if (d > 0) text += ',';
        text += std::to_string(tensor.size(d));
      }
      text += "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]}";
    }
  } catch (const nlohmann::json::exception&) {
    throw DataError(where, "a tensor's name or the metadata is not valid UTF-8 text");
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxHeader) throw DataError(where, "the header would be larger than the format allows (100 MB)");
  return text;
}

void check_writable(const StateDict& tensors, const std::string& where) {
  for (const auto& [name, tensor] : tensors) {
    if (name == "__metadata__") throw DataError(where, "'__metadata__' is a reserved name and cannot be a tensor's");
    if (!tensor.defined()) throw DataError(where, "tensor " + in_quotes(name) + " is undefined");
    const DtypeNames* dtype = find_dtype(tensor.scalar_type());
    if (dtype == nullptr || dtype->safetensors.empty() || tensor.layout() != at::kStrided) {
      throw DataError(where, "tensor " + in_quotes(name) + " has a type that safetensors cannot hold (" +
                                 c10::toString(tensor.scalar_type()) + ")");
    }
  }
}

}  // namespace

StateDict read_safetensors(const std::filesystem::path& path, Metadata* metadata, bool map) {
  require_regular_file(path);
  std::ifstream file(path, std::ios::binary);
  Layout layout = read_layout(file, path);
  if (metadata != nullptr) *metadata = std::move(layout.header.metadata);
  return map ? map_tensors(path, layout) : copy_tensors(file, path, layout);
}

std::vector<TensorInfo> read_safetensors_header(const std::filesystem::path& path, Metadata* metadata) {
  require_regular_file(path);
  std::ifstream file(path, std::ios::binary);
  Layout layout = read_layout(file, path);
  if (metadata != nullptr) *metadata = std::move(layout.header.metadata);
  std::vector<TensorInfo> infos;
  for (SafetensorsEntry& entry : layout.header.entries) infos.push_back(std::move(entry.info));
  return infos;
}

namespace {

struct Pieces {
  std::string header;
  std::vector<Planned> tensors;  // in the order of their bytes
};

Pieces lay_out(const StateDict& tensors, const Metadata& metadata, const std::string& where) {
  check_writable(tensors, where);
  Pieces pieces;
  pieces.tensors = plan(tensors);
  pieces.header = header_text(tensors, pieces.tensors, metadata, where);
  std::stable_sort(pieces.tensors.begin(), pieces.tensors.end(),
                   [](const Planned& a, const Planned& b) { return a.begin < b.begin; });
  return pieces;
}

void write_pieces(const Pieces& pieces, const std::function<void(std::string_view)>& out) {
  const std::uint64_t length = pieces.header.size();
  char length_bytes[8];
  std::memcpy(length_bytes, &length, 8);
  out({length_bytes, 8});
  out(pieces.header);
  for (const Planned& p : pieces.tensors) {
    out(bytes_of(as_written(*p.tensor)));
  }
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const StateDict& tensors, const Metadata& metadata) {
  const Pieces pieces = lay_out(tensors, metadata, path.string());
  write_file_atomic(path, [&](const auto& out) {
    PieceCollector collector(out);
    write_pieces(pieces, [&](std::string_view piece) { collector.append(piece); });
    collector.flush();
  });
}

std::string safetensors_bytes(const StateDict& tensors, const Metadata& metadata) {
  std::string bytes;
  write_pieces(lay_out(tensors, metadata, "safetensors"), [&](std::string_view piece) { bytes += piece; });
  return bytes;
}

}  // namespace vicha

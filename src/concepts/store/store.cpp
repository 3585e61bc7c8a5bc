#include "concepts/store/store.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "concepts/store/store_format.h"
#include "concepts/store/store_keys.h"
#include "concepts/store/store_numbers.h"

namespace vicha {

using store_detail::record_bytes, store_detail::refuse_block;
using store_detail::StoreBlock, store_detail::StoreHeader, store_detail::StoreKeys, store_detail::StoreScan;

namespace {

StoreHeader store_header_of(const MappedFile& map, const std::string& where) {
  auto header = store_detail::decode_file_header(map.bytes(), where);
  if (!header) {
    throw DataError(where, "is empty or was cut short before its first block: no embedding store yet",
                    "Repeat the command that was writing it");
  }
  return *std::move(header);
}

}  // namespace

struct EmbeddingStore::Impl {
  explicit Impl(const fs::path& file)
      : path(file),
        map(file),
        scan(store_detail::scan_blocks(map.bytes(), store_header_of(map, file.string()), file.string())) {
    keys = StoreKeys(std::move(scan.keys));
    checked = std::make_unique<std::atomic<bool>[]>(scan.blocks.size());
  }

  std::size_t block_of(std::int64_t record) const {
    VICHA_ASSERT(record >= 0 && record < keys.size());
    const auto after = std::ranges::upper_bound(scan.blocks, record, {}, &StoreBlock::first_record);
    return static_cast<std::size_t>(after - scan.blocks.begin()) - 1;
  }
  void check(std::size_t number) const {
    if (checked[number].load(std::memory_order_relaxed)) return;
    if (!store_detail::vectors_right(map.bytes(), scan.blocks[number], scan.header.shape)) {
      refuse_block(path.string(), number, scan.blocks[number], "its vectors have a wrong checksum");
    }
    checked[number].store(true, std::memory_order_relaxed);
  }

  fs::path path;
  MappedFile map;
  StoreScan scan;
  StoreKeys keys;
  std::unique_ptr<std::atomic<bool>[]> checked;  // blocks whose vectors were found to be right
};

EmbeddingStore::EmbeddingStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EmbeddingStore::EmbeddingStore(EmbeddingStore&&) noexcept = default;
EmbeddingStore& EmbeddingStore::operator=(EmbeddingStore&&) noexcept = default;
EmbeddingStore::~EmbeddingStore() = default;

EmbeddingStore EmbeddingStore::open(const fs::path& path) { return EmbeddingStore(std::make_unique<Impl>(path)); }

const SourceWeights& EmbeddingStore::source() const { return impl_->scan.header.source; }
const StoreShape& EmbeddingStore::shape() const { return impl_->scan.header.shape; }
const fs::path& EmbeddingStore::path() const { return impl_->path; }
std::int64_t EmbeddingStore::size() const { return impl_->keys.size(); }
std::int64_t EmbeddingStore::blocks() const { return static_cast<std::int64_t>(impl_->scan.blocks.size()); }
std::int64_t EmbeddingStore::lost_bytes() const { return static_cast<std::int64_t>(impl_->scan.lost); }

std::string_view EmbeddingStore::key(std::int64_t record) const {
  VICHA_ASSERT(record >= 0 && record < size());
  return impl_->keys.key(record);
}

std::uint64_t EmbeddingStore::content(std::int64_t record) const {
  const StoreBlock& block = impl_->scan.blocks[impl_->block_of(record)];
  const std::uint64_t at = block.begin + sizeof(store_detail::BlockHeader) +
                           static_cast<std::uint64_t>(record - block.first_record) * sizeof(std::uint64_t);
  std::uint64_t content = 0;
  std::memcpy(&content, impl_->map.bytes().data() + at, sizeof(content));
  return content;
}

std::optional<std::int64_t> EmbeddingStore::find(std::string_view key) const { return impl_->keys.find(key); }

std::vector<std::int64_t> EmbeddingStore::newest() const {
  std::vector<std::int64_t> records;
  for (std::int64_t i = 0; i < size(); ++i) {
    if (find(key(i)) == i) records.push_back(i);
  }
  return records;
}

at::Tensor EmbeddingStore::rows(std::span<const std::int64_t> records) const {
  const StoreShape& shape = this->shape();
  const auto count = static_cast<std::int64_t>(records.size());
  const at::Tensor out = at::empty({count, shape.vectors, shape.width}, at::kFloat);
  const std::int64_t each = shape.vectors * shape.width;
  constexpr std::int64_t kNumbersOfAThread = 1 << 16;  // fewer are not worth waking one
  float* const data = out.data_ptr<float>();
  at::parallel_for(0, count, std::max<std::int64_t>(1, kNumbersOfAThread / each),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                       read(records[static_cast<std::size_t>(i)], 0, shape.vectors, data + i * each);
                     }
                   });
  return out;
}

std::span<const std::byte> EmbeddingStore::stored(std::int64_t record) const {
  const std::size_t number = impl_->block_of(record);
  const StoreBlock& block = impl_->scan.blocks[number];
  impl_->check(number);
  const std::uint64_t each = record_bytes(shape());
  return impl_->map.bytes().subspan(block.vectors + static_cast<std::uint64_t>(record - block.first_record) * each,
                                    each);
}

void EmbeddingStore::read(std::int64_t record, std::int64_t first, std::int64_t count, float* out) const {
  store_detail::decode_numbers(shape(), stored(record), first, count, out);
}

void EmbeddingStore::verify() const {
  for (std::size_t i = 0; i < impl_->scan.blocks.size(); ++i) impl_->check(i);
  if (!impl_->scan.damage.empty()) {
    const StoreBlock last{impl_->scan.end, 0, size(), 0, 0};
    refuse_block(path().string(), impl_->scan.blocks.size(), last, impl_->scan.damage);
  }
}

}  // namespace vicha

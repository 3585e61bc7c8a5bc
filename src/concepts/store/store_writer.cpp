#include <ATen/core/Tensor.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <mutex>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "concepts/store/store.h"
#include "concepts/store/store_format.h"
#include "concepts/store/store_keys.h"
#include "concepts/store/store_numbers.h"
#include "data/manifest/string_pool.h"

namespace vicha {

using store_detail::kBlockBytes, store_detail::kMaxKey, store_detail::record_bytes;
using store_detail::StoreBlock, store_detail::StoreHeader, store_detail::StoreKeys, store_detail::StoreScan;

namespace {

/// A slow writer puts down what it has after this time, so that a kill costs seconds of work.
constexpr std::chrono::seconds kLongestWait{10};

std::string system_reason() { return std::strerror(errno); }

void sync_folder(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const int fd = ::open(folder.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;  // the name is then as durable as the file system makes it
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

// Not anonymous: a member of EmbeddingStoreWriter::Impl has this type.
namespace store_detail {

/// The file, open and locked for as long as this lives.
class LockedFile {
 public:
  explicit LockedFile(const fs::path& path)
      : path_(path.string()), file_(path, GrowingFile::Access::kReadWrite), fd_(file_.fd()) {
    file_.reads_back();
    if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
    const int why = errno;
    if (why == EWOULDBLOCK) {
      throw DataError(path_, "is being written by somebody else",
                      "Wait for that command, or let each write a store of its own and merge them");
    }
    throw Error(fmt::format("{}: cannot lock ({})", path_, std::strerror(why)));
  }
  LockedFile(const LockedFile&) = delete;
  LockedFile& operator=(const LockedFile&) = delete;

  /// Writes at `end` and syncs. On failure the file ends at `end` again and an Error says why.
  void append(std::uint64_t end, std::string_view data) {
    std::uint64_t at = end;
    while (!data.empty()) {
      const ssize_t n = ::pwrite(fd_, data.data(), data.size(), static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) give_up(end);
      data.remove_prefix(static_cast<std::size_t>(n));
      at += static_cast<std::uint64_t>(n);
    }
    if (::fdatasync(fd_) != 0) give_up(end);
  }
  void cut(std::uint64_t end) {
    if (::ftruncate(fd_, static_cast<off_t>(end)) != 0) {
      throw Error(fmt::format("{}: cannot shorten the file ({})", path_, system_reason()));
    }
  }

 private:
  [[noreturn]] void give_up(std::uint64_t end) {
    const std::string why = system_reason();
    const bool shortened = ::ftruncate(fd_, static_cast<off_t>(end)) == 0;
    throw Error(fmt::format("{}: cannot write ({}). The {} bytes before are whole{}; free space and repeat the command",
                            path_, why, end, shortened ? "" : " and the rest will be passed over"));
  }

  std::string path_;
  GrowingFile file_;
  int fd_;
};

}  // namespace store_detail

struct EmbeddingStoreWriter::Impl {
  Impl(const fs::path& path_, const SourceWeights& source, const StoreShape& shape)
      : path(path_), where(path_.string()), file(path_), old(path_) {
    const auto found = store_detail::decode_file_header(old.bytes(), where);
    if (!found) {
      begin(source, shape);
      return;
    }
    header = *found;
    require_same(source, "this command", header.source, where);
    if (header.shape != shape) {
      throw DataError(where,
                      fmt::format("holds records of {}, not of {}", store_detail::describe(header.shape),
                                  store_detail::describe(shape)),
                      "Name another file, or delete this one");
    }
    resume(store_detail::scan_blocks(old.bytes(), header, where));
  }

  void begin(const SourceWeights& source, const StoreShape& shape) {
    const std::string bytes = store_detail::encode_file_header(source, shape);
    file.cut(0);
    file.append(0, bytes);
    sync_folder(path);
    header = *store_detail::decode_file_header(std::as_bytes(std::span(bytes)), where);
    end = bytes.size();
  }

  void resume(StoreScan scan) {
    if (scan.lost > 0) {
      log::warning("{}: the last block is not whole; {} bytes are cut off and will be computed again", where,
                   scan.lost);
      file.cut(scan.end);
    }
    end = scan.end;
    blocks = scan.blocks.size();
    for (const StoreBlock& block : scan.blocks) {
      const std::size_t first = contents.size();
      contents.resize(first + static_cast<std::size_t>(block.records));
      std::memcpy(contents.data() + first, old.bytes().data() + block.begin + sizeof(store_detail::BlockHeader),
                  static_cast<std::size_t>(block.records) * sizeof(std::uint64_t));
    }
    keys = StoreKeys(std::move(scan.keys));
    written = contents.size();
  }

  bool due() const {
    return rows.size() >= kBlockBytes || (!rows.empty() && std::chrono::steady_clock::now() - oldest > kLongestWait);
  }

  /// How many records from `written` on make the next block.
  std::size_t next_block() const {
    const std::uint64_t each = record_bytes(header.shape) + sizeof(std::uint64_t) + sizeof(std::uint32_t);
    std::uint64_t size = 0;
    std::size_t count = 0;
    for (std::size_t i = written; i < contents.size(); ++i, ++count) {
      size += each + keys.keys()[i].size();
      if (count > 0 && size > kBlockBytes) break;
    }
    return count;
  }

  /// Everything that is pending. What could not be written stays pending.
  void write_all() {
    const std::uint64_t each = record_bytes(header.shape);
    std::size_t done = 0;  // bytes of `rows`
    const auto forget = [&] { rows.erase(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(done)); };
    try {
      while (written < contents.size()) {
        const std::size_t count = next_block();
        const std::string block = store_detail::encode_block(
            header, blocks, written, keys.keys().subspan(written, count), std::span(contents).subspan(written, count),
            std::span(rows).subspan(done, count * each));
        file.append(end, block);
        end += block.size();
        ++blocks;
        written += count;
        done += count * each;
      }
    } catch (...) {
      forget();
      throw;
    }
    forget();
  }

  const fs::path path;
  const std::string where;
  store_detail::LockedFile file;
  MappedFile old;  // what was there at the start; keys of its records lie in it
  StoreHeader header;
  std::uint64_t end = 0, blocks = 0;

  mutable std::mutex mutex;
  ByteArena arena;  // keys of new records
  StoreKeys keys;   // of all records, the waiting ones included
  std::vector<std::uint64_t> contents;
  std::size_t written = 0;  // records
  std::vector<char> rows;   // vectors of the records that wait
  StoreLoss loss;
  std::chrono::steady_clock::time_point oldest;
};

EmbeddingStoreWriter::EmbeddingStoreWriter(const fs::path& path, const SourceWeights& source, const StoreShape& shape)
    : impl_((store_detail::check_shape(shape, path.string()), std::make_unique<Impl>(path, source, shape))) {}
EmbeddingStoreWriter::~EmbeddingStoreWriter() = default;

std::optional<std::uint64_t> EmbeddingStoreWriter::content(std::string_view key) const {
  const std::lock_guard lock(impl_->mutex);
  const auto record = impl_->keys.find(key);
  return record ? std::optional(impl_->contents[static_cast<std::size_t>(*record)]) : std::nullopt;
}

void EmbeddingStoreWriter::add(std::span<const std::string> keys, std::span<const std::uint64_t> contents,
                               const at::Tensor& rows) {
  Impl& impl = *impl_;
  const StoreShape& shape = impl.header.shape;
  const auto count = static_cast<std::int64_t>(keys.size());
  VICHA_ASSERT(contents.size() == keys.size() && rows.is_floating_point() &&
               rows.numel() == count * shape.vectors * shape.width && rows.size(0) == count &&
               rows.size(-1) == shape.width);
  if (count == 0) return;
  for (const std::string& key : keys) {
    if (key.empty() || key.size() > kMaxKey) {
      throw DataError(impl.where, fmt::format("a picture's name must have 1 to {} bytes, not {}", kMaxKey, key.size()));
    }
  }
  StoreLoss loss;
  const store_detail::EncodedRecords encoded = store_detail::encode_numbers(shape, rows, loss);
  if (encoded.not_finite) {
    throw DataError(impl.where,
                    fmt::format("the vectors of \"{}\" hold a number that is not finite as {}",
                                keys[static_cast<std::size_t>(*encoded.not_finite)], store_detail::describe(shape)),
                    "Check the weights that computed them; too large for float16, they may fit float32");
  }

  const std::lock_guard lock(impl.mutex);
  if (impl.due()) impl.write_all();  // first, so that a full disk leaves this call without effect
  if (impl.rows.empty()) impl.oldest = std::chrono::steady_clock::now();
  impl.rows.insert(impl.rows.end(), encoded.bytes.begin(), encoded.bytes.end());
  impl.loss.vectors += loss.vectors;
  impl.loss.sum += loss.sum;
  impl.loss.worst = std::min(impl.loss.worst, loss.worst);
  impl.contents.insert(impl.contents.end(), contents.begin(), contents.end());
  for (const std::string& key : keys) impl.keys.add({impl.arena.at(impl.arena.append(key)), key.size()});
}

void EmbeddingStoreWriter::flush() {
  const std::lock_guard lock(impl_->mutex);
  impl_->write_all();
}

std::int64_t EmbeddingStoreWriter::size() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->keys.size();
}

StoreLoss EmbeddingStoreWriter::loss() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->loss;
}

}  // namespace vicha

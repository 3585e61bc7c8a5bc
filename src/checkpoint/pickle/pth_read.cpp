#include <algorithm>
#include <cstring>
#include <fstream>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/pickle/foreign_zip.h"
#include "checkpoint/pickle/pickle_reader.h"
#include "checkpoint/pickle/pth.h"
#include "checkpoint/pickle/torchscript.h"
#include "checkpoint/pickle/zip.h"
#include "checkpoint/tensors/dtypes.h"
#include "checkpoint/tensors/in_quotes.h"
#include "checkpoint/tensors/name_index.h"
#include "checkpoint/tensors/storage.h"

namespace vicha {
namespace {

constexpr std::string_view kZipMagic = "PK\x03\x04";
// 0x1950a86a20f9469cfc6c, little-endian: the number with which the old format starts.
constexpr std::string_view kLegacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr std::size_t kMostPickle = 129 << 20;  // a little more than the pickle reader takes

std::string first_bytes(const std::filesystem::path& path, std::size_t count) {
  require_regular_file(path);
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) throw DataError(path.string(), "cannot open");
  std::string bytes(count, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(count));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

bool starts_as_legacy(std::string_view head) {
  return head.starts_with('\x80') && head.substr(0, 32).find(kLegacyMagic) != std::string_view::npos;
}

std::span<char> span_of(const c10::Storage& storage) {
  return {static_cast<char*>(storage.mutable_data()), storage.nbytes()};
}

void normalise_storage(const c10::Storage& storage, c10::ScalarType type) {
  if (type != c10::ScalarType::Bool) return;
  normalise_bools(tensor_over(storage, type, {static_cast<std::int64_t>(storage.nbytes())}));
}

/// The archive's one folder: torch.save puts everything below the file's own name.
std::string archive_root(const ZipReader& zip, const std::string& where) {
  std::string root;
  for (const ZipReader::Entry& entry : zip.entries()) {
    const std::size_t slash = entry.name.find('/');
    if (slash == entry.name.npos || slash == 0 || entry.name.substr(slash) != "/data.pkl") continue;
    if (!root.empty()) {
      throw DataError(where, "holds two checkpoints, " + in_quotes(root) + " and " + in_quotes(entry.name));
    }
    root = entry.name.substr(0, slash);
  }
  if (root.empty()) refuse_foreign_zip(zip, where);
  return root;
}

PickleValue read_zip(const std::filesystem::path& path, PthFormat& format) {
  const std::string where = path.string();
  ZipReader zip(path);
  const std::string root = archive_root(zip, where);
  const bool torchscript = zip.find(root + "/constants.pkl") != nullptr;
  format = torchscript ? PthFormat::kTorchScript : PthFormat::kZip;
  if (const auto* entry = zip.find(root + "/byteorder"); entry != nullptr) {
    const std::string order(zip.read(*entry));
    if (order == "big")
      throw DataError(where, "was written on a big-endian machine", "Load it in Python and save it again");
    if (order != "little") {
      throw DataError(where, "has the byte order " + in_quotes(order) + ", which is none", "Copy or download it again");
    }
  }
  PickleOptions options{.where = where, .torchscript = torchscript};
  StorageArena arena;
  std::string name = root + "/data/";
  const std::size_t folder = name.size();
  options.storages = [&](std::string_view key, c10::ScalarType type, std::int64_t size) {
    const bool plain = !key.empty() && key.find_first_not_of("0123456789") == key.npos;
    name.resize(folder);
    const ZipReader::Entry* entry = plain ? zip.find(name += key) : nullptr;
    if (entry == nullptr) throw DataError(where, "has no tensor data under the key " + in_quotes(key.substr(0, 100)));
    if (entry->size != static_cast<std::uint64_t>(size)) {
      throw DataError(where, "has " + std::to_string(entry->size) + " bytes of tensor data under the key '" +
                                 std::string(key) + "' where " + std::to_string(size) + " were expected");
    }
    c10::Storage storage = arena.allocate(static_cast<std::size_t>(size));
    zip.read(*entry, span_of(storage));
    normalise_storage(storage, type);
    return storage;
  };
  const ZipReader::Entry& pickle = *zip.find(root + "/data.pkl");
  if (pickle.size > kMostPickle)
    throw DataError(where, "has a pickle of more than 128 MiB, far more than weights take");
  PickleValue value = read_pickle(zip.read(pickle), options);
  return torchscript ? torchscript_state(value, where) : value;
}

/// Five pickles (magic, version, machine, the object, storage keys), then each storage: 8 bytes count, raw elements.
class LegacyReader {
 public:
  explicit LegacyReader(const std::filesystem::path& path) : where_(path.string()), file_(path, std::ios::binary) {
    size_ = std::filesystem::file_size(path);
    window_.resize(std::min<std::uint64_t>(size_, kMostPickle));
    read(window_.data(), window_.size());
  }

  PickleValue run() {
    const PickleOptions plain{.where = where_};
    const PickleValue magic = next(plain);
    const auto* number = magic.get_if<PickleBigInt>();
    if (number == nullptr || number->bytes != kLegacyMagic) throw DataError(where_, "is not a file of torch.save");
    const PickleValue version = next(plain);
    const auto* protocol = version.get_if<std::int64_t>();
    if (protocol == nullptr || *protocol != 1001) throw DataError(where_, "has an unknown version of the old format");
    const PickleValue machine = next(plain);
    const PickleValue* little = machine.find("little_endian");
    if (little == nullptr || little->get_if<bool>() == nullptr) {
      throw DataError(where_, "does not say what machine wrote it, as a file of torch.save does", "It is damaged");
    }
    if (!*little->get_if<bool>()) {
      throw DataError(where_, "was written on a big-endian machine", "Load it in Python and save it again");
    }
    PickleOptions options{.where = where_, .storages = [this](const auto& key, auto type, auto bytes) {
                            return reserve(key, type, bytes);
                          }};
    PickleValue object = next(options);
    fill(next(plain));
    return object;
  }

 private:
  struct Pending {
    std::string key;
    c10::ScalarType type;
    c10::Storage storage;
    bool filled = false;
  };

  PickleValue next(const PickleOptions& options) {
    std::size_t consumed = 0;
    PickleValue value = read_pickle(std::string_view(window_).substr(at_), options, &consumed);
    at_ += consumed;
    return value;
  }

  auto keys() const {
    return [this](std::size_t i) -> const std::string& { return pending_[i].key; };
  }

  /// The pickle's reader asks once for each key.
  c10::Storage reserve(std::string_view key, c10::ScalarType type, std::int64_t bytes) {
    reserved_ += static_cast<std::uint64_t>(bytes);
    if (static_cast<std::uint64_t>(bytes) > size_ || reserved_ > size_) {
      throw DataError(where_, "refers to more tensor data than the file holds", "It is cut off or damaged");
    }
    index_.insert(key, pending_.size(), keys());
    return pending_.emplace_back(std::string(key), type, arena_.allocate(static_cast<std::size_t>(bytes))).storage;
  }

  void fill(const PickleValue& keys) {
    file_.seekg(static_cast<std::streamoff>(at_));
    for (const PickleValue& key : keys.items()) {
      const auto* text = key.get_if<std::string>();
      const std::size_t found = text == nullptr ? NameIndex::kNone : index_.find(*text, this->keys());
      if (found == NameIndex::kNone || pending_[found].filled) {
        throw DataError(where_, "lists tensor data that no tensor uses, or twice");
      }
      Pending& pending = pending_[found];
      const std::span<char> bytes = span_of(pending.storage);
      std::uint64_t elements = 0;
      read(reinterpret_cast<char*>(&elements), sizeof elements);
      if (elements != bytes.size() / c10::elementSize(pending.type)) {
        throw DataError(where_, "has tensor data of another size than its tensors say");
      }
      read(bytes.data(), bytes.size());
      normalise_storage(pending.storage, pending.type);
      pending.filled = true;
    }
    for (const Pending& pending : pending_) {
      if (!pending.filled) throw DataError(where_, "lacks the tensor data " + in_quotes(pending.key.substr(0, 100)));
    }
  }

  void read(char* into, std::size_t count) {
    if (count > 0 && !file_.read(into, static_cast<std::streamsize>(count))) {
      throw DataError(where_, "ends before its tensor data do", "It is cut off: copy or download it again");
    }
  }

  std::string where_;
  std::ifstream file_;
  std::uint64_t size_ = 0, reserved_ = 0;
  std::string window_;
  std::size_t at_ = 0;
  StorageArena arena_;
  std::vector<Pending> pending_;
  NameIndex index_;  // of their keys
};

}  // namespace

bool looks_like_pth(const std::filesystem::path& path) {
  const std::string head = first_bytes(path, 32);
  return head.starts_with(kZipMagic) || starts_as_legacy(head);
}

void require_pth_archive(const std::filesystem::path& path) {
  if (first_bytes(path, 4) == kZipMagic) archive_root(ZipReader(path), path.string());
}

PickleValue read_pth(const std::filesystem::path& path, PthFormat* format) {
  const std::string head = first_bytes(path, 32);
  PthFormat found = PthFormat::kLegacy;
  if (head.starts_with(kZipMagic) || starts_as_legacy(head)) {
    PickleValue value = head.starts_with(kZipMagic) ? read_zip(path, found) : LegacyReader(path).run();
    if (format != nullptr) *format = found;
    return value;
  }
  if (head.empty()) throw DataError(path.string(), "is empty", "Copy or download it again");
  throw DataError(path.string(), "is not a file of torch.save", "It is damaged, or of another format");
}

}  // namespace vicha

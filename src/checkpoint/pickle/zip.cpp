#include "checkpoint/pickle/zip.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {
namespace {

constexpr std::uint32_t kLocalMagic = 0x04034b50, kDirectoryMagic = 0x02014b50, kEndMagic = 0x06054b50,
                        kEnd64Magic = 0x06064b50, kLocator64Magic = 0x07064b50;
constexpr std::size_t kLocalSize = 30, kDirectorySize = 46, kEndSize = 22, kEnd64Size = 56, kLocator64Size = 20;
constexpr std::uint32_t kSee64 = 0xffffffff;                   // "the value stands in the zip64 part"
constexpr std::uint16_t kExtra64 = 1, kExtraPadding = 0x4246;  // "FB", PyTorch's own
constexpr std::uint64_t kAlignment = 64;
constexpr std::size_t kSmall = 4 << 10, kMaxWindow = 1 << 20;

template <class T>
T get(std::string_view data, std::size_t at) {
  T value;
  std::memcpy(&value, data.data() + at, sizeof value);
  return value;
}

template <class... T>
void put(std::string& data, T... values) {
  (data.append(reinterpret_cast<const char*>(&values), sizeof values), ...);
}

constexpr auto kCrcTables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    tables[0][i] = crc;
  }
  for (std::size_t t = 1; t < 8; ++t) {
    for (std::size_t i = 0; i < 256; ++i) tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 255];
  }
  return tables;
}();

}  // namespace

std::uint32_t crc32(std::span<const char> data, std::uint32_t crc) {
  crc = ~crc;
  const auto& t = kCrcTables;
  while (data.size() >= 8) {  // eight tables, eight bytes a turn: checkpoints have gigabytes
    std::uint32_t low, high;
    std::memcpy(&low, data.data(), 4);
    std::memcpy(&high, data.data() + 4, 4);
    low ^= crc;
    crc = t[7][low & 255] ^ t[6][low >> 8 & 255] ^ t[5][low >> 16 & 255] ^ t[4][low >> 24] ^ t[3][high & 255] ^
          t[2][high >> 8 & 255] ^ t[1][high >> 16 & 255] ^ t[0][high >> 24];
    data = data.subspan(8);
  }
  for (const char byte : data) crc = crc >> 8 ^ t[0][(crc ^ static_cast<unsigned char>(byte)) & 255];
  return ~crc;
}

ZipReader::ZipReader(const std::filesystem::path& path) : where_(path.string()), file_(path, std::ios::binary) {
  std::error_code failed;
  file_size_ = std::filesystem::file_size(path, failed);
  if (!file_.is_open() || failed) fail("cannot open");
  std::uint64_t begin = 0, size = 0, count = 0;
  find_directory(begin, size, count);
  directory_ = read_at(begin, size);
  parse_directory(count);
  check_overlaps(begin);
  has_checksums_ = std::any_of(entries_.begin(), entries_.end(), [](const Entry& e) { return e.crc != 0; });
}

/// The end record closes the file; before it may stand a zip64 one, and before that the directory, without gaps.
void ZipReader::find_directory(std::uint64_t& begin, std::uint64_t& size, std::uint64_t& count) {
  const std::uint64_t tail_size = std::min<std::uint64_t>(file_size_, kEndSize + 65535);
  const std::string tail = read_at(file_size_ - tail_size, tail_size);
  std::size_t end = std::string::npos;
  for (std::size_t at = tail.size() < kEndSize ? 0 : tail.size() - kEndSize + 1; at-- > 0;) {
    if (get<std::uint32_t>(tail, at) == kEndMagic && at + kEndSize + get<std::uint16_t>(tail, at + 20) == tail.size()) {
      end = at;
      break;
    }
  }
  if (end == std::string::npos) fail("has no zip directory at its end: the file is cut off or damaged");
  const std::string_view record = std::string_view(tail).substr(end, kEndSize);
  if (get<std::uint16_t>(record, 4) != 0 || get<std::uint16_t>(record, 6) != 0) fail("is one part of several");
  count = get<std::uint16_t>(record, 10);
  size = get<std::uint32_t>(record, 12);
  begin = get<std::uint32_t>(record, 16);
  std::uint64_t directory_end = file_size_ - tail_size + end;
  const bool needs64 = count == 0xffff || size == kSee64 || begin == kSee64;
  const bool has64 = directory_end >= kLocator64Size + kEnd64Size &&
                     get<std::uint32_t>(read_at(directory_end - kLocator64Size, 4), 0) == kLocator64Magic;
  if (needs64 && !has64) fail("has a damaged zip directory");
  if (has64) {
    const std::uint64_t at = get<std::uint64_t>(read_at(directory_end - kLocator64Size, kLocator64Size), 8);
    if (at != directory_end - kLocator64Size - kEnd64Size) fail("has a damaged zip64 directory");
    const std::string record64 = read_at(at, kEnd64Size);
    if (get<std::uint32_t>(record64, 0) != kEnd64Magic) fail("has a damaged zip64 directory");
    const std::uint64_t count64 = get<std::uint64_t>(record64, 32), size64 = get<std::uint64_t>(record64, 40),
                        begin64 = get<std::uint64_t>(record64, 48);
    if ((count != 0xffff && count != count64) || (size != kSee64 && size != size64) ||
        (begin != kSee64 && begin != begin64)) {
      fail("has two zip directories that contradict each other");
    }
    count = count64, size = size64, begin = begin64, directory_end = at;
  }
  if (begin > directory_end || size != directory_end - begin) fail("has a zip directory that is not where it says");
}

void ZipReader::parse_directory(std::uint64_t count) {
  std::string_view directory = directory_;
  if (count > directory.size() / kDirectorySize) fail("has a damaged zip directory");
  entries_.reserve(count);
  index_.reserve(count);
  for (; !directory.empty(); --count) {
    if (count == 0 || directory.size() < kDirectorySize || get<std::uint32_t>(directory, 0) != kDirectoryMagic) {
      fail("has a damaged zip directory");
    }
    const std::size_t name_size = get<std::uint16_t>(directory, 28), extra_size = get<std::uint16_t>(directory, 30),
                      comment_size = get<std::uint16_t>(directory, 32);
    const std::size_t entry_size = kDirectorySize + name_size + extra_size + comment_size;
    if (entry_size > directory.size()) fail("has a damaged zip directory");
    Entry entry;
    entry.name = directory.substr(kDirectorySize, name_size);
    if ((get<std::uint16_t>(directory, 8) & 0x2041) != 0) fail("has the encrypted entry " + in_quotes(entry.name));
    entry.stored = get<std::uint16_t>(directory, 10) == 0;
    entry.crc = get<std::uint32_t>(directory, 16);
    std::uint64_t packed = get<std::uint32_t>(directory, 20);
    entry.size = get<std::uint32_t>(directory, 24);
    entry.header = get<std::uint32_t>(directory, 42);
    // The 64-bit values stand in this order, but only those whose field says so.
    std::string_view extra = directory.substr(kDirectorySize + name_size, extra_size);
    while (extra.size() >= 4) {
      const std::size_t part_size = get<std::uint16_t>(extra, 2);
      if (part_size > extra.size() - 4) fail("has a damaged zip directory");
      if (get<std::uint16_t>(extra, 0) == kExtra64) {
        std::string_view part = extra.substr(4, part_size);
        for (std::uint64_t* value : {&entry.size, &packed, &entry.header}) {
          if (*value != kSee64) continue;
          if (part.size() < 8) fail("has a damaged zip64 directory");
          *value = get<std::uint64_t>(part, 0);
          part.remove_prefix(8);
        }
      }
      extra.remove_prefix(4 + part_size);
    }
    if (entry.stored && packed != entry.size) fail("has two sizes for " + in_quotes(entry.name));
    if (entry.stored && entry.size > file_size_)
      fail("says that " + in_quotes(entry.name) + " is larger than the file");
    const auto name_at = [this](std::size_t i) { return entries_[i].name; };
    if (index_.insert(entry.name, entries_.size(), name_at) < entries_.size()) {
      fail("has the entry " + in_quotes(entry.name) + " twice");
    }
    entries_.push_back(entry);
    directory.remove_prefix(entry_size);
  }
  if (count != 0) fail("has fewer entries than its zip directory says");
}

/// Entries that share bytes would make a small file stand for a huge one.
void ZipReader::check_overlaps(std::uint64_t directory_begin) {
  std::vector<Entry*> sorted;
  for (Entry& entry : entries_) sorted.push_back(&entry);
  std::ranges::sort(sorted, {}, &Entry::header);
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const std::uint64_t end = i + 1 < sorted.size() ? sorted[i + 1]->header : directory_begin;
    const std::uint64_t size = kLocalSize + sorted[i]->name.size() + (sorted[i]->stored ? sorted[i]->size : 0);
    if (sorted[i]->header > end || size > end - sorted[i]->header) {
      fail("has the entry " + in_quotes(sorted[i]->name) + ", which overlaps another or reaches beyond the file");
    }
    sorted[i]->limit = end;
  }
}

const ZipReader::Entry* ZipReader::find(std::string_view name) const {
  const std::size_t at = index_.find(name, [this](std::size_t i) { return entries_[i].name; });
  return at == NameIndex::kNone ? nullptr : &entries_[at];
}

void ZipReader::read(const Entry& entry, std::span<char> into) {
  if (!entry.stored) {
    throw DataError(where_, "has the compressed entry " + in_quotes(entry.name) + ", which PyTorch never writes",
                    "Load it in Python and save it again with torch.save");
  }
  const std::string_view local = small_at(entry.header, kLocalSize);
  const std::size_t name_size = get<std::uint16_t>(local, 26), extra_size = get<std::uint16_t>(local, 28);
  const bool is_local = get<std::uint32_t>(local, 0) == kLocalMagic && get<std::uint16_t>(local, 8) == 0;
  const std::uint64_t begin = entry.header + kLocalSize + name_size + extra_size;
  if (!is_local || small_at(entry.header + kLocalSize, name_size) != entry.name || begin > entry.limit ||
      entry.size > entry.limit - begin) {
    fail("has a damaged entry " + in_quotes(entry.name));
  }
  read_at(begin, into);
  if (has_checksums_ && crc32(into) != entry.crc) {
    throw DataError(where_, "entry " + in_quotes(entry.name) + " has a wrong checksum",
                    "The file is damaged: copy or download it again");
  }
}

std::string ZipReader::read(const Entry& entry) {
  std::string data(entry.stored ? entry.size : 0, '\0');
  read(entry, data);
  return data;
}

void ZipReader::read_at(std::uint64_t offset, std::span<char> into) {
  if (offset > file_size_ || into.size() > file_size_ - offset) fail("is cut off or damaged");
  if (into.size() <= kSmall) {
    const std::string_view piece = small_at(offset, into.size());
    std::copy(piece.begin(), piece.end(), into.begin());
    return;
  }
  file_.seekg(static_cast<std::streamoff>(offset));
  if (!file_.read(into.data(), static_cast<std::streamsize>(into.size()))) fail("cannot be read");
}

/// Valid until the next read. Reads further ahead the longer the file is read in its order.
std::string_view ZipReader::small_at(std::uint64_t offset, std::size_t size) {
  if (offset > file_size_ || size > file_size_ - offset) fail("is cut off or damaged");
  const std::uint64_t end = window_begin_ + window_.size();
  if (offset < window_begin_ || offset + size > end) {
    const bool onward = offset >= window_begin_ && offset < end + kSmall;
    const std::uint64_t ahead = onward ? std::clamp<std::uint64_t>(2 * window_.size(), kSmall, kMaxWindow) : size;
    window_.resize(static_cast<std::size_t>(std::min(std::max<std::uint64_t>(ahead, size), file_size_ - offset)));
    window_begin_ = offset;
    file_.seekg(static_cast<std::streamoff>(offset));
    if (!file_.read(window_.data(), static_cast<std::streamsize>(window_.size()))) fail("cannot be read");
  }
  return std::string_view(window_).substr(static_cast<std::size_t>(offset - window_begin_), size);
}

std::string ZipReader::read_at(std::uint64_t offset, std::uint64_t size) {
  if (offset > file_size_ || size > file_size_ - offset) fail("is cut off or damaged");
  std::string data(size, '\0');
  read_at(offset, data);
  return data;
}

void ZipReader::fail(const std::string& what) const {
  throw DataError(where_, what, "Copy or download it again, or save it again in Python");
}

void ZipWriter::write(std::string_view data) {
  out_(data);
  at_ += data.size();
}

void ZipWriter::add(const std::string& name, std::span<const char> data) {
  const std::uint64_t header = at_;
  const std::uint32_t crc = crc32(data);
  const bool large = data.size() >= kSee64, far = header >= kSee64;
  const auto size32 = static_cast<std::uint32_t>(large ? kSee64 : data.size());
  constexpr std::uint16_t kUtf8Names = 0x800, kVersion = 45, kDate = 0x21;  // 1 January 1980: the same bytes every time

  std::string extra;
  if (large)
    put<std::uint16_t, std::uint16_t, std::uint64_t, std::uint64_t>(extra, kExtra64, 16, data.size(), data.size());
  const std::uint64_t unpadded = header + kLocalSize + name.size() + extra.size() + 4;
  const auto padding = static_cast<std::uint16_t>((kAlignment - unpadded % kAlignment) % kAlignment);
  put<std::uint16_t, std::uint16_t>(extra, kExtraPadding, padding);
  extra.append(padding, 'Z');

  std::string local;
  put(local, kLocalMagic, kVersion, kUtf8Names, std::uint16_t{0}, std::uint16_t{0}, kDate, crc, size32, size32,
      static_cast<std::uint16_t>(name.size()), static_cast<std::uint16_t>(extra.size()));
  write(local + name + extra);
  write({data.data(), data.size()});

  std::string extra64, values;
  if (large) put<std::uint64_t, std::uint64_t>(values, data.size(), data.size());
  if (far) put<std::uint64_t>(values, header);
  if (!values.empty()) put(extra64, kExtra64, static_cast<std::uint16_t>(values.size()));
  extra64 += values;
  put(directory_, kDirectoryMagic, kVersion, kVersion, kUtf8Names, std::uint16_t{0}, std::uint16_t{0}, kDate, crc,
      size32, size32, static_cast<std::uint16_t>(name.size()), static_cast<std::uint16_t>(extra64.size()),
      std::uint16_t{0}, std::uint16_t{0}, std::uint16_t{0}, std::uint32_t{0},
      static_cast<std::uint32_t>(far ? kSee64 : header));
  directory_ += name + extra64;
  ++count_;
}

void ZipWriter::finish() {
  const std::uint64_t begin = at_, size = directory_.size();
  write(directory_);
  std::string end;
  if (begin >= kSee64 || size >= kSee64 || count_ >= 0xffff) {
    const std::uint64_t at = at_;
    put(end, kEnd64Magic, std::uint64_t{kEnd64Size - 12}, std::uint16_t{45}, std::uint16_t{45}, std::uint32_t{0},
        std::uint32_t{0}, count_, count_, size, begin);
    put(end, kLocator64Magic, std::uint32_t{0}, at, std::uint32_t{1});
  }
  const auto count16 = static_cast<std::uint16_t>(std::min<std::uint64_t>(count_, 0xffff));
  put(end, kEndMagic, std::uint16_t{0}, std::uint16_t{0}, count16, count16,
      static_cast<std::uint32_t>(std::min<std::uint64_t>(size, kSee64)),
      static_cast<std::uint32_t>(std::min<std::uint64_t>(begin, kSee64)), std::uint16_t{0});
  write(end);
}

}  // namespace vicha

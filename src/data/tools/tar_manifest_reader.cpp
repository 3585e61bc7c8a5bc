#include "data/tools/tar_manifest_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "base/error.h"
#include "base/files.h"

namespace vicha {
namespace {

constexpr std::array<std::string_view, 7> kImageParts = {"jpg", "jpeg", "png", "webp", "gif", "bmp", "ppm"};
constexpr std::size_t kMaxName = 1024;
constexpr std::size_t kMaxFileName = 200;  // file systems allow 255 bytes
constexpr std::size_t kBlock = std::size_t{1} << 18;

/// Why a member of this name is not taken; empty if it is.
std::string_view name_fault(std::string_view name) {
  if (name.empty()) return "it has no name";
  if (name.size() > kMaxName) return "the name is too long";
  if (name.front() == '/') return "the name is absolute";
  for (std::size_t from = 0; from <= name.size();) {
    const std::size_t to = std::min(name.find('/', from), name.size());
    const std::string_view part = name.substr(from, to - from);
    if (part == "..") return "the name leads out of the folder";
    if (part.size() > kMaxFileName) return "the name is too long";
    if (to < name.size() && part.size() > 1 && part.front() == '.') return "a folder in its name is hidden";
    from = to + 1;
  }
  const auto odd = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\'; };
  if (std::any_of(name.begin(), name.end(), odd)) return "the name holds control characters or backslashes";
  return {};
}

/// Without "." and empty parts: "./a//b" -> "a/b".
std::string tidy(std::string_view name) {
  std::string out;
  for (std::size_t from = 0; from <= name.size();) {
    const std::size_t to = std::min(name.find('/', from), name.size());
    const std::string_view part = name.substr(from, to - from);
    if (!part.empty() && part != ".") out.append(out.empty() ? "" : "/").append(part);
    from = to + 1;
  }
  return out;
}

}  // namespace

bool is_image_part(std::string_view part) {
  return std::find(kImageParts.begin(), kImageParts.end(), part) != kImageParts.end();
}

struct TarReader::Impl {
  struct Member {
    std::string key, part;
  };

  /// Split at the first dot of the last part of the path; nothing if there is none, or nothing in front of it.
  static std::optional<Member> split(const std::string& name) {
    const std::size_t slash = name.rfind('/');
    const std::size_t file = slash == std::string::npos ? 0 : slash + 1;
    const std::size_t dot = name.find('.', file);
    if (dot == std::string::npos || dot == file) return std::nullopt;
    Member member{name.substr(0, dot), name.substr(dot + 1)};
    for (char& c : member.part) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return member;
  }

  Impl(const std::filesystem::path& file, const TarLimits& given) : path(file), limits(given) {}
  ~Impl() { archive_read_free(archive); }

  [[noreturn]] void damaged(std::string_view member) const {
    const char* reason = archive_error_string(archive);
    throw DataError(path.string() + (member.empty() ? "" : fmt::format(", member \"{}\"", member)),
                    fmt::format("the archive is damaged or cut short ({})", reason ? reason : "no reason given"),
                    "Fetch it again, or leave it out (--skip-damaged)");
  }

  void refuse(std::string_view name, std::string_view why) {
    if (refused++ > 0) return;
    first_refused = fmt::format("{}: {}", name.substr(0, kMaxFileName), why);
  }

  /// The next member that is taken into `open`, its content unread. False at the end.
  bool next_member() {
    archive_entry* entry = nullptr;
    while (!ended) {
      open.reset();
      const int status = archive_read_next_header(archive, &entry);
      ended = status == ARCHIVE_EOF;
      if (ended) break;
      if (status == ARCHIVE_RETRY) continue;
      if (status < ARCHIVE_WARN) damaged("");
      // A name may not be representable in this process's locale, or not be UTF-8: either form will do.
      const char* spelled = archive_entry_pathname_utf8(entry);
      if (spelled == nullptr) spelled = archive_entry_pathname(entry);
      name = spelled == nullptr ? "" : spelled;
      if (archive_entry_filetype(entry) == AE_IFDIR) continue;
      if (const std::string_view fault = name_fault(name); !fault.empty()) {
        refuse(name, fault);
        continue;
      }
      if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
        refuse(name, "it is a link or a device, not a file");
        continue;
      }
      name = tidy(name);
      open = split(name);
      if (!open) continue;
      const bool image = is_image_part(open->part);
      if (!image && open->part != "txt" && open->part != "json") continue;
      limit = image ? limits.image_bytes : limits.text_bytes;
      if (archive_entry_size_is_set(entry) && archive_entry_size(entry) > limit) {
        refuse(name, "it is too large");
        continue;
      }
      return true;
    }
    open.reset();
    return false;
  }

  /// Of the member that `next_member` found; nothing if it turns out too large.
  std::optional<std::string> content() {
    std::string bytes;
    while (true) {
      const std::size_t before = bytes.size();
      bytes.resize(before + kBlock);
      const la_ssize_t n = archive_read_data(archive, bytes.data() + before, kBlock);
      if (n == ARCHIVE_RETRY) {
        bytes.resize(before);
        continue;
      }
      if (n < 0) damaged(name);
      bytes.resize(before + static_cast<std::size_t>(n));
      if (n == 0) return bytes;
      if (static_cast<std::int64_t>(bytes.size()) > limit) {
        refuse(name, "it is too large");
        return std::nullopt;
      }
    }
  }

  std::filesystem::path path;
  TarLimits limits;
  struct archive* archive = archive_read_new();
  std::int64_t refused = 0;
  std::string first_refused;
  std::string name;            // of the member that stands open
  std::optional<Member> open;  // it belongs to the next sample
  std::int64_t limit = 0;
  bool ended = false;
};

TarReader::TarReader(const std::filesystem::path& tar, const TarLimits& limits)
    : impl_(std::make_unique<Impl>(tar, limits)) {
  archive_read_support_format_tar(impl_->archive);
  archive_read_support_filter_gzip(impl_->archive);
  archive_read_support_filter_zstd(impl_->archive);
  std::error_code ignored;
  if (std::filesystem::is_directory(tar, ignored)) {
    throw DataError(tar.string(), "is a folder, not a tar archive", "Name the archives themselves");
  }
  if (std::filesystem::exists(tar, ignored)) require_regular_file(tar);
  if (archive_read_open_filename(impl_->archive, tar.c_str(), kBlock) != ARCHIVE_OK) {
    const char* reason = archive_error_string(impl_->archive);
    throw DataError(tar.string(), fmt::format("cannot be read as a tar archive ({})", reason ? reason : "no reason"),
                    "Check the path; img2dataset writes them with --output_format webdataset");
  }
}

TarReader::~TarReader() = default;

bool TarReader::next(TarSample& sample) {
  sample.parts.clear();
  if (!impl_->open && !impl_->next_member()) return false;
  sample.key = impl_->open->key;
  while (impl_->open && impl_->open->key == sample.key) {
    const std::string part = impl_->open->part;
    if (sample.parts.contains(part)) {
      impl_->refuse(impl_->name, "it comes twice");
    } else if (std::optional<std::string> content = impl_->content()) {
      sample.parts.emplace(part, std::move(*content));
    }
    impl_->next_member();
  }
  return true;
}

std::int64_t TarReader::refused() const { return impl_->refused; }
const std::string& TarReader::first_refused() const { return impl_->first_refused; }

}  // namespace vicha

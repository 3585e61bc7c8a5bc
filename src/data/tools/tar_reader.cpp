#include "data/tools/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file_content.h"
#include "data/manifest/image_names.h"
#include "data/tools/tar_input.h"

namespace vicha {
namespace {

constexpr std::array<std::string_view, 18> kImageParts = {"jpg", "jpeg", "jpe",  "jfif", "png",  "webp",
                                                          "gif", "bmp",  "dib",  "ppm",  "pgm",  "pbm",
                                                          "pnm", "tif",  "tiff", "avif", "heic", "heif"};
constexpr std::size_t kMaxName = 1024;
constexpr std::size_t kMaxFileName = 200;  // file systems allow 255 bytes
constexpr std::size_t kEndMark = 512;      // bytes, all 0; there are two of them, and padding
// What an archive of pictures may be packed into is close to its size; beyond this it stands for endless zeros.
constexpr std::int64_t kMostUnpacked = 200, kUnpackedAtLeast = std::int64_t{4} << 30;

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

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

struct OtherFile {
  std::string what, remedy;
};

/// What a file is that is no archive, by its first bytes; nothing if that is not known. `checkpoint/files/lookalike.h`
/// does so for weights.
std::optional<OtherFile> other_file(std::string_view head) {
  constexpr const char* kAgain = "Fetch the archive itself again; a site may ask to log in, or to accept a licence";
  if (const std::optional<FileContent> content = file_content(head)) {
    const std::string what = "is " + std::string(content->what);
    switch (content->kind) {
      case FileKind::kEmpty:
        return OtherFile{what, "It was not fetched to its end: fetch it again"};
      case FileKind::kPointer:
        return OtherFile{what, content_remedy(*content, "", kAgain)};
      case FileKind::kArchive:
        return OtherFile{what + ", not a tar archive",
                         "Unpack it; what it holds may be the archives, or pictures and captions"};
      case FileKind::kParquet:
        return OtherFile{what + ", not a tar archive", "img2dataset fetches the pictures that a Parquet file names"};
      case FileKind::kPicture:
      case FileKind::kFilm:
      case FileKind::kDocument:
      case FileKind::kOffice:
      case FileKind::kTable:
      case FileKind::kDatabase:
      case FileKind::kArrays:
      case FileKind::kWeights:
      case FileKind::kProgram:
      case FileKind::kUtf16:
        return OtherFile{what + ", not an archive of pictures", "Name the archive"};
      case FileKind::kWebPage:
        return OtherFile{what, kAgain};
      case FileKind::kXml:
        return OtherFile{"is XML, perhaps a server's refusal, not a tar archive", kAgain};
      case FileKind::kTar:
      case FileKind::kCompressed:
      case FileKind::kZeros:
        break;
    }
  }
  if (head.starts_with("\xEF\xBB\xBF")) head.remove_prefix(3);
  head.remove_prefix(std::min(head.find_first_not_of(" \t\r\n"), head.size()));
  const auto control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t';
  };
  if (head.empty() || std::any_of(head.begin(), head.end(), control)) return std::nullopt;
  return OtherFile{fmt::format("is JSON or text, and says {}", quoted_name(head.substr(0, head.find_first_of("\r\n")))),
                   "Name the archive, or fetch it again"};
}

la_ssize_t on_read(struct archive* archive, void* input, const void** bytes) {
  auto& from = *static_cast<TarInput*>(input);
  ssize_t n = -1;
  if (archive_filter_bytes(archive, 0) > std::max(kUnpackedAtLeast, kMostUnpacked * from.bytes_read())) {
    from.fail(fmt::format("it unpacks to more than {} times its size", kMostUnpacked));
  } else {
    n = from.read(*bytes);
  }
  if (n < 0) archive_set_error(archive, errno, "%s", from.why().c_str());
  return n;
}

}  // namespace

bool is_image_part(std::string_view part) {
  const std::size_t dot = part.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? part : part.substr(dot + 1);
  return std::find(kImageParts.begin(), kImageParts.end(), last) != kImageParts.end();
}

struct TarReader::Impl {
  Impl(const std::filesystem::path& file, KeyEnd end) : path(file), key_end(end), input(file) {}
  ~Impl() { archive_read_free(archive); }

  /// Throws DataError where the file is something else altogether.
  void require_archive() const {
    if (const std::optional<OtherFile> other = other_file(input.head())) {
      throw DataError(path.string(), other->what, other->remedy);
    }
  }

  [[noreturn]] void damaged(std::string_view member) const {
    const std::string own = input.why();
    // A filter in between may take the end of its input for one that was cut.
    const char* reason = input.failed() ? own.c_str() : archive_error_string(archive);
    throw DataError(path.string() + (member.empty() ? "" : fmt::format(", member \"{}\"", member)),
                    fmt::format("the archive is damaged or cut short ({})", reason ? reason : "no reason given"),
                    "Fetch it again, or leave it out (--skip-damaged)");
  }

  /// Key and part; false for hidden files. One that is nothing but a picture's extension is a picture without a key.
  bool split(const std::string& tidied, TarMember& member) const {
    const std::size_t slash = tidied.rfind('/');
    const std::size_t file = slash == std::string::npos ? 0 : slash + 1;
    if (file == tidied.size()) return false;
    if (tidied[file] == '.') {
      member.key = tidied;
      member.part = lower(tidied.substr(file + 1));
      member.refused = LostCause::kUnsafeName;
      member.why = "nothing stands in front of its extension";
      return member.part.find('.') == std::string::npos && is_image_part(member.part);
    }
    std::size_t dot = key_end == KeyEnd::kFirstDot ? tidied.find('.', file) : tidied.rfind('.');
    if (dot == std::string::npos || dot < file) dot = tidied.size();
    member.key = tidied.substr(0, dot);
    member.part = dot < tidied.size() ? lower(tidied.substr(dot + 1)) : "";
    return true;
  }

  bool packed() const { return input.gzip() || archive_filter_code(archive, 0) != ARCHIVE_FILTER_NONE; }

  /// Bytes that are no members, from here on.
  void pass_over(std::int64_t count) {
    if (passed == 0) passed_from = archive_filter_bytes(archive, 0) - (count == std::int64_t{kEndMark} ? count : 0);
    passed += count;
  }

  /// What is less than a block and lies behind an end mark, or behind what was passed over, where libarchive takes it
  /// for a header that was cut.
  bool ends_in_crumbs() const {
    const std::int64_t end = archive_filter_bytes(archive, 0), left = input.size() - end;
    return !packed() && !input.failed() && end >= std::int64_t{kEndMark} && left > 0 && left < std::int64_t{kEndMark} &&
           (input.zeros(end - std::int64_t{kEndMark}, end) || (passed > 0 && passed_from + passed == end));
  }

  /// Whether the archive ends as one does.
  void look_at_end() {
    const std::int64_t end = input.size() - (passed > 0 ? input.size() - passed_from : 0);
    if (end >= std::int64_t{kEndMark} && input.zeros(end - std::int64_t{kEndMark}, end)) return;
    oddity = "the archive has no end mark: it may have been cut short between two members";
  }

  std::filesystem::path path;
  KeyEnd key_end;
  TarInput input;
  struct archive* archive = archive_read_new();
  std::string name;  // of the member that stands open
  std::string_view oddity;
  std::int64_t passed = 0, passed_from = 0;
  bool ended = false;
};

TarReader::TarReader(const std::filesystem::path& tar, KeyEnd key_end) {
  std::error_code ignored;
  if (std::filesystem::is_directory(tar, ignored)) {
    throw DataError(tar.string(), "is a folder, not a tar archive", "Name the archives themselves");
  }
  impl_ = std::make_unique<Impl>(tar, key_end);
  struct archive* archive = impl_->archive;
  archive_read_support_format_tar(archive);
  // cat a.tar b.tar > both.tar
  archive_read_set_format_option(archive, "tar", "read_concatenated_archives", "1");
  archive_read_support_filter_zstd(archive);
  archive_read_support_filter_bzip2(archive);
  archive_read_support_filter_xz(archive);
  if (archive_read_open(archive, &impl_->input, nullptr, on_read, nullptr) != ARCHIVE_OK) {
    impl_->require_archive();
    if (impl_->packed()) impl_->damaged("");
    const char* reason = archive_error_string(archive);
    throw DataError(tar.string(), fmt::format("cannot be read as a tar archive ({})", reason ? reason : "no reason"),
                    "Check the path; img2dataset writes them with --output_format webdataset");
  }
}

TarReader::~TarReader() = default;

bool TarReader::next(TarMember& member) {
  struct archive* archive = impl_->archive;
  archive_entry* entry = nullptr;
  while (!impl_->ended) {
    const int status = archive_read_next_header(archive, &entry);
    if (status == ARCHIVE_EOF) {
      impl_->ended = true;
      break;
    }
    if (status == ARCHIVE_RETRY) {  // the block is no header
      impl_->pass_over(kEndMark);
      continue;
    }
    if (status < ARCHIVE_WARN && impl_->ends_in_crumbs()) {
      impl_->pass_over(impl_->input.size() - archive_filter_bytes(archive, 0));
      impl_->ended = true;
      break;
    }
    if (status < ARCHIVE_WARN) {
      if (impl_->name.empty()) impl_->require_archive();
      impl_->damaged("");
    }
    // A name may not be representable in this process's locale, or not be UTF-8: either form will do.
    const char* spelled = archive_entry_pathname_utf8(entry);
    if (spelled == nullptr) spelled = archive_entry_pathname(entry);
    impl_->name = spelled == nullptr ? "" : spelled;
    if (archive_entry_filetype(entry) == AE_IFDIR) continue;
    member = TarMember{};
    const std::string_view fault = name_fault(impl_->name);
    if (!fault.empty()) {
      if (!impl_->split(impl_->name.substr(0, kMaxName), member)) continue;
      member.refused = LostCause::kUnsafeName;
      member.why = fault;
      return true;
    }
    impl_->name = tidy(impl_->name);
    if (!impl_->split(impl_->name, member)) continue;
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
      member.refused = LostCause::kLink;
      member.why = "it is a link or a device, not a file";
    }
    if (archive_entry_size_is_set(entry)) member.bytes = archive_entry_size(entry);
    return true;
  }
  return false;
}

std::optional<std::string> TarReader::content(std::int64_t most) {
  std::string bytes;
  std::vector<char> block(std::size_t{1} << 18);
  while (true) {
    const la_ssize_t n = archive_read_data(impl_->archive, block.data(), block.size());
    if (n < 0)
      impl_->damaged(impl_->name);  // "retry" too: it is what out-of-order parts of a sparse file get, for ever
    if (n == 0) return bytes;
    bytes.append(block.data(), static_cast<std::size_t>(n));
    if (static_cast<std::int64_t>(bytes.size()) > most) return std::nullopt;
  }
}

std::string TarReader::finish() {
  const std::int64_t used = archive_filter_bytes(impl_->archive, -1);
  if (impl_->ended && impl_->packed() && !impl_->input.gzip() && !impl_->input.zeros(used, impl_->input.size())) {
    impl_->input.fail(fmt::format("from byte {} on it is not compressed as its beginning is", used));
    impl_->damaged("");
  }
  ssize_t n = 0;
  const void* bytes = nullptr;
  while ((n = impl_->ended ? impl_->input.read(bytes) : impl_->input.read_raw()) > 0) {
  }
  if (n < 0)
    throw DataError(impl_->path.string(), impl_->input.why(), "Fetch it again, or leave it out (--skip-damaged)");
  if (impl_->input.changed()) {
    throw DataError(impl_->path.string(), "has changed while it was read", "Repeat when nothing writes it any more");
  }
  if (impl_->ended && !impl_->packed()) impl_->look_at_end();
  return impl_->input.hash();
}

std::string_view TarReader::oddity() const { return impl_->oddity; }

std::string TarReader::passed_over() const {
  if (impl_->passed == 0) return {};
  return fmt::format("{} bytes from byte {} on{} are not members of an archive and were passed over", impl_->passed,
                     impl_->passed_from, impl_->packed() ? " (unpacked)" : "");
}

}  // namespace vicha

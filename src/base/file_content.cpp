#include "base/file_content.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "base/files.h"

namespace vicha {
namespace {

using namespace std::string_view_literals;

struct Mark {
  std::string_view bytes;
  FileContent content;
};

// Longer marks before the shorter ones that they begin with.
constexpr Mark kMarks[] = {
    {"version https://git-lfs"sv, {FileKind::kPointer, "a pointer of Git LFS, not the file itself", "git lfs pull"}},
    {"version https://hawser"sv, {FileKind::kPointer, "a pointer of Git LFS, not the file itself", "git lfs pull"}},
    {"# xet version"sv, {FileKind::kPointer, "a pointer of Hugging Face's Xet, not the file itself", "hf download"}},
    {"/annex/objects/"sv, {FileKind::kPointer, "a pointer of git-annex, not the file itself", "git annex get"}},
    {"outs:\n"sv, {FileKind::kPointer, "a pointer of DVC, not the file itself", "dvc pull"}},
    {"\x1f\x8b"sv, {FileKind::kCompressed, "compressed by gzip", "gunzip -k"}},
    {"BZh"sv, {FileKind::kCompressed, "compressed by bzip2", "bunzip2 -k"}},
    {"\xfd\x37zXZ\0"sv, {FileKind::kCompressed, "compressed by xz", "unxz -k"}},
    {"\x28\xb5\x2f\xfd"sv, {FileKind::kCompressed, "compressed by zstd", "unzstd"}},
    {"PK\x03\x04"sv, {FileKind::kArchive, "a zip archive", "unzip"}},
    {"PK\x05\x06"sv, {FileKind::kArchive, "an empty zip archive", ""}},
    {"7z\xbc\xaf"sv, {FileKind::kArchive, "a 7z archive", "7z x"}},
    {"Rar!"sv, {FileKind::kArchive, "a RAR archive", "unrar x"}},
    {"\x89PNG"sv, {FileKind::kPicture, "a picture in PNG", ""}},
    {"\xff\xd8\xff"sv, {FileKind::kPicture, "a picture in JPEG", ""}},
    {"GIF8"sv, {FileKind::kPicture, "a picture in GIF", ""}},
    {"II*\0"sv, {FileKind::kPicture, "a picture in TIFF", ""}},
    {"MM\0*"sv, {FileKind::kPicture, "a picture in TIFF", ""}},
    {"\xff\x0a"sv, {FileKind::kPicture, "a picture in JPEG XL", ""}},
    {"\0\0\0\x0cJXL "sv, {FileKind::kPicture, "a picture in JPEG XL", ""}},
    {"\0\0\0\x0cjP  "sv, {FileKind::kPicture, "a picture in JPEG 2000", ""}},
    {"\xff\x4f\xff\x51"sv, {FileKind::kPicture, "a picture in JPEG 2000", ""}},
    {"8BPS"sv, {FileKind::kPicture, "a picture of Photoshop", ""}},
    {"\0\0\x01\0"sv, {FileKind::kPicture, "an icon", ""}},
    {"\x1a\x45\xdf\xa3"sv, {FileKind::kFilm, "a film (Matroska, WebM)", ""}},
    {"%PDF"sv, {FileKind::kDocument, "a PDF", ""}},
    {"\xd0\xcf\x11\xe0"sv, {FileKind::kOffice, "an old Excel or Office file", ""}},
    {"PAR1"sv, {FileKind::kParquet, "a Parquet file", ""}},
    {"ARROW1"sv, {FileKind::kTable, "an Arrow file", ""}},
    {"SQLite format 3"sv, {FileKind::kDatabase, "an SQLite database", ""}},
    {"\x89HDF"sv, {FileKind::kArrays, "an HDF5 file", ""}},
    {"\x93NUMPY"sv, {FileKind::kArrays, "a NumPy array (.npy)", ""}},
    {"MATLAB 5.0"sv, {FileKind::kArrays, "a MATLAB file", ""}},
    {"GGUF"sv, {FileKind::kWeights, "a GGUF file (llama.cpp)", ""}},
    {"lmgg"sv, {FileKind::kWeights, "a GGML file (llama.cpp)", ""}},
    {"tjgg"sv, {FileKind::kWeights, "a GGML file (llama.cpp)", ""}},
    {"\x7f"
     "ELF"sv,
     {FileKind::kProgram, "a program or library (ELF)", ""}},
    {"\xff\xfe"sv, {FileKind::kUtf16, "text in UTF-16, not UTF-8", "iconv -f UTF-16 -t UTF-8"}},
    {"\xfe\xff"sv, {FileKind::kUtf16, "text in UTF-16, not UTF-8", "iconv -f UTF-16 -t UTF-8"}},
};

constexpr FileContent kEmpty{FileKind::kEmpty, "empty", ""};
constexpr FileContent kZeros{FileKind::kZeros, "zeros from its start, as a download that was broken off leaves it", ""};
constexpr FileContent kTar{FileKind::kTar, "a tar archive", "tar -xf"};
constexpr FileContent kPage{FileKind::kWebPage, "a web page", ""};
constexpr FileContent kXml{FileKind::kXml, "XML", ""};

/// Formats whose mark stands further back, behind numbers that differ from file to file.
std::optional<FileContent> marked_inside(std::string_view head) {
  if (head.size() > 257 && head.substr(257).starts_with("ustar")) return kTar;
  if (head.size() < 12) return std::nullopt;
  const std::string_view second = head.substr(4, 4), third = head.substr(8, 4);
  if (head.starts_with("RIFF")) {
    if (third == "WEBP") return FileContent{FileKind::kPicture, "a picture in WebP", ""};
    if (third == "AVI ") return FileContent{FileKind::kFilm, "a film (AVI)", ""};
  }
  if (head[0] == '\0' && second == "ftyp") {  // the length of a first box of less than 16 MiB
    if (third.starts_with("avi")) return FileContent{FileKind::kPicture, "a picture in AVIF", ""};
    if (third.starts_with("he") || third == "mif1") return FileContent{FileKind::kPicture, "a picture in HEIC", ""};
    return FileContent{FileKind::kFilm, "a film", ""};
  }
  if (head[3] == '\0' && second == "TFL3") return FileContent{FileKind::kWeights, "a TensorFlow Lite model", ""};
  return std::nullopt;
}

/// A page or message of a server, or nothing. Of text that begins with "<", behind a byte order mark and white space.
std::optional<FileContent> markup(std::string_view head) {
  if (head.starts_with("\xef\xbb\xbf")) head.remove_prefix(3);
  const std::size_t begin = head.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos || head[begin] != '<') return std::nullopt;
  std::string text;
  std::ranges::transform(head.substr(begin), std::back_inserter(text),
                         [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c); });
  if (text.find("<!doctype html") != std::string::npos || text.find("<html") != std::string::npos) return kPage;
  if (text.starts_with("<?xml") || text.starts_with("<svg") || text.starts_with("<!doctype")) return kXml;
  return std::nullopt;
}

}  // namespace

std::optional<FileContent> file_content(std::string_view head) {
  head = head.substr(0, kFileHead);
  if (head.empty()) return kEmpty;
  for (const Mark& mark : kMarks) {
    if (head.starts_with(mark.bytes)) return mark.content;
  }
  if (const auto content = marked_inside(head)) return content;
  if (const auto page = markup(head)) return page;
  if (std::ranges::all_of(head, [](char c) { return c == '\0'; })) return kZeros;
  return std::nullopt;
}

std::string content_remedy(const FileContent& content, std::string_view file, std::string_view otherwise) {
  const std::string command(content.command), name = "'" + std::string(file) + "'";
  switch (content.command.empty() ? FileKind::kEmpty : content.kind) {
    case FileKind::kPointer:
      return "Fetch the file itself: " + command;
    case FileKind::kCompressed:
    case FileKind::kArchive:
    case FileKind::kTar:
      return "Unpack it first: " + command + " " + name;
    case FileKind::kUtf16:
      return "Convert it: " + command + " " + name + " > utf8.txt";
    default:
      return std::string(otherwise);
  }
}

bool is_text(std::string_view bytes) {
  return !bytes.empty() && std::ranges::all_of(bytes, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 ? byte != 0x7f : c == '\n' || c == '\r' || c == '\t' || c == '\f';
  });
}

bool has_ends_of_old_macs(std::string_view head) {
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || head[first] == '{' || head[first] == '[') return false;
  return head.find('\n') == std::string_view::npos &&
         head.substr(0, head.size() - 1).find('\r') != std::string_view::npos;
}

void require_text(std::string_view head, std::string_view file) {
  if (has_ends_of_old_macs(head.substr(0, kFileHead))) {
    throw DataError(file, "has the line ends of old Macs, a carriage return alone",
                    "Convert it: tr '\\r' '\\n' < '" + std::string(file) + "' > lines.txt");
  }
  const std::optional<FileContent> content = file_content(head);
  if (!content || content->kind == FileKind::kEmpty || content->kind == FileKind::kZeros ||
      content->kind == FileKind::kXml) {
    return;
  }
  const bool page = content->kind == FileKind::kWebPage;
  throw DataError(file, "is " + std::string(content->what),
                  content_remedy(*content, file,
                                 page ? "Fetch the file itself; a site may ask to log in, or to accept a licence"
                                      : "Give a file of text in UTF-8"));
}

void require_text_file(const std::filesystem::path& file) {
  std::ifstream in = open_input(file);
  std::string head(kFileHead, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  require_text(head, file.string());
}

std::string read_text_file(const std::filesystem::path& file, std::uint64_t most) {
  std::string text = read_file(file, most);
  require_text(text, file.string());
  return text;
}

std::string read_text_file(const std::filesystem::path& file) { return read_text_file(file, kMostBytes); }

}  // namespace vicha

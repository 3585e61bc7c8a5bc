#include "data/manifest/image_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace vicha {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDownload =
    "Download the pictures and name the files (img2dataset fetches lists of addresses, `vicha data from-tar` unpacks "
    "what "
    "it writes); where they lie on this disk already, strip_parts and image_root replace the start of each name";
constexpr const char* kCopy =
    "Copy the pictures to this disk (or mount the store as a folder); strip_parts and image_root then replace the "
    "start of "
    "each name";

bool alpha(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

std::string lower_ascii(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return result;
}

/// "https" of "https://…", and of "https:/…" where another program has made two slashes one; "" of other names.
std::string scheme_of(std::string_view name) {
  std::size_t end = 0;
  while (end < name.size() &&
         (alpha(name[end]) || (end > 0 && (std::isdigit(static_cast<unsigned char>(name[end])) ||
                                           std::string_view("+-.").find(name[end]) != std::string_view::npos)))) {
    ++end;
  }
  if (end < 2 || end >= name.size() || name[end] != ':') return "";  // of one letter: a drive
  const std::string scheme = lower_ascii(name.substr(0, end));
  const std::string_view rest = name.substr(end + 1);
  if (rest.starts_with("//") || scheme == "data") return scheme;
  constexpr std::array<std::string_view, 6> kKnown = {"http", "https", "ftp", "s3", "gs", "file"};
  const bool known = std::find(kKnown.begin(), kKnown.end(), scheme) != kKnown.end();
  return known && rest.starts_with('/') ? scheme : "";
}

NameFault address(const std::string& scheme, std::string_view name) {
  const std::string shown = quoted_name(name);
  if (scheme == "data") {
    return {fmt::format("holds the picture itself (a data URI, {})", quoted_name(name.substr(0, name.find(',')))),
            "Write its bytes to a file (base64 -d) and name that"};
  }
  if (scheme == "file") {
    std::string_view path = name.substr(name.find(':') + 1);
    if (path.starts_with("//")) path.remove_prefix(2);
    if (path.starts_with("localhost/")) path.remove_prefix(std::string_view("localhost").size());
    return {fmt::format("is an address, {}", shown), fmt::format("Write the path alone: {}", quoted_name(path))};
  }
  if (scheme == "http" || scheme == "https" || scheme == "ftp") {
    return {fmt::format("is an address in the web, {}, and only files are read", shown), kDownload};
  }
  constexpr std::array<std::string_view, 15> kStores = {"s3",   "s3a",  "s3n",   "gs",  "gcs", "az", "abfs", "abfss",
                                                        "wasb", "hdfs", "wasbs", "oss", "hf",  "r2", "swift"};
  if (std::find(kStores.begin(), kStores.end(), scheme) != kStores.end()) {
    return {fmt::format("is an address in a store of objects, {}, and only files are read", shown), kCopy};
  }
  return {fmt::format("is an address ({}:), {}, and only files are read", scheme, shown),
          "Write the picture to a file and name that"};
}

/// "shard.tar" of "shard.tar/a.jpg", "shard.tar#a.jpg", "x.zip!/a.jpg", "shard.tar:1024:880"; "" if there is none.
std::string_view archive_in(std::string_view name) {
  constexpr std::array<std::string_view, 12> kEndings = {".zip", ".tar", ".tar.gz", ".tgz",     ".tar.bz2", ".tar.zst",
                                                         ".7z",  ".rar", ".lmdb",   ".parquet", ".h5",      ".hdf5"};
  const std::string lower = lower_ascii(name);
  for (const std::string_view ending : kEndings) {
    for (std::size_t at = lower.find(ending); at != std::string::npos; at = lower.find(ending, at + 1)) {
      const std::size_t end = at + ending.size();
      if (at > 0 && end < lower.size() && std::string_view("/#!:?@|\\").find(lower[end]) != std::string_view::npos) {
        return name.substr(0, end);
      }
    }
  }
  return {};
}

}  // namespace

std::string quoted_name(std::string_view name) {
  constexpr std::size_t kShown = 100;
  if (name.size() <= kShown) return fmt::format("\"{}\"", name);
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
  return fmt::format("\"{}...\"", name.substr(0, end));
}

std::optional<NameFault> foreign_name(std::string_view name, const fs::path& path) {
  if (const std::string scheme = scheme_of(name); !scheme.empty()) return address(scheme, name);
  const auto unless_there = [&](std::string what, std::string remedy) -> std::optional<NameFault> {
    std::error_code failed;
    if (fs::exists(path, failed)) return std::nullopt;
    return NameFault{fmt::format("{}: {}", what, quoted_name(name)), std::move(remedy)};
  };
  const bool drive = name.size() > 2 && alpha(name[0]) && name[1] == ':' && (name[2] == '\\' || name[2] == '/');
  if (drive || name.starts_with("\\\\")) {
    return unless_there("is a path of Windows",
                        "Write the path that the file has on this machine, relative to image_root, with / between its "
                        "parts");
  }
  if (name.find('\\') != std::string_view::npos) {
    return unless_there("has Windows' backslashes between its parts",
                        "Write / for them: here \\ is a letter like others");
  }
  if (name.starts_with('~')) {
    const std::size_t slash = name.find('/');
    if (name == "~" || slash != std::string_view::npos) {
      return unless_there("begins with ~, which only a shell takes for a home folder", "Write the whole path");
    }
  }
  const bool variable = name.size() > 1 && name[0] == '$' && name.find('/') != std::string_view::npos &&
                        (alpha(name[1]) || name[1] == '{' || name[1] == '_');
  if (variable || (name.starts_with('%') && name.find("%/", 1) != std::string_view::npos)) {
    return unless_there("begins with a variable, which only a shell replaces",
                        "Write the whole path, or paths relative to image_root");
  }
  if (name.starts_with("www.") && name.find('/') != std::string_view::npos) {
    return unless_there("looks like an address in the web", kDownload);
  }
  if (const std::string_view archive = archive_in(name); !archive.empty()) {
    const bool tar = lower_ascii(archive).find(".tar") != std::string::npos || archive.ends_with(".tgz");
    return unless_there(
        "names a member of an archive, and only files are read",
        tar ? fmt::format(
                  "Unpack {} and name the files; `vicha data from-tar` does so with tars of pictures and captions",
                  quoted_name(archive))
            : fmt::format("Unpack {} and name the files", quoted_name(archive)));
  }
  return std::nullopt;
}

}  // namespace vicha

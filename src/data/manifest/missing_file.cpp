// What may be meant by the name of a file that does not exist.
#include <fmt/format.h>
#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "data/manifest/image_names.h"
#include "text/utf8.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;

constexpr int kMostEntries = 200'000;  // of a folder, looked at

std::string mapped(std::string_view name, unsigned options) {
  utf8proc_uint8_t* bytes = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(name.data()), static_cast<utf8proc_ssize_t>(name.size()),
                   &bytes, static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owner(bytes, std::free);
  return size < 0 ? std::string(name)
                  : std::string(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

std::string composed(std::string_view name) {
  return mapped(name, static_cast<unsigned>(UTF8PROC_STABLE) | static_cast<unsigned>(UTF8PROC_COMPOSE));
}
std::string caseless(std::string_view name) {
  return mapped(name, static_cast<unsigned>(UTF8PROC_STABLE) | static_cast<unsigned>(UTF8PROC_COMPOSE) |
                          static_cast<unsigned>(UTF8PROC_CASEFOLD));
}

std::string trimmed_name(std::string_view name) {
  constexpr std::string_view kBlank = " \t\r\n\v\f";
  const std::size_t first = name.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return "";
  return std::string(name.substr(first, name.find_last_not_of(kBlank) - first + 1));
}

std::string percent_decoded(std::string_view name) {
  std::string result;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto digit = [&](std::size_t at) {
      return at < name.size() && std::isxdigit(static_cast<unsigned char>(name[at])) != 0;
    };
    if (name[i] == '%' && digit(i + 1) && digit(i + 2)) {
      result += static_cast<char>(std::stoi(std::string(name.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      result += name[i];
    }
  }
  return result;
}

std::string stem_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return std::string(name.substr(0, dot == 0 ? std::string_view::npos : dot));
}

/// How the two names differ, for the nearest kind of likeness; the kinds in the order of `kind`, 0 for none.
int likeness(const std::string& asked, const std::string& there) {
  if (trimmed_name(asked) == trimmed_name(there)) return 1;
  if (composed(asked) == composed(there)) return 2;
  if (caseless(trimmed_name(asked)) == caseless(trimmed_name(there))) return 3;
  if (const std::string plain = percent_decoded(asked); plain != asked && composed(plain) == composed(there)) return 4;
  return caseless(stem_of(asked)) == caseless(stem_of(there)) ? 5 : 0;
}

std::string sentence(int kind, const std::string& there, const fs::path& folder) {
  const std::string in = folder.empty() ? fmt::format("There is {}", quoted_name(there))
                                        : fmt::format("In {} there is {}", folder.string(), quoted_name(there));
  switch (kind) {
    case 1:
      return in + ": the names differ in white space at their ends";
    case 2:
      return in +
             ": the same letters in another Unicode form (é as one character, or as e with an accent behind it, as "
             "macOS "
             "writes it). Write the name as the folder has it, or rename the files (convmv -f utf8 -t utf8 --nfc)";
    case 3:
      return in + ": the names differ in upper and lower case";
    case 4:
      return in + ": the manifest's name is percent-encoded";
    default:
      return in + ": the names differ in their endings";
  }
}

}  // namespace

std::string missing_file_hint(const fs::path& file) {
  std::error_code failed;
  if (file.empty() || fs::exists(file, failed)) return "";
  fs::path missing = file, folder = file.parent_path();
  while (!folder.empty() && folder != folder.parent_path() && !fs::exists(folder, failed)) {
    missing = folder;
    folder = folder.parent_path();
  }
  const std::string asked = missing.filename().string();
  int best = 0, seen = 0;
  std::string found;
  if (is_utf8(asked)) {
    for (fs::directory_iterator entry(folder.empty() ? fs::path(".") : folder, failed), end;
         !failed && entry != end && seen < kMostEntries; entry.increment(failed), ++seen) {
      const std::string there = entry->path().filename().string();
      if (!is_utf8(there) || there == asked) continue;
      const int kind = likeness(asked, there);
      if (kind == 0 || (best != 0 && (kind > best || (kind == best && there > found)))) continue;
      best = kind;
      found = there;
    }
  }
  if (best != 0) return sentence(best, found, folder);
  if (missing == file) return "";
  return fmt::format("The folder {} does not exist", missing.string());
}

}  // namespace vicha

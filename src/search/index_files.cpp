#include "search/index_files.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_depth.h"
#include "base/json_number.h"
#include "base/json_text.h"
#include "base/printable.h"
#include "search/damaged_part.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kIndexVersion = 1;
constexpr std::uint64_t kMostLines = std::uint64_t{16} << 30;
constexpr std::uint64_t kMostOfDescription = std::uint64_t{1} << 20;

bool is_utf8(const std::string& text) {
  try {
    (void)Json(text).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

/// A name of a file need not be UTF-8; JSON must be. Then its bytes stand beside what can be shown of it.
void put_name(Json& json, const std::string& name) {
  json["image"] = name;
  if (is_utf8(name)) return;
  std::string hex;
  for (const char c : name) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  json["bytes"] = hex;
}

std::uint64_t from_hex(const std::string& hex) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
  if (error != std::errc() || end != hex.data() + hex.size()) throw std::out_of_range("no hexadecimal number");
  return value;
}

std::string get_name(const Json& json) {
  if (!json.contains("bytes")) return json.at("image").get<std::string>();
  const auto hex = json.at("bytes").get<std::string>();
  if (hex.size() % 2 != 0) throw std::out_of_range("half a byte");
  std::string name;
  for (std::size_t i = 0; i < hex.size(); i += 2) name += static_cast<char>(from_hex(hex.substr(i, 2)));
  return name;
}

std::string line_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

template <class Read>
auto parsed(std::string_view json, std::string_view where, Read read) {
  if (nests_deeper(json)) throw DamagedPart(where, "is damaged (nested too deeply)");
  try {
    return read(Json::parse(json));
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw DamagedPart(where, fmt::format("is damaged ({})", printable(json_reason(error.what()))));
  }
}

}  // namespace

std::string content_key(std::uint64_t content) { return fmt::format("{:016x}", content); }

std::string IndexDescription::to_json() const {
  Json json;
  json["vicha_index"] = kIndexVersion;
  json["source"] = source;
  json["root"] = root;
  json["model"] = model;
  json["weights"] = Json::parse(vicha::to_json(weights));
  json["files"] = files;
  json["pictures"] = pictures;
  json["skipped"] = skipped;
  json["build"] = content_key(build);
  json["files_bytes"] = files_bytes;
  if (calibration_sum != 0) json["calibration_sum"] = content_key(calibration_sum);
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

IndexDescription read_description(const fs::path& file) {
  std::error_code ignored;
  if (fs::is_regular_file(file, ignored) && fs::file_size(file, ignored) > kMostOfDescription) {
    throw DamagedPart(file.string(), "is damaged (it is longer than any)");
  }
  const std::string text = read_file(file, kMostOfDescription);
  return parsed(text, file.string(), [&](const Json& json) {
    if (const int version = whole_number<int>(json, "vicha_index"); version > kIndexVersion) {
      throw DataError(file.string(), fmt::format("is of version {}, this program reads {}", version, kIndexVersion),
                      "Use a newer vicha, or index again into a new folder");
    }
    IndexDescription d;
    d.source = json.at("source").get<std::string>();
    d.root = json.at("root").get<std::string>();
    d.model = json.at("model").get<std::string>();
    try {
      d.weights = source_weights_from_json(json.at("weights").dump(), file.string());
    } catch (const DataError&) {
      throw DamagedPart(file.string(), "is damaged (it does not say what its model is)");
    }
    d.files = whole_number<std::int64_t>(json, "files");
    d.pictures = whole_number<std::int64_t>(json, "pictures");
    d.skipped = whole_number<std::int64_t>(json, "skipped");
    d.build = from_hex(json.at("build").get<std::string>());
    d.files_bytes = whole_number<std::uint64_t>(json, "files_bytes");
    if (json.contains("calibration_sum")) d.calibration_sum = from_hex(json.at("calibration_sum").get<std::string>());
    return d;
  });
}

std::string IndexedFile::to_json() const {
  Json json;
  put_name(json, name);
  json["size"] = size;
  json["modified"] = modified;
  json["content"] = content_key(content);
  json["row"] = row;
  return line_of(json);
}

IndexedFile indexed_file_from_json(std::string_view text, std::string_view where) {
  return parsed(text, where, [](const Json& json) {
    return IndexedFile{get_name(json), whole_number<std::uint64_t>(json, "size"),
                       whole_number<std::int64_t>(json, "modified"), from_hex(json.at("content").get<std::string>()),
                       whole_number<std::int64_t>(json, "row")};
  });
}

std::vector<IndexedFile> read_indexed_files(const fs::path& file) {
  std::vector<IndexedFile> files;
  const std::string text = read_file(file, kMostLines);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    files.push_back(indexed_file_from_json(std::string_view(text).substr(at, end - at),
                                           fmt::format("{}, line {}", file.string(), files.size() + 1)));
    at = end + 1;
  }
  return files;
}

std::string to_json(const SkippedPicture& skipped) {
  Json json;
  put_name(json, skipped.name);
  json["cause"] = skipped.cause;
  return line_of(json);
}

void require_whole_index(const IndexPaths& paths) {
  std::error_code ignored;
  if (fs::exists(paths.description(), ignored)) return;
  const std::string where = paths.folder.string();
  if (fs::exists(paths.work(), ignored) || fs::exists(paths.codes(), ignored)) {
    throw DataError(where, "is half built: a `vicha index` was stopped before its end, or is still at work",
                    "Let it end, or repeat it; it goes on where it was");
  }
  if (!fs::exists(paths.folder, ignored)) {
    throw DataError(where, "does not exist", fmt::format("Make it: vicha index FOLDER --model DIR --out {}", where));
  }
  throw DataError(where, "is not an index of pictures (it has no index.json)",
                  "Make one: vicha index FOLDER --model DIR --out INDEX");
}

}  // namespace vicha

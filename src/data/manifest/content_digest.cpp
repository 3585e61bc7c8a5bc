#include "data/manifest/content_digest.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "data/manifest/string_pool.h"

namespace vicha {
namespace {

/// With its length in front, so that no two lists of strings give the same bytes.
void append_text(std::string& bytes, std::string_view text) {
  append_varint(bytes, text.size());
  bytes.append(text);
}

void append_list(std::string& bytes, const std::vector<std::string>& texts) {
  append_varint(bytes, texts.size());
  for (const std::string& text : texts) append_text(bytes, text);
}

std::uint64_t hash_of(std::string_view bytes, std::uint64_t seed) {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ seed;  // FNV-1a
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return mix_seed({hash, bytes.size(), seed});
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks), last = text.find_last_not_of(kBlanks);
  return first == text.npos ? std::string_view() : text.substr(first, last - first + 1);
}

std::string hex(const std::uint64_t (&words)[2]) { return fmt::format("{:016x}{:016x}", words[0], words[1]); }

}  // namespace

void ContentDigester::add(const ManifestRecord& record, const Schema& schema, const nlohmann::json* columns) {
  bytes_.clear();
  append_text(bytes_, record.image);
  append_text(bytes_, record.image_id);
  append_list(bytes_, schema.caption ? record.captions : std::vector<std::string>());
  append_list(bytes_, schema.concepts ? record.concepts : std::vector<std::string>());
  if (columns != nullptr) {
    for (const ColumnSpec& spec : schema.columns) {
      for (const std::string* field : {&spec.field, &spec.beside}) {
        const auto value = field->empty() ? columns->end() : columns->find(*field);
        append_text(bytes_, value == columns->end() ? "" : value->dump());
      }
    }
  }
  all_.update(bytes_);
  if (columns == nullptr) add_plain(record, schema);
  for (std::uint64_t i = 0; i < 2; ++i) {
    sums_[i] += hash_of(bytes_, i);
    pictures_[i] = mix_seed({pictures_[i], hash_of(record.image, i)});
  }
  ++records_;
}

/// What is read from the record, however it is spelled.
void ContentDigester::add_plain(const ManifestRecord& record, const Schema& schema) {
  bytes_.clear();
  append_text(bytes_, std::filesystem::path(record.image).lexically_normal().string());
  append_text(bytes_, record.image_id);
  if (schema.caption) {
    append_varint(bytes_, record.captions.size());
    for (const std::string& caption : record.captions) append_text(bytes_, trimmed(caption));
  }
  append_list(bytes_, schema.concepts ? record.concepts : std::vector<std::string>());
  for (std::uint64_t i = 0; i < 2; ++i) plain_[i] = mix_seed({plain_[i], hash_of(bytes_, i)});
  has_plain_ = true;
}

ContentDigest ContentDigester::finish(std::string file) {
  return {std::move(file), records_, all_.hex(), hex(sums_), hex(pictures_), has_plain_ ? hex(plain_) : ""};
}

std::vector<std::string> content_changes(const std::vector<ContentDigest>& before,
                                         const std::vector<ContentDigest>& now) {
  const auto same = [](const ContentDigest& a, const ContentDigest& b) {
    return a.sha256 == b.sha256 || (!a.plain.empty() && a.plain == b.plain);
  };
  if (before.size() != now.size()) {
    return {fmt::format("{} manifests (the first {}) where there were {} (the first {})", now.size(),
                        now.empty() ? "none" : now.front().file, before.size(),
                        before.empty() ? "none" : before.front().file)};
  }
  if (std::equal(before.begin(), before.end(), now.begin(), same)) return {};
  if (std::is_permutation(before.begin(), before.end(), now.begin(), same)) {
    return {"the same manifests in another order"};
  }
  std::vector<std::string> changes;
  for (std::size_t i = 0; i < now.size(); ++i) {
    const ContentDigest &was = before[i], &is = now[i];
    if (same(was, is)) continue;
    std::string what = "other pictures or captions";
    if (was.records != is.records) {
      what = fmt::format("{} records where there were {}", is.records, was.records);
    } else if (was.any_order == is.any_order) {
      what = "the same records in another order";
    } else if (was.pictures == is.pictures) {
      what = "the same pictures with other captions, concepts or ids";
    }
    changes.push_back(fmt::format("{} has {}", is.file, what));
  }
  return changes;
}

}  // namespace vicha

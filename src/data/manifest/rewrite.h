// Manifests rewritten record by record: a field added or changed, records left out, everything else kept as it stands.
//
// What is written has a record a line, in a JSON list or (JSON lines) alone. A record that nothing changed keeps its
// bytes if it stood on one line; in a changed one, and in one of several lines, every field that is the same keeps its
// own, but for white space.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "data/manifest/record_reader.h"

namespace vicha {

/// Reads `in` (a JSON list or JSON lines; streamed) and writes `out` in the same form, atomically; where the suffixes
/// .json and .jsonl differ between the two, in the form that `out`'s says. `out` may be `in`. `edit` sees each record
/// in order with its number from 0, may change it, and returns whether it is kept. Fields keep their order; unknown
/// ones stay. Returns the number kept. Throws DataError naming file, record and line where `in` is not a list of
/// objects.
std::int64_t rewrite_manifest(const std::filesystem::path& in, const std::filesystem::path& out,
                              const std::function<bool(nlohmann::ordered_json& record, std::int64_t number)>& edit);

/// The same without writing.
void for_each_record(const std::filesystem::path& in,
                     const std::function<void(const nlohmann::ordered_json& record, std::int64_t number)>& see);

/// Writes records one by one, as a list or (suffix .jsonl) as lines; nothing is left under the name without `finish`.
class ManifestWriter {
 public:
  explicit ManifestWriter(const std::filesystem::path& out);
  ManifestWriter(const std::filesystem::path& out, bool lines);
  ~ManifestWriter();
  void add(const nlohmann::ordered_json& record);
  /// A record's JSON text on one line, as it is.
  void add_text(std::string_view json);
  std::int64_t size() const;
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Whether `out` is written as JSON lines, by the rule of rewrite_manifest.
bool out_in_lines(const std::filesystem::path& in, const std::filesystem::path& out, bool in_lines);
/// A record that nothing changed: its own bytes if it stands on one line.
void add_record(ManifestWriter& writer, const RecordText& text);
/// `record` is what was made of that text: fields that are still the same keep their bytes.
void add_changed(ManifestWriter& writer, std::string_view text, const nlohmann::ordered_json& record);

}  // namespace vicha

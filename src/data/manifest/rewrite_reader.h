// Records of a manifest one by one, as text: where each stands in the file, and its JSON. What rewrite.h is made of.
// A byte order mark, CR LF and blank lines are passed over. Memory: one record.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "data/manifest/byte_stream.h"

namespace vicha {

/// From "{" to "}".
struct RecordText {
  std::string json;
  std::int64_t number = -1;  ///< from 0
  std::uint64_t offset = 0;  ///< of the "{" in the file, bytes
};

class RecordReader {
 public:
  /// Throws DataError if the file cannot be opened or begins as neither a JSON list nor JSON lines.
  explicit RecordReader(const std::filesystem::path& file);

  /// Whether the file has a record a line and no list around them.
  bool lines() const { return lines_; }
  /// False at the end. Throws DataError naming file, record and line.
  bool next(RecordText& record);
  /// The record that was read last as a value. Throws DataError naming file, record, line and what is wrong with it.
  nlohmann::ordered_json parse(const RecordText& record) const;
  /// "train.json, record 12 (line 14)": the record that was read last, or the one being read.
  std::string where() const;

 private:
  bool next_of_list();
  /// The object that begins here, to its closing brace.
  void take_object(RecordText& record);
  int skip_space();
  [[noreturn]] void fail(const std::string& what, const std::string& remedy) const;

  std::filesystem::path file_;
  ByteStream stream_;
  bool lines_ = false, ended_ = false;
  std::int64_t number_ = -1;
};

class ManifestWriter;

/// Whether `out` is written as JSON lines; rewrite.h says when.
bool out_in_lines(const std::filesystem::path& in, const std::filesystem::path& out, bool in_lines);
/// A record that nothing changed: its own bytes if it stands on one line.
void add_record(ManifestWriter& writer, const RecordText& text, const nlohmann::ordered_json& record);

}  // namespace vicha

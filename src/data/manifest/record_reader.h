// The one reader of manifests: records one after the other, as text, and where each stands in its file. The manifest in
// memory (manifest.h) and the tools that rewrite one (rewrite.h) are both fed from here.
//
// A manifest is a JSON list of objects, or JSON lines; the first character tells. A byte order mark, CR LF and blank
// lines are skipped. Records count from 0, lines from 1. Memory: one record. What is no manifest is told by what it is
// (data/manifest/foreign_form.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "data/manifest/byte_stream.h"

namespace vicha {

/// One thing wrong with a manifest.
struct ManifestProblem {
  std::string where;  ///< "train.json, record 12 (line 14)"
  std::int64_t record = 0;
  std::string field;  ///< "" where it is the record or the file
  std::string what, remedy;
  bool ends_file = false;  ///< nothing behind it was read, and how much that is nobody knows

  [[noreturn]] void raise() const;  ///< as DataError
};

using ProblemHandler = std::function<void(const ManifestProblem&)>;

/// From "{" to "}".
struct RecordText {
  std::string json;
  std::int64_t number = -1;  ///< from 0
  std::uint64_t offset = 0;  ///< of the "{" in the file, bytes
};

class RecordReader {
 public:
  /// Everything wrong is thrown as DataError, by the constructor where the file begins as no manifest.
  explicit RecordReader(const std::filesystem::path& file);
  /// Throws DataError if the file cannot be read; all else that is wrong goes to the handler, and reading goes on: with
  /// the next line, in a list behind what is no object. After a syntax error nothing more is read of a list.
  RecordReader(const std::filesystem::path& file, ProblemHandler on_problem);

  /// Whether the file has a record a line and no list around them.
  bool lines() const { return lines_; }
  /// False at the end. Brackets and quotation marks of the record match; whether it is JSON, only a parser knows.
  bool next(RecordText& record);
  /// The record that was read last as a value, null where it has NaN or an infinity. Throws DataError naming file,
  /// record, line and what is wrong with it; a field that stands twice is, as a value has but one of the two.
  nlohmann::ordered_json parse(const RecordText& record) const;
  /// For parsers that meet a syntax error in the record: a list cannot be trusted any further.
  void give_up_list() { ended_ = ended_ || !lines_; }

  /// "train.json, record 12 (line 14)": the record that was read last, or the one being read.
  std::string where() const;
  /// The same with the line of a byte of the record that was read last.
  std::string where(const RecordText& record, std::size_t byte) const;
  /// "not JSON at byte 120 of the file: <reason>", for a byte of that record.
  static std::string not_json(const RecordText& record, std::size_t byte, std::string_view reason);

 private:
  enum class Stop { kComplete, kFileEnds, kLineEnds, kTooDeep };

  void begin();
  bool find_next_of_list();
  bool take(RecordText& record);
  /// What stands here, to its closing bracket or quotation mark.
  Stop take_value(std::string& text);
  /// What stands here and is neither object, list nor string: up to the next comma, bracket or white space.
  void take_word(std::string& text);
  void not_an_object(const RecordText& record);
  /// Tells what is wrong with a value that is not whole or too long.
  void cut_short(Stop stop, const RecordText& record);
  void skip_line();
  int skip_space();
  void whole_file(std::string what, std::string remedy);
  void problem(std::string where, std::string what, std::string remedy);
  /// A problem after which the rest of the line, or of the list, is not read.
  void syntax_problem(std::string where, std::string what, std::string remedy);

  std::filesystem::path file_;
  ProblemHandler on_problem_;
  ByteStream stream_;
  bool lines_ = false, ended_ = false;
  std::int64_t number_ = -1;
  std::uint64_t bytes_ = 0;         // of the value that was taken last
  std::int64_t dropped_lines_ = 0;  // of it, behind what is kept of a value that is too long
};

/// Whether a reason that base/json_text's json_reason gave lies within a string whose end was found all the same (half
/// a surrogate pair, bytes that are no UTF-8): what follows the record can still be trusted.
bool inside_string(std::string_view reason);
/// What to do about text that is not JSON for that reason.
std::string json_remedy(std::string_view text, std::string_view reason);

}  // namespace vicha

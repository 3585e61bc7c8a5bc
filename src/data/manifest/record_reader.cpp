#include "data/manifest/record_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json_text.h"
#include "data/manifest/foreign_form.h"
#include "data/manifest/json_kind.h"
#include "data/manifest/json_members.h"
#include "data/manifest/not_numbers.h"
#include "data/manifest/record_limits.h"

namespace vicha {
namespace {

// Values are copied and written by recursion: text that nests deeper could exhaust the stack.
constexpr int kMaxDepth = 200;

constexpr const char* kCorrect = "Correct the text there, or write the file again";

struct SyntaxError {
  std::size_t byte;
  std::string reason;
};

std::optional<SyntaxError> syntax_error(const std::string& text) {
  try {
    [[maybe_unused]] const nlohmann::json value = nlohmann::json::parse(text);
    return std::nullopt;
  } catch (const nlohmann::json::parse_error& error) {
    return SyntaxError{error.byte, json_reason(error.what())};
  } catch (const nlohmann::json::exception& error) {
    return SyntaxError{text.size(), json_reason(error.what())};
  }
}

}  // namespace

void ManifestProblem::raise() const { throw DataError(where, what, remedy); }

bool inside_string(std::string_view reason) { return reason.find("invalid string") != std::string_view::npos; }

std::string json_remedy(std::string_view text, std::string_view reason) {
  if (reason.find("surrogate") != std::string_view::npos) {
    return "A character outside of the first 65,536 (an emoji) was cut in two: put the other half back, or take both "
           "out";
  }
  if (reason.find("UTF-8") != std::string_view::npos) {
    return "Write the file in UTF-8 (of Latin-1: iconv -f LATIN1 -t UTF-8), or correct the text there";
  }
  const std::size_t first = text.find_first_not_of(" \t\r\n{[");
  const auto has = [&](std::string_view word) { return text.find(word) != std::string_view::npos; };
  const bool python = (first != std::string_view::npos && text[first] == '\'') ||
                      (reason.find("invalid literal") != std::string_view::npos &&
                       (has(": None") || has(":None") || has(": True") || has(": False")));
  if (python) return "This is how Python prints a dict ('a', None, True), not JSON: write it by json.dumps";
  return kCorrect;
}

RecordReader::RecordReader(const std::filesystem::path& file)
    : RecordReader(file, [](const ManifestProblem& problem) { problem.raise(); }) {}

RecordReader::RecordReader(const std::filesystem::path& file, ProblemHandler on_problem)
    : file_(file), on_problem_(std::move(on_problem)), stream_(file) {
  begin();
}

void RecordReader::begin() {
  if (const std::optional<ForeignForm> other = foreign_form(file_, stream_.ahead())) {
    return whole_file(other->what, other->remedy);
  }
  if (stream_.at_end()) return whole_file("is empty", "A manifest is a JSON list of records, or one record a line");
  if (stream_.sgetc() == 0xEF) {  // the byte order mark that some editors put in front
    for (const int expected : {0xEF, 0xBB, 0xBF}) {
      if (stream_.sbumpc() != expected) return whole_file("is not text", "A manifest is JSON in UTF-8");
    }
  }
  const int first = skip_space();
  if (first != '[' && first != '{') {
    return whole_file("is neither a JSON list nor JSON lines",
                      "It must begin with [ (a list of records) or { (one record a line)");
  }
  lines_ = first == '{';
  if (!lines_) stream_.sbumpc();
}

bool RecordReader::next(RecordText& record) {
  while (!ended_) {
    ++number_;
    bytes_ = 0;
    ended_ = lines_ ? skip_space() < 0 : !find_next_of_list();
    if (!ended_ && take(record)) return true;
  }
  return false;
}

bool RecordReader::find_next_of_list() {
  int c = skip_space();
  if (number_ > 0 && c == ',') {
    stream_.sbumpc();
    c = skip_space();
    if (c == ']') {
      syntax_problem(where(), "not JSON: a comma before the list's end", kCorrect);
      return false;
    }
  } else if (number_ > 0 && c >= 0 && c != ']') {
    syntax_problem(where(), "not JSON: no comma between two records", kCorrect);
    return false;
  }
  if (c < 0) {
    cut_short(Stop::kFileEnds, {});
    return false;
  }
  if (c != ']') return true;
  stream_.sbumpc();
  if (skip_space() >= 0) syntax_problem(where(), "not JSON: text after the list's end", kCorrect);
  return false;
}

bool RecordReader::take(RecordText& record) {
  record.number = number_;
  record.offset = stream_.position();
  const int first = stream_.sgetc();
  Stop stop = Stop::kComplete;
  if (first == '{' || first == '[' || first == '"') {
    stop = take_value(record.json);
  } else {
    take_word(record.json);
  }
  if (stop != Stop::kComplete || bytes_ > kMostRecordBytes) {
    cut_short(stop, record);
    return false;
  }
  if (first != '{') {
    not_an_object(record);
    return false;
  }
  if (lines_) {
    int c = stream_.sgetc();
    while (c == ' ' || c == '\t' || c == '\r') c = stream_.snextc();
    if (c >= 0 && c != '\n') {
      syntax_problem(where(), "not JSON: text after the record's end", kCorrect);
      return false;
    }
  }
  return true;
}

RecordReader::Stop RecordReader::take_value(std::string& text) {
  text.clear();
  bytes_ = 0;
  dropped_lines_ = 0;
  int depth = 0;
  bool in_string = false, escaped = false;
  std::optional<Stop> stop;
  while (!stop) {
    const std::string_view ahead = stream_.ahead();
    if (ahead.empty()) return Stop::kFileEnds;
    std::size_t n = 0;
    for (; n < ahead.size() && !stop; ++n) {
      const char c = ahead[n];
      if (c == '\n' && (lines_ || in_string)) {  // JSON has no line's end in a string
        stop = Stop::kLineEnds;
        break;
      }
      if (in_string) {
        in_string = escaped || c != '"';
        escaped = !escaped && c == '\\';
        if (in_string || depth > 0) continue;
        stop = Stop::kComplete;
      } else if (c == '"') {
        in_string = true;
      } else if (c == '{' || c == '[') {
        if (++depth > kMaxDepth) stop = Stop::kTooDeep;
      } else if ((c == '}' || c == ']') && --depth == 0) {
        stop = Stop::kComplete;
      }
    }
    const std::size_t kept = std::min(n, kMostRecordBytes - std::min(text.size(), kMostRecordBytes));
    text.append(ahead.substr(0, kept));
    dropped_lines_ += std::count(ahead.begin() + static_cast<std::ptrdiff_t>(kept),
                                 ahead.begin() + static_cast<std::ptrdiff_t>(n), '\n');
    bytes_ += n;
    stream_.skip(n);
  }
  return *stop;
}

void RecordReader::take_word(std::string& text) {
  constexpr std::string_view kEnds = ",]} \t\r\n";
  text.assign(1, static_cast<char>(stream_.sbumpc()));
  dropped_lines_ = 0;
  bytes_ = 1;
  if (text == ",") return;
  for (int c = stream_.sgetc(); c >= 0 && kEnds.find(static_cast<char>(c)) == std::string_view::npos;
       c = stream_.snextc()) {
    if (++bytes_ <= kMostRecordBytes) text.push_back(static_cast<char>(c));
  }
}

void RecordReader::not_an_object(const RecordText& record) {
  constexpr const char* kForm = "Write every record as {\"image\": ..., \"caption\": ...}";
  if (record.json == ",") {
    return syntax_problem(where(), "the record is not an object but missing: two commas follow each other", kForm);
  }
  if (is_not_a_number(record.json)) {
    problem(where(), fmt::format("the record is {}, not an object", record.json), kForm);
  } else if (const auto error = syntax_error(record.json)) {
    return syntax_problem(where(record, error->byte), not_json(record, error->byte, error->reason),
                          json_remedy(record.json, error->reason));
  } else {
    const std::string_view kind = json_kind(nlohmann::json::parse(record.json));
    problem(where(), fmt::format("the record is {}, not an object", kind), kForm);
  }
  if (lines_) skip_line();
}

void RecordReader::cut_short(Stop stop, const RecordText& record) {
  // What is wrong earlier in the text says more than where it stopped.
  const std::optional<SyntaxError> error = record.json.empty() ? std::nullopt : syntax_error(record.json);
  if (error && error->byte <= record.json.size()) {
    return syntax_problem(where(record, error->byte), not_json(record, error->byte, error->reason),
                          json_remedy(record.json, error->reason));
  }
  switch (stop) {
    case Stop::kComplete:
      problem(where(), fmt::format("the record has {} bytes, more than {} bytes", bytes_, kMostRecordBytes),
              "A record holds one picture and its captions");
      if (lines_) skip_line();
      return;
    case Stop::kFileEnds:
      return syntax_problem(where(), "the file ends in the middle",
                            "It was cut short, or a bracket is missing: write or copy it again");
    case Stop::kTooDeep:
      return syntax_problem(where(),
                            fmt::format("lists and objects stand in one another, more than {} deep", kMaxDepth),
                            "Take the record out");
    default:
      if (!lines_) return syntax_problem(where(), "not JSON: the line ends in the middle of a string", kCorrect);
      return syntax_problem(
          where(), "not JSON: the line ends in the middle of the record",
          "JSON lines have a whole record on each line; several lines a record need a list around them");
  }
}

nlohmann::ordered_json RecordReader::parse(const RecordText& record) const {
  VICHA_ASSERT(record.number == number_);
  try {
    nlohmann::ordered_json value = nlohmann::ordered_json::parse(record.json, nullptr, false);
    if (value.is_discarded()) {
      const std::optional<MendedJson> mended = without_not_numbers(record.json);
      value = nlohmann::ordered_json::parse(mended ? mended->text : record.json);
    }
    if (const std::optional<std::string> key = repeated_key(record.json)) {
      throw DataError(where(), fmt::format("field \"{}\" stands there twice", *key), "Leave the one that is right");
    }
    return value;
  } catch (const nlohmann::json::parse_error& error) {
    const std::string reason = json_reason(error.what());
    throw DataError(where(record, error.byte), not_json(record, error.byte, reason), json_remedy(record.json, reason));
  } catch (const nlohmann::json::exception& error) {
    throw DataError(where(), "cannot be read: " + json_reason(error.what()), kCorrect);
  }
}

std::string RecordReader::not_json(const RecordText& record, std::size_t byte, std::string_view reason) {
  return fmt::format("not JSON at byte {} of the file: {}", record.offset + byte, reason);
}

std::string RecordReader::where() const {
  return fmt::format("{}, record {} (line {})", file_.string(), number_, stream_.line());
}

std::string RecordReader::where(const RecordText& record, std::size_t byte) const {
  const auto rest = record.json.begin() + static_cast<std::ptrdiff_t>(std::min(byte, record.json.size()));
  return fmt::format("{}, record {} (line {})", file_.string(), number_,
                     stream_.line() - dropped_lines_ - std::count(rest, record.json.end(), '\n'));
}

void RecordReader::skip_line() {
  for (int c = stream_.sgetc(); c >= 0 && c != '\n'; c = stream_.snextc()) {
  }
}

int RecordReader::skip_space() {
  int c = stream_.sgetc();
  while (c == ' ' || c == '\t' || c == '\r' || c == '\n') c = stream_.snextc();
  return c;
}

void RecordReader::whole_file(std::string what, std::string remedy) {
  ended_ = true;
  on_problem_({file_.string(), 0, "", std::move(what), std::move(remedy), true});
}

void RecordReader::problem(std::string where, std::string what, std::string remedy) {
  on_problem_({std::move(where), number_, "", std::move(what), std::move(remedy), false});
}

void RecordReader::syntax_problem(std::string where, std::string what, std::string remedy) {
  const bool cut_off = lines_ && stream_.at_end();
  ended_ = !lines_;
  on_problem_({std::move(where), number_, "", std::move(what), std::move(remedy), ended_ || cut_off});
  if (lines_) skip_line();
}

}  // namespace vicha

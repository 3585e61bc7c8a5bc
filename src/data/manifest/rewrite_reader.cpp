#include "data/manifest/rewrite_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "data/manifest/manifest_reader.h"

namespace vicha {
namespace {

// Values are copied and written by recursion: text that nests deeper could exhaust the stack.
constexpr int kMaxDepth = 200;

constexpr std::string_view kCorrect = "Correct the text there, or write the file again";

/// The reason inside of a parser's message, without its prefix, position and copy of the text.
std::string reason_in(std::string_view message) {
  const std::size_t start = message.find(": ");
  if (message.starts_with("[json.exception.parse_error") && start != std::string_view::npos) {
    message.remove_prefix(start + 2);
  } else if (const std::size_t bracket = message.find("] "); bracket != std::string_view::npos) {
    message.remove_prefix(bracket + 2);
  }
  return std::string(message.substr(0, message.find("; last read")));
}

}  // namespace

RecordReader::RecordReader(const std::filesystem::path& file) : file_(file), stream_(file) {
  const auto whole = [&](std::string_view what, std::string_view remedy) {
    throw DataError(file_.string(), what, remedy);
  };
  if (stream_.at_end()) whole("is empty", "A manifest is a JSON list of records, or one record a line");
  if (stream_.sgetc() == 0xEF) {  // the byte order mark that some editors put in front
    for (const int expected : {0xEF, 0xBB, 0xBF}) {
      if (stream_.sbumpc() != expected) whole("is no text", "A manifest is JSON in UTF-8");
    }
  }
  const int first = skip_space();
  if (first != '[' && first != '{') {
    whole("is neither a JSON list nor JSON lines", "It must begin with [ (a list of records) or { (one record a line)");
  }
  lines_ = first == '{';
  if (!lines_) stream_.sbumpc();
}

bool RecordReader::next(RecordText& record) {
  if (ended_) return false;
  ++number_;
  ended_ = lines_ ? skip_space() < 0 : !next_of_list();
  if (ended_) return false;
  if (stream_.sgetc() != '{') {
    fail("the record is not an object", "Write every record as {\"image\": ..., \"caption\": ...}");
  }
  take_object(record);
  record.number = number_;
  if (lines_) {
    int c = stream_.sgetc();
    while (c == ' ' || c == '\t' || c == '\r') c = stream_.snextc();
    if (c >= 0 && c != '\n') fail("not JSON: text after the record's end", std::string(kCorrect));
  }
  return true;
}

bool RecordReader::next_of_list() {
  int c = skip_space();
  if (number_ > 0 && c == ',') {
    stream_.sbumpc();
    c = skip_space();
    if (c == ']') fail("not JSON: a comma before the list's end", std::string(kCorrect));
  } else if (number_ > 0 && c >= 0 && c != ']') {
    fail("not JSON: no comma between two records", std::string(kCorrect));
  }
  if (c < 0) fail("the file ends in the middle", "It was cut short, or a bracket is missing: write or copy it again");
  if (c != ']') return true;
  stream_.sbumpc();
  if (skip_space() >= 0) fail("not JSON: text after the list's end", std::string(kCorrect));
  return false;
}

void RecordReader::take_object(RecordText& record) {
  record.offset = stream_.position();
  record.json.clear();
  int depth = 0;
  bool in_string = false, escaped = false;
  do {
    const int c = stream_.sgetc();
    if (c < 0 || (lines_ && c == '\n')) {
      fail(c < 0 ? "the file ends in the middle" : "the line ends in the middle of the record",
           c < 0 ? "It was cut short, or a bracket is missing: write or copy it again"
                 : "JSON lines have a whole record on each line; several lines a record need a list around them");
    }
    stream_.sbumpc();
    record.json.push_back(static_cast<char>(c));
    if (in_string) {
      in_string = escaped || c != '"';
      escaped = !escaped && c == '\\';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth)
        fail(fmt::format("lists and objects stand in one another, more than {} deep", kMaxDepth),
             "Take the record out");
    } else if (c == '}' || c == ']') {
      --depth;
    }
    if (record.json.size() > kMaxRecordBytes) {
      fail(fmt::format("the record has more than {} bytes", kMaxRecordBytes),
           "A record holds one picture and its captions; is a quotation mark or a bracket missing?");
    }
  } while (depth > 0);
}

nlohmann::ordered_json RecordReader::parse(const RecordText& record) const {
  VICHA_ASSERT(record.number == number_);
  try {
    return nlohmann::ordered_json::parse(record.json);
  } catch (const nlohmann::json::parse_error& error) {
    const auto rest = record.json.begin() + static_cast<std::ptrdiff_t>(std::min(error.byte, record.json.size()));
    throw DataError(fmt::format("{}, record {} (line {})", file_.string(), number_,
                                stream_.line() - std::count(rest, record.json.end(), '\n')),
                    "not JSON: " + reason_in(error.what()), kCorrect);
  } catch (const nlohmann::json::exception& error) {
    throw DataError(where(), "cannot be read: " + reason_in(error.what()), kCorrect);
  }
}

std::string RecordReader::where() const {
  return fmt::format("{}, record {} (line {})", file_.string(), number_, stream_.line());
}

int RecordReader::skip_space() {
  int c = stream_.sgetc();
  while (c == ' ' || c == '\t' || c == '\r' || c == '\n') c = stream_.snextc();
  return c;
}

void RecordReader::fail(const std::string& what, const std::string& remedy) const {
  throw DataError(where(), what, remedy);
}

}  // namespace vicha

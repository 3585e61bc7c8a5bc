#include "data/manifest_reader.h"

#include <fmt/format.h>

#include <array>
#include <istream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "data/byte_stream.h"

namespace vicha {

void ManifestProblem::raise() const { throw DataError(where, what, remedy); }

namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxRecordBytes = std::size_t{4} << 20;

enum class FieldName { kImage, kCaption, kConcepts, kImageId, kOther };
constexpr std::size_t kKnownFields = 4;
constexpr std::array<std::string_view, kKnownFields> kFieldNames = {"image", "caption", "kwords", "image_id"};
constexpr std::array<std::string_view, kKnownFields> kWanted = {"a string", "a string or a list of strings",
                                                                "a list of strings", "a string or an integer"};
constexpr std::array<std::string_view, kKnownFields> kMissingRemedy = {
    "Every record names its picture", "Add the caption, a string or a list of strings",
    "Assign concepts to the pictures first, or train without them (data.concepts.enabled = false)",
    "Add the picture's id, a string or an integer"};

FieldName field_named(std::string_view key) {
  for (std::size_t i = 0; i < kKnownFields; ++i) {
    if (key == kFieldNames[i]) return static_cast<FieldName>(i);
  }
  return FieldName::kOther;
}

/// The reason inside of a parser's message, without its prefix, position and copy of the text.
std::string reason_of(std::string_view message) {
  const std::size_t start = message.find(": ");
  if (message.starts_with("[json.") && start != std::string_view::npos) message.remove_prefix(start + 2);
  return std::string(message.substr(0, message.find("; last read")));
}

/// Receives the parser's events and makes records of them. Containers are counted in `depth_`; a record is an object
/// that opens at `record_depth_`, which is 1 inside of a list and 0 on a line of its own.
class RecordHandler {
 public:
  RecordHandler(const std::filesystem::path& file, const ManifestNeeds& needs,
                const std::function<void(const ManifestRecord&)>& on_record,
                const std::function<void(const ManifestProblem&)>& on_problem, const ByteStream& stream)
      : file_(file.string()), needs_(needs), on_record_(on_record), on_problem_(on_problem), stream_(stream) {}

  /// A record is an object at the given depth: 1 in a list, 0 on a line of its own.
  void expect_records_at(int depth) {
    record_depth_ = depth;
    depth_ = 0;
    open_list_ = complete_ = false;
  }
  std::int64_t records() const { return number_; }
  /// Hands the record over if it was right. The caller says when, since text after it may spoil a line.
  void finish_record(bool keep) {
    if (std::exchange(complete_, false) && keep) on_record_(record_);
    ++number_;
  }

  void problem(std::string_view field, std::string what, std::string_view remedy) {
    bad_ = true;
    on_problem_({fmt::format("{}, record {} (line {})", file_, number_, stream_.line()), number_, std::string(field),
                 std::move(what), std::string(remedy)});
  }

  // Events, by nlohmann's names.
  bool null() { return value("null", nullptr); }
  bool boolean(bool) { return value("true or false", nullptr); }
  bool number_integer(Json::number_integer_t v) { return integer(fmt::format("n{}", v)); }
  bool number_unsigned(Json::number_unsigned_t v) { return integer(fmt::format("n{}", v)); }
  bool number_float(Json::number_float_t, const std::string&) { return value("a real number", nullptr); }
  bool string(std::string& text) { return value("a string", &text); }
  bool binary(Json::binary_t&) { return true; }  // not in JSON text
  bool key(std::string& name) {
    if (depth_ == record_depth_ + 1) field_ = field_named(name);
    return true;
  }
  bool start_object(std::size_t) {
    if (depth_ == record_depth_) {
      begin_record();
    } else {
      not_wanted("an object");
    }
    ++depth_;
    return true;
  }
  bool end_object() {
    if (--depth_ == record_depth_) end_record();
    return true;
  }
  bool start_array(std::size_t) {
    if (depth_ == record_depth_ + 1 && (field_ == FieldName::kCaption || field_ == FieldName::kConcepts)) {
      seen(field_);
      open_list_ = true;
      list().clear();
    } else if (depth_ >= record_depth_) {
      not_wanted("a list");
    }
    ++depth_;
    return true;
  }
  bool end_array() {
    if (--depth_ == record_depth_ + 1) open_list_ = false;
    if (depth_ == record_depth_ && record_depth_ == 1) finish_record(false);  // a list where a record should be
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    syntax_error_ = reason_of(error.what());
    return false;
  }
  std::string take_syntax_error() { return std::exchange(syntax_error_, ""); }

 private:
  std::vector<std::string>& list() { return field_ == FieldName::kCaption ? record_.captions : record_.concepts; }
  void seen(FieldName field) { seen_[static_cast<std::size_t>(field)] = true; }

  /// A value that cannot be right where it stands, unless nobody reads it.
  void not_wanted(std::string_view kind) {
    if (depth_ == record_depth_) {
      problem("", fmt::format("the record is {}, not an object", kind),
              "Write every record as {\"image\": ..., \"caption\": ...}");
    } else if (field_ == FieldName::kOther) {
      return;
    } else if (depth_ == record_depth_ + 1 || (open_list_ && depth_ == record_depth_ + 2)) {
      const auto i = static_cast<std::size_t>(field_);
      seen(field_);
      problem(kFieldNames[i],
              open_list_ ? fmt::format("field \"{}\" holds {}, where only strings may be", kFieldNames[i], kind)
                         : fmt::format("field \"{}\" is {}, not {}", kFieldNames[i], kind, kWanted[i]),
              "Correct the record or take it out");
    }
  }

  bool integer(std::string text) {
    if (depth_ == record_depth_ + 1 && field_ == FieldName::kImageId) {
      seen(field_);
      record_.image_id = std::move(text);
      return true;
    }
    return value("a number", nullptr);
  }

  /// A string, or (`text` null) a scalar of another kind.
  bool value(std::string_view kind, std::string* text) {
    const bool direct = depth_ == record_depth_ + 1;
    if (text && open_list_ && depth_ == record_depth_ + 2) {
      list().push_back(std::move(*text));
    } else if (text && direct &&
               (field_ == FieldName::kImage || field_ == FieldName::kImageId || field_ == FieldName::kCaption)) {
      seen(field_);
      if (field_ == FieldName::kImage) record_.image = std::move(*text);
      if (field_ == FieldName::kImageId) record_.image_id = "s" + *text;
      if (field_ == FieldName::kCaption) record_.captions.assign(1, std::move(*text));
    } else {
      not_wanted(kind);
      if (depth_ == record_depth_ && record_depth_ == 1) finish_record(false);
    }
    return true;
  }

  void begin_record() {
    bad_ = false;
    seen_.fill(false);
    field_ = FieldName::kOther;
    record_.image.clear();
    record_.captions.clear();
    record_.concepts.clear();
    record_.image_id.clear();
    record_.offset = stream_.position() - 1;  // the brace is read already
  }

  void end_record() {
    record_.length = stream_.position() - record_.offset;
    record_.number = number_;
    const std::array<bool, kKnownFields> needed = {true, needs_.caption, needs_.concepts, needs_.image_id};
    for (std::size_t i = 0; i < kKnownFields; ++i) {
      if (needed[i] && !seen_[i]) {
        problem(kFieldNames[i], fmt::format("field \"{}\" is missing", kFieldNames[i]), kMissingRemedy[i]);
      }
    }
    if (seen_[0] && !bad_ && (record_.image.empty() || record_.image.find('\0') != std::string::npos)) {
      problem("image", "field \"image\" is no file name", kMissingRemedy[0]);
    }
    if (needs_.caption && seen_[1] && !bad_ && record_.captions.empty()) {
      problem("caption", "field \"caption\" is an empty list", "Add a caption or take the record out");
    }
    if (record_.length > kMaxRecordBytes) {
      problem("", fmt::format("the record has {} bytes, more than the {} allowed", record_.length, kMaxRecordBytes),
              "A record holds one picture and its captions");
    }
    complete_ = !bad_;
    if (record_depth_ == 1) finish_record(true);
  }

  std::string file_;
  const ManifestNeeds& needs_;
  const std::function<void(const ManifestRecord&)>& on_record_;
  const std::function<void(const ManifestProblem&)>& on_problem_;
  const ByteStream& stream_;

  int record_depth_ = 0, depth_ = 0;
  std::int64_t number_ = 0;
  ManifestRecord record_;
  FieldName field_ = FieldName::kOther;
  bool open_list_ = false;  // inside of a list of strings
  bool bad_ = false;
  bool complete_ = false;  // `record_` is right and not handed over yet
  std::array<bool, kKnownFields + 1> seen_{};
  std::string syntax_error_;
};

/// One line of a ByteStream: ends where the line ends.
class Line : public std::streambuf {
 public:
  explicit Line(ByteStream& stream) : stream_(stream) {}
  void skip_rest() {
    while (uflow() != traits_type::eof()) {
    }
    stream_.sbumpc();  // the line's end
  }

 protected:
  int_type underflow() override {
    const int_type c = stream_.sgetc();
    return c == '\n' ? traits_type::eof() : c;
  }
  int_type uflow() override {
    const int_type c = underflow();
    if (c != traits_type::eof()) stream_.sbumpc();
    return c;
  }

 private:
  ByteStream& stream_;
};

/// The first character that is not white space, left in the stream; -1 at the end.
int skip_space(std::streambuf& stream) {
  int c = stream.sgetc();
  while (c == ' ' || c == '\t' || c == '\r' || c == '\n') c = stream.snextc();
  return c;
}

class ManifestReader {
 public:
  ManifestReader(ByteStream& stream, RecordHandler& handler) : stream_(stream), handler_(handler) {}

  /// Whether all was JSON.
  bool list() {
    std::istream in(&stream_);
    handler_.expect_records_at(1);
    const bool parsed = Json::sax_parse(in, &handler_);
    if (!parsed) syntax_problem();
    return parsed;
  }

  void lines() {
    while (skip_space(stream_) >= 0) {
      Line line(stream_);
      std::istream in(&line);
      handler_.expect_records_at(0);
      const bool parsed = Json::sax_parse(in, &handler_);
      if (!parsed) syntax_problem();
      handler_.finish_record(parsed);
      line.skip_rest();
    }
  }

 private:
  void syntax_problem() {
    const std::string reason = handler_.take_syntax_error();
    if (stream_.end_seen()) {
      handler_.problem("", "the file ends in the middle (" + reason + ")",
                       "It was cut short, or a bracket is missing: write or copy it again");
    } else {
      handler_.problem("", "not JSON: " + reason, "Correct the text there, or write the file again");
    }
  }

  ByteStream& stream_;
  RecordHandler& handler_;
};

}  // namespace

void read_manifest(const std::filesystem::path& file, const ManifestNeeds& needs,
                   const std::function<void(const ManifestRecord&)>& on_record,
                   const std::function<void(const ManifestProblem&)>& on_problem) {
  ByteStream stream(file);
  const auto whole = [&](std::string what, std::string remedy) {
    on_problem({file.string(), 0, "", std::move(what), std::move(remedy)});
  };
  if (stream.at_end()) return whole("is empty", "A manifest is a JSON list of records, or one record a line");
  if (stream.sgetc() == 0xEF) {  // the byte order mark that some editors put in front
    for (const int expected : {0xEF, 0xBB, 0xBF}) {
      if (stream.sbumpc() != expected) return whole("is no text", "A manifest is JSON in UTF-8");
    }
  }
  const int first = skip_space(stream);
  if (first != '[' && first != '{') {
    return whole("is neither a JSON list nor JSON lines",
                 "It must begin with [ (a list of records) or { (one record a line)");
  }
  RecordHandler handler(file, needs, on_record, on_problem, stream);
  ManifestReader reader(stream, handler);
  if (first == '{') {
    reader.lines();
  } else if (reader.list() && handler.records() == 0) {
    whole("holds no records", "Fill it, or leave it out of data.manifests");
  }
}

}  // namespace vicha

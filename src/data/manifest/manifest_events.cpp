#include "data/manifest/manifest_events.h"

#include <fmt/format.h>

#include <utility>

namespace vicha {
namespace {

// In the order of FieldName.
constexpr std::array<std::string_view, 4> kFieldNames = {"image", "caption", "kwords", "image_id"};
constexpr std::array<std::string_view, 4> kWanted = {"a string", "a string or a list of strings", "a list of strings",
                                                     "a string or an integer"};
constexpr std::array<std::string_view, 4> kMissingRemedy = {
    "Every record names its picture", "Add the caption, a string or a list of strings",
    "Assign concepts to the pictures first, or train without them (data.concepts.enabled = false)",
    "Add the picture's id, a string or an integer"};

/// The reason inside of a parser's message, without its prefix, position and copy of the text.
std::string reason_of(std::string_view message) {
  const std::size_t start = message.find(": ");
  if (message.starts_with("[json.") && start != std::string_view::npos) message.remove_prefix(start + 2);
  return std::string(message.substr(0, message.find("; last read")));
}

}  // namespace

ManifestEvents::ManifestEvents(const std::filesystem::path& file, const ManifestNeeds& needs,
                               const std::function<void(const ManifestRecord&)>& on_record,
                               const std::function<void(const ManifestProblem&)>& on_problem, const ByteStream& stream)
    : file_(file.string()), needs_(needs), on_record_(on_record), on_problem_(on_problem), stream_(stream) {}

ManifestEvents::FieldName ManifestEvents::field_named(std::string_view key) {
  static_assert(kFieldNames.size() == kKnownFields);
  for (std::size_t i = 0; i < kKnownFields; ++i) {
    if (key == kFieldNames[i]) return static_cast<FieldName>(i);
  }
  return FieldName::kOther;
}

void ManifestEvents::expect_records_at(int depth) {
  record_depth_ = depth;
  depth_ = 0;
  open_list_ = complete_ = false;
}

void ManifestEvents::finish_record(bool keep) {
  if (std::exchange(complete_, false) && keep) on_record_(record_);
  ++number_;
}

void ManifestEvents::problem(std::string_view field, std::string what, std::string_view remedy) {
  bad_ = true;
  on_problem_({fmt::format("{}, record {} (line {})", file_, number_, stream_.line()), number_, std::string(field),
               std::move(what), std::string(remedy)});
}

std::string ManifestEvents::take_syntax_error() { return std::exchange(syntax_error_, ""); }

bool ManifestEvents::null() { return value("null", nullptr); }
bool ManifestEvents::boolean(bool) { return value("true or false", nullptr); }
bool ManifestEvents::number_integer(nlohmann::json::number_integer_t n) { return integer(fmt::format("n{}", n)); }
bool ManifestEvents::number_unsigned(nlohmann::json::number_unsigned_t n) { return integer(fmt::format("n{}", n)); }
bool ManifestEvents::number_float(nlohmann::json::number_float_t, const std::string&) {
  return value("a real number", nullptr);
}
bool ManifestEvents::string(std::string& text) { return value("a string", &text); }

bool ManifestEvents::key(std::string& name) {
  if (depth_ == record_depth_ + 1) field_ = field_named(name);
  return true;
}

bool ManifestEvents::start_object(std::size_t) {
  if (depth_ == record_depth_) {
    begin_record();
  } else {
    not_wanted("an object");
  }
  ++depth_;
  return true;
}

bool ManifestEvents::end_object() {
  if (--depth_ == record_depth_) end_record();
  return true;
}

bool ManifestEvents::start_array(std::size_t) {
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

bool ManifestEvents::end_array() {
  if (--depth_ == record_depth_ + 1) open_list_ = false;
  if (depth_ == record_depth_ && record_depth_ == 1) finish_record(false);  // a list where a record should be
  return true;
}

bool ManifestEvents::parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
  syntax_error_ = reason_of(error.what());
  return false;
}

/// A value that cannot be right where it stands, unless nobody reads it.
void ManifestEvents::not_wanted(std::string_view kind) {
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

bool ManifestEvents::integer(std::string text) {
  if (depth_ == record_depth_ + 1 && field_ == FieldName::kImageId) {
    seen(field_);
    record_.image_id = std::move(text);
    return true;
  }
  return value("a number", nullptr);
}

/// A string, or (`text` null) a scalar of another kind.
bool ManifestEvents::value(std::string_view kind, std::string* text) {
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

void ManifestEvents::begin_record() {
  bad_ = false;
  seen_.fill(false);
  field_ = FieldName::kOther;
  record_.image.clear();
  record_.captions.clear();
  record_.concepts.clear();
  record_.image_id.clear();
  record_.offset = stream_.position() - 1;  // the brace is read already
}

void ManifestEvents::end_record() {
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

}  // namespace vicha

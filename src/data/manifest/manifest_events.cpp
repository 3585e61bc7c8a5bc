#include "data/manifest/manifest_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/json_text.h"
#include "data/manifest/image_paths.h"
#include "data/manifest/json_kind.h"

namespace vicha {
namespace {

// In the order of FieldName.
constexpr std::array<std::string_view, 4> kFieldNames = {"image", "caption", "kwords", "image_id"};
constexpr std::array<std::string_view, 4> kWanted = {"a string", "a string or a list of strings", "a list of strings",
                                                     "a string or an integer"};
constexpr std::array<std::string_view, 4> kMissingRemedy = {
    "Every record names its picture; where another field does, `vicha data convert --image FIELD` writes a manifest",
    "Add the caption, a string or a list of strings; where another field has it, `vicha data convert --caption FIELD` "
    "writes a manifest",
    "Assign concepts to the pictures first, or train without them (data.concepts.enabled = false)",
    "Add the picture's id, a string or an integer"};

/// Text as the parser reads it, telling others how far it has come.
class Cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor(const char* at, const char** shown) : at_(at), shown_(shown) {}
  const char& operator*() const { return *at_; }
  Cursor& operator++() {
    *shown_ = ++at_;
    return *this;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }
  bool operator!=(const Cursor& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** shown_;
};

}  // namespace

const ManifestRecord* ManifestEvents::read(const RecordText& text) {
  const std::vector<NotANumber> none;
  bool right = parse(text, none);
  if (!right) {
    if (const std::optional<MendedJson> mended = without_not_numbers(text.json)) {
      mended_ = {mended->text, text.number, text.offset};
      right = parse(mended_, mended->places);
    }
  }
  if (right) {
    check_record();
  } else {
    problem("", reader_.not_json(*text_, static_cast<std::size_t>(at_ - text_->json.data()), reason_),
            json_remedy(text.json, reason_));
    if (!inside_string(reason_)) reader_.give_up_list();
  }
  record_.length = text.json.size();
  tell_problems();
  return bad_ ? nullptr : &record_;
}

bool ManifestEvents::parse(const RecordText& text, const std::vector<NotANumber>& places) {
  begin_record(text);
  places_ = &places;
  next_place_ = 0;
  problems_.clear();
  const char *begin = text.json.data(), *end = begin + text.json.size();
  return nlohmann::json::sax_parse(Cursor(begin, &at_), Cursor(end, &at_), this);
}

ManifestEvents::FieldName ManifestEvents::field_named(std::string_view key) {
  static_assert(kFieldNames.size() == kKnownFields);
  for (std::size_t i = 0; i < kKnownFields; ++i) {
    if (key == kFieldNames[i]) return static_cast<FieldName>(i);
  }
  return FieldName::kOther;
}

void ManifestEvents::problem(std::string_view field, std::string what, std::string_view remedy) {
  bad_ = true;
  const auto byte = static_cast<std::size_t>(at_ - text_->json.data());
  problems_.push_back(
      {reader_.where(*text_, byte), text_->number, std::string(field), std::move(what), std::string(remedy)});
}

/// The handler may throw.
void ManifestEvents::tell_problems() {
  for (const ManifestProblem& one : problems_) on_problem_(one);
}

bool ManifestEvents::null() {
  constexpr std::size_t kLength = 4;  // of "null", which the parser has just passed
  if (next_place_ < places_->size() &&
      (*places_)[next_place_].at + kLength == static_cast<std::size_t>(at_ - text_->json.data())) {
    const std::string& word = (*places_)[next_place_++].word;
    record_.not_numbers.push_back({top_key_, word});
    not_wanted(word, kNotANumberRemedy);
    return true;
  }
  return value("null", nullptr);
}
bool ManifestEvents::boolean(bool) { return value("true or false", nullptr); }
bool ManifestEvents::number_integer(nlohmann::json::number_integer_t n) { return integer(fmt::format("n{}", n)); }
bool ManifestEvents::number_unsigned(nlohmann::json::number_unsigned_t n) { return integer(fmt::format("n{}", n)); }
bool ManifestEvents::number_float(nlohmann::json::number_float_t, const std::string& spelled) {
  // What has no room in 64 bits comes as a float, too.
  if (spelled.find_first_of(".eE") != spelled.npos) return value("a real number", nullptr);
  not_wanted(kLargeInteger, "Write it as a string, in quotation marks");
  return true;
}
bool ManifestEvents::string(std::string& text) { return value("a string", &text); }

bool ManifestEvents::key(std::string& name) {
  if (depth_ == 1) {
    field_ = field_named(name);
    if (!places_->empty()) top_key_ = name;
    if (is_read(name) && std::ranges::find(keys_, name) != keys_.end()) {
      problem(name, fmt::format("field \"{}\" stands there twice", name), "Leave the one that is right");
    }
    if (is_read(name)) keys_.push_back(name);
  }
  return true;
}

/// Whether somebody looks at the field: what nobody reads may be as it likes.
bool ManifestEvents::is_read(std::string_view name) const {
  if (field_ != FieldName::kOther) return true;
  return std::ranges::any_of(schema_.columns,
                             [&](const ColumnSpec& spec) { return name == spec.field || name == spec.beside; });
}

bool ManifestEvents::start_object(std::size_t) {
  if (depth_ > 0) not_wanted("an object");
  ++depth_;
  return true;
}

bool ManifestEvents::end_object() {
  --depth_;
  return true;
}

bool ManifestEvents::start_array(std::size_t) {
  if (depth_ == 1 && (field_ == FieldName::kCaption || field_ == FieldName::kConcepts)) {
    seen(field_);
    open_list_ = true;
    list().clear();
  } else {
    not_wanted("a list");
  }
  ++depth_;
  return true;
}

bool ManifestEvents::end_array() {
  if (--depth_ == 1) open_list_ = false;
  return true;
}

bool ManifestEvents::parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
  reason_ = json_reason(error.what());
  return false;
}

/// A value that cannot be right where it stands, unless nobody reads it.
void ManifestEvents::not_wanted(std::string_view kind, const char* remedy) {
  if (field_ != FieldName::kOther && (depth_ == 1 || (open_list_ && depth_ == 2))) {
    const auto i = static_cast<std::size_t>(field_);
    seen(field_);
    problem(kFieldNames[i],
            open_list_ ? fmt::format("field \"{}\" holds {}, where only strings may be", kFieldNames[i], kind)
                       : fmt::format("field \"{}\" is {}, not {}", kFieldNames[i], kind, kWanted[i]),
            remedy);
  }
}

bool ManifestEvents::integer(std::string text) {
  if (depth_ == 1 && field_ == FieldName::kImageId) {
    seen(field_);
    record_.image_id = std::move(text);
    return true;
  }
  return value("a number", nullptr);
}

/// A string, or (`text` null) a scalar of another kind.
bool ManifestEvents::value(std::string_view kind, std::string* text) {
  const bool direct = depth_ == 1;
  if (text && open_list_ && depth_ == 2) {
    list().push_back(std::move(*text));
  } else if (text && direct &&
             (field_ == FieldName::kImage || field_ == FieldName::kImageId || field_ == FieldName::kCaption)) {
    seen(field_);
    if (field_ == FieldName::kImage) record_.image = std::move(*text);
    if (field_ == FieldName::kImageId) record_.image_id = "s" + *text;
    if (field_ == FieldName::kCaption) record_.captions.assign(1, std::move(*text));
  } else {
    not_wanted(kind);
  }
  return true;
}

void ManifestEvents::begin_record(const RecordText& text) {
  text_ = &text;
  at_ = text.json.data();
  depth_ = 0;
  bad_ = open_list_ = false;
  seen_.fill(false);
  keys_.clear();
  field_ = FieldName::kOther;
  record_.number = text.number;
  record_.offset = text.offset;
  record_.json = text.json;
  record_.not_numbers.clear();
  record_.image.clear();
  record_.captions.clear();
  record_.concepts.clear();
  record_.image_id.clear();
}

void ManifestEvents::check_record() {
  const std::array<bool, kKnownFields> needed = {true, schema_.caption, schema_.concepts, schema_.image_id};
  for (std::size_t i = 0; i < kKnownFields; ++i) {
    if (needed[i] && !seen_[i]) {
      problem(kFieldNames[i], fmt::format("field \"{}\" is missing", kFieldNames[i]), kMissingRemedy[i]);
    }
  }
  if (seen_[0] && !bad_ && !is_file_name(record_.image)) {
    problem("image", record_.image.empty() ? "field \"image\" is empty" : "field \"image\" is not a file name",
            "Name the picture's file, or take the record out");
  }
  if (schema_.caption && seen_[1] && !bad_ && record_.captions.empty()) {
    problem("caption", "field \"caption\" is an empty list", "Add a caption or take the record out");
  }
}

}  // namespace vicha

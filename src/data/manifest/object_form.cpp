// What kind of data set one JSON object is, by the keys that its first elements have.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/manifest/foreign_form.h"
#include "data/manifest/not_numbers.h"

namespace vicha {
namespace {

using Keys = std::vector<std::string>;

bool has(const Keys& keys, std::string_view key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); }

bool has_any(const Keys& keys, std::initializer_list<std::string_view> any) {
  return std::any_of(any.begin(), any.end(), [&](std::string_view key) { return has(keys, key); });
}

/// Events of nlohmann's parser. `depth_` counts containers: 1 inside of the object, 2 inside of one of its values.
class Sketch {
 public:
  ObjectForm form() const {
    if (picture_) return ObjectForm::kNone;
    if (sentences_) return ObjectForm::kKarpathy;
    if (vqa_questions_) return ObjectForm::kVqaQuestions;
    if (vqa_annotations_) return ObjectForm::kVqaAnnotations;
    if (mdetr_) return ObjectForm::kMdetr;
    if (caption_annotations_) return ObjectForm::kCoco;
    if (coco_) return ObjectForm::kCocoOther;
    if (columns_) return ObjectForm::kColumns;
    if (list_) return ObjectForm::kNamedList;
    if (by_name_) return ObjectForm::kCaptionsByName;
    return by_key_ ? ObjectForm::kRecordsByKey : ObjectForm::kNone;
  }
  bool ended() const { return ended_; }
  bool picture() const { return picture_; }

  bool null() { return scalar(false); }
  bool boolean(bool) { return scalar(false); }
  bool number_integer(nlohmann::json::number_integer_t) { return scalar(false); }
  bool number_unsigned(nlohmann::json::number_unsigned_t) { return scalar(false); }
  bool number_float(nlohmann::json::number_float_t, const std::string&) { return scalar(false); }
  bool string(std::string&) { return scalar(true); }
  bool binary(nlohmann::json::binary_t&) { return true; }
  bool key(std::string& name) {
    if (depth_ == 1) {
      top_ = name;
      elements_ = 0;
    } else if (depth_ == element_depth_ && elements_ == 1 && keys_.size() < kMostKeys) {
      keys_.push_back(name);
    } else if (depth_ == 2 && !in_list_ && elements_ == 0 && keys_.size() < kMostKeys) {
      keys_.push_back(name);
    }
    return true;
  }
  bool start_object(std::size_t) {
    ++depth_;
    if (depth_ == 2) {
      in_list_ = false;
      keys_.clear();
    } else if (depth_ == 3 && in_list_ && ++elements_ == 1) {
      keys_.clear();
      element_depth_ = 3;
    }
    return true;
  }
  bool end_object() {
    if (depth_ == 3 && in_list_ && elements_ == 1) judge_element();
    if (depth_ == 2 && !in_list_) judge_object();
    if (--depth_ == 0) ended_ = true;
    return true;
  }
  bool start_array(std::size_t) {
    ++depth_;
    if (depth_ == 2) {
      in_list_ = true;
      elements_ = 0;
    }
    return true;
  }
  bool end_array() {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) { return false; }

 private:
  static constexpr std::size_t kMostKeys = 64;

  /// False, which ends the reading, where the object turns out to be a record.
  bool scalar(bool is_string) {
    if (depth_ == 1 && is_string) {
      if (top_ == "image") return !(picture_ = true);
      by_name_ = by_name_ || is_picture_name(top_);
    }
    if (depth_ == 2 && in_list_ && elements_++ == 0 && is_string) {
      columns_ = columns_ || top_ == "image" || top_ == "image_urls";
      by_name_ = by_name_ || is_picture_name(top_);
    }
    return true;
  }
  void judge_element() {
    if (has(keys_, "sentences") && top_ == "images") sentences_ = true;
    if (top_ == "annotations" && has(keys_, "image_id")) {
      coco_ = true;
      if (has(keys_, "caption")) caption_annotations_ = true;
    }
    if (top_ == "annotations" && has_any(keys_, {"question_id", "answers"})) vqa_annotations_ = true;
    if (top_ == "questions" && has_any(keys_, {"question_id", "question"})) vqa_questions_ = true;
    if (top_ == "images" && has(keys_, "file_name") && has(keys_, "caption") && has(keys_, "tokens_negative")) {
      mdetr_ = true;
    }
    if (top_ == "images" && has(keys_, "file_name") && !has_any(keys_, {"caption", "captions"})) coco_ = true;
    const bool names =
        has_any(keys_, {"image", "file_name", "filepath", "filename", "image_path", "file", "path", "img"});
    if (names && has_any(keys_, {"caption", "captions", "text", "title", "sentence", "sentences"})) list_ = true;
    if (is_picture_name(top_) && has_any(keys_, {"caption", "raw"})) by_name_ = true;
  }
  void judge_object() {
    if (top_ == "image") columns_ = true;
    if (has_any(keys_, {"image", "caption", "captions", "file_name", "sentences"})) by_key_ = true;
  }

  int depth_ = 0, element_depth_ = 0;
  bool in_list_ = false, ended_ = false;
  std::int64_t elements_ = 0;  // of the list at depth 2
  std::string top_;
  Keys keys_;
  bool picture_ = false, sentences_ = false, caption_annotations_ = false, coco_ = false, columns_ = false,
       list_ = false, by_key_ = false, by_name_ = false, vqa_questions_ = false, vqa_annotations_ = false,
       mdetr_ = false;
};

/// Whether nothing but white space follows the object at the front.
bool stands_alone(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return text.find_first_not_of(" \t\r\n", i + 1) == std::string_view::npos;
    }
  }
  return true;
}

}  // namespace

bool is_picture_name(std::string_view name) {
  constexpr std::array<std::string_view, 13> kEndings = {".jpg",  ".jpeg", ".png",  ".webp", ".gif",  ".bmp", ".tif",
                                                         ".tiff", ".svg",  ".avif", ".jfif", ".heic", ".jpe"};
  std::string lower(name.substr(name.size() - std::min<std::size_t>(name.size(), 5)));
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return lower.ends_with(ending); });
}

ObjectForm object_form(std::string_view text, bool whole) {
  Sketch sketch;
  nlohmann::json::sax_parse(text.begin(), text.end(),
                            &sketch);  // strict: more text behind the object is an error to it
  if (sketch.picture()) return ObjectForm::kNone;
  if (sketch.ended()) {
    // Behind the only object of a file nothing stands: otherwise it is the first of JSON lines.
    return stands_alone(text) ? sketch.form() : ObjectForm::kNone;
  }
  if (const std::optional<MendedJson> mended = without_not_numbers(text)) return object_form(mended->text, whole);
  return whole ? ObjectForm::kNone : sketch.form();  // not JSON: whoever reads it says where
}

}  // namespace vicha

// VQA v2: questions, and the annotations that answer them.
#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>

#include "base/blank.h"
#include "base/error.h"
#include "base/json_text.h"
#include "data/tools/convert_sink.h"
#include "data/tools/json_elements.h"
#include "data/tools/set_form.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kVqaFilesRemedy =
    "Give the questions, and their annotations as the second file: vicha data convert "
    "v2_OpenEnded_mscoco_train2014_questions.json --with v2_mscoco_train2014_annotations.json";

struct VqaAnnotation {
  std::int64_t number = 0, image = -1;
  std::string answers;  ///< a JSON list: half a million of ten strings each take too much otherwise
  std::string type, answer_type;
  bool asked = false;
};

struct VqaQuestion {
  std::int64_t number = 0, image = -1;
  Json id;
  std::string text;
};

/// "train2014", from the file's head; it may stand behind the records.
struct VqaSubset {
  std::string name, data_type;

  void see(const std::string& top, const Json& element) {
    if (!element.is_string()) return;
    if (top == "data_subtype") name = element.get<std::string>();
    if (top == "data_type") data_type = element.get<std::string>();
  }
};

std::int64_t vqa_image_of(const Json& element) {
  const auto found = element.find("image_id");
  return found != element.end() && found->is_number_integer() ? found->get<std::int64_t>() : -1;
}

/// The answers' texts as a JSON list; "" if there are none, or one is no text.
std::string answers_of(const Json& annotation) {
  const auto found = annotation.find("answers");
  if (found == annotation.end() || !found->is_array() || found->empty()) return "";
  Json texts = Json::array();
  for (const Json& answer : *found) {
    const Json* text = &answer;
    if (answer.is_object()) {
      const auto field = answer.find("answer");
      if (field == answer.end()) return "";
      text = &*field;
    }
    if (!text->is_string()) return "";
    texts.push_back(*text);
  }
  return json_text(texts);
}

class VqaFiles {
 public:
  VqaFiles(const fs::path& questions, ConvertSink& sink)
      : questions_file_(questions), annotations_file_(sink.options().with), sink_(sink) {}

  void convert() {
    require_source(questions_file_, {SourceFile::kVqaQuestions}, kVqaFilesRemedy);
    const bool answered = !annotations_file_.empty();
    if (answered) {
      require_source(annotations_file_, {SourceFile::kVqaAnnotations}, kVqaFilesRemedy);
      read_annotations();
    }
    read_questions();
    require_one_split(answered);
    std::int64_t without_annotation = 0, matched = 0;
    for (const VqaQuestion& question : questions_) {
      if (!answered) {
        write(question, nullptr);
        continue;
      }
      const auto found = annotations_.find(question.id.dump());
      if (found == annotations_.end()) {
        ++without_annotation;
        lose(question,
             fmt::format("question {} has no annotation in {}", question.id.dump(), annotations_file_.string()));
        continue;
      }
      found->second.asked = true;
      ++matched;
      write(question, &found->second);
    }
    if (answered && matched == 0 && !questions_.empty()) {
      throw DataError(
          annotations_file_.string(),
          fmt::format("annotates none of the {} questions of {}", questions_.size(), questions_file_.string()),
          "Both must be of the same split");
    }
    const std::int64_t without_question = lose_unasked();
    if (without_annotation > 0) sink_.note(fmt::format("questions without an annotation: {}", without_annotation));
    if (without_question > 0) sink_.note(fmt::format("annotations without a question: {}", without_question));
    if (!answered) sink_.note("no annotations (--with): the records have no answers");
  }

 private:
  void read_annotations() {
    bool any = false;
    for_each_element(annotations_file_,
                     [&](const std::string& top, const std::string&, std::int64_t number, Json& one) {
                       if (number < 0) return annotated_.see(top, one);
                       if (top != "annotations") return;
                       any = true;
                       const std::string where = place(annotations_file_, top, number);
                       const auto id = one.is_object() ? one.find("question_id") : one.end();
                       if (!one.is_object() || id == one.end() || !is_id(*id))
                         return sink_.lose(where, "has no question_id");
                       std::string answers = answers_of(one);
                       if (answers.empty()) sink_.lose(where, fmt::format("question {} has no answers", id->dump()));
                       VqaAnnotation annotation{number, vqa_image_of(one), std::move(answers),
                                                text_field(one, "question_type"), text_field(one, "answer_type")};
                       if (!annotations_.emplace(id->dump(), std::move(annotation)).second) {
                         sink_.lose(where, fmt::format("question {} has an annotation before it", id->dump()));
                       }
                     });
    if (!any) throw DataError(annotations_file_.string(), "has no list \"annotations\"", kVqaFilesRemedy);
  }

  void read_questions() {
    bool any = false;
    for_each_element(questions_file_, [&](const std::string& top, const std::string&, std::int64_t number, Json& one) {
      if (number < 0) return asked_.see(top, one);
      if (top != "questions") return;
      any = true;
      const std::string where = place(questions_file_, top, number);
      if (!one.is_object()) return sink_.lose(where, "is not an object");
      const auto id = one.find("question_id");
      if (id == one.end() || !is_id(*id)) return sink_.lose(where, "has no question_id");
      const std::string text = text_field(one, "question");
      if (is_blank(text)) return sink_.lose(where, "has no question");
      if (vqa_image_of(one) < 0) return sink_.lose(where, "has no image_id that is a whole number from 0 on");
      if (!asked_ids_.insert(id->dump()).second) {
        return sink_.lose(where, fmt::format("question {} stands there before it", id->dump()));
      }
      questions_.push_back({number, vqa_image_of(one), *id, text});
    });
    if (!any) throw DataError(questions_file_.string(), "has no list \"questions\"", kVqaFilesRemedy);
  }

  void require_one_split(bool answered) {
    if (!asked_.data_type.empty() && asked_.data_type != "mscoco") {
      throw DataError(questions_file_.string(),
                      fmt::format("is of other pictures than COCO's (data_type \"{}\")", asked_.data_type),
                      "VQA's questions about COCO's pictures are named v2_OpenEnded_mscoco_…");
    }
    if (answered && !asked_.name.empty() && !annotated_.name.empty() && asked_.name != annotated_.name) {
      throw DataError(annotations_file_.string(),
                      fmt::format("is of the split {}, the questions of {} are of {}", annotated_.name,
                                  questions_file_.string(), asked_.name),
                      "Give questions and annotations of one split");
    }
    split_ = asked_.name.empty() ? annotated_.name : asked_.name;
    if (split_.empty() && sink_.options().splits.size() == 1) split_ = sink_.options().splits.front();
    if (split_.empty()) {
      throw DataError(questions_file_.string(), "does not say of which split it is (data_subtype)",
                      "--split train2014 says it; names of pictures begin with it");
    }
    pictures_ = split_ == "test-dev2015" ? "test2015" : split_;  // a part of the test set
  }

  void write(const VqaQuestion& question, const VqaAnnotation* annotation) {
    if (!sink_.takes(split_)) return;
    if (annotation != nullptr && annotation->answers.empty()) return;  // its annotation is lost already
    if (annotation != nullptr && annotation->image >= 0 && annotation->image != question.image) {
      return lose(question,
                  fmt::format("is about the picture {}, its annotation about {}", question.image, annotation->image));
    }
    Json row = {{"question_id", question.id},
                {"image", coco_picture(fmt::format("COCO_{}_{:012}.jpg", pictures_, question.image), sink_.options())},
                {"question", question.text}};
    if (annotation != nullptr) {
      row["answer"] = Json::parse(annotation->answers);
      if (!annotation->type.empty()) row["question_type"] = annotation->type;
      if (!annotation->answer_type.empty()) row["answer_type"] = annotation->answer_type;
    }
    row["dataset"] = "vqa";
    sink_.add_row(place(questions_file_, "questions", question.number), std::move(row));
  }

  /// Annotations that no question has; their number.
  std::int64_t lose_unasked() {
    std::vector<std::pair<std::int64_t, const std::string*>> unasked;
    for (const auto& [id, annotation] : annotations_) {
      if (!annotation.asked) unasked.emplace_back(annotation.number, &id);
    }
    std::sort(unasked.begin(), unasked.end());
    for (const auto& [number, id] : unasked) {
      sink_.lose(place(annotations_file_, "annotations", number),
                 fmt::format("is of question {}, which {} does not have", *id, questions_file_.string()));
    }
    return static_cast<std::int64_t>(unasked.size());
  }

  void lose(const VqaQuestion& question, const std::string& why) {
    sink_.lose(place(questions_file_, "questions", question.number), why);
  }
  static std::string place(const fs::path& file, std::string_view list, std::int64_t number) {
    return fmt::format("{}, {} {}", file.string(), list, number);
  }

  fs::path questions_file_, annotations_file_;
  ConvertSink& sink_;
  VqaSubset asked_, annotated_;
  std::string split_, pictures_;
  std::unordered_map<std::string, VqaAnnotation> annotations_;  // by the question's id as JSON spells it
  std::vector<VqaQuestion> questions_;
  std::unordered_set<std::string> asked_ids_;
};

}  // namespace

void convert_vqa(const fs::path& in, ConvertSink& sink) { VqaFiles(in, sink).convert(); }

}  // namespace vicha

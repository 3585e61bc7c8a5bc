#include "data/tools/set_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/error.h"
#include "data/manifest/byte_stream.h"
#include "data/manifest/foreign_form.h"
#include "data/manifest/record_reader.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormSpace = " \t\r\n";

std::string_view described(SourceFile file) {
  switch (file) {
    case SourceFile::kOther:
      return "no file of a set that is known";
    case SourceFile::kFlickr:
      return "Flickr30K's captions";
    case SourceFile::kPairs:
      return "a list of pairs of path and caption";
    case SourceFile::kAddresses:
      return "a list of addresses";
    case SourceFile::kLinks:
      return "a table of captions and addresses";
    case SourceFile::kGenomeRegions:
      return "Visual Genome's region descriptions";
    case SourceFile::kGenomeQuestions:
      return "Visual Genome's questions and answers";
    case SourceFile::kGenomeImages:
      return "Visual Genome's image_data.json, which says where pictures are and nothing else of them";
    case SourceFile::kVqaQuestions:
      return "VQA's questions";
    case SourceFile::kVqaAnnotations:
      return "VQA's annotations";
    case SourceFile::kNlvr2:
      return "NLVR2's records";
    case SourceFile::kSnliVe:
      return "SNLI-VE's records";
    case SourceFile::kRefs:
      return "a pickle, as refs(unc).p of RefCOCO is";
    case SourceFile::kInstances:
      return "COCO's instances (boxes without captions)";
    case SourceFile::kMdetr:
      return "expressions in MDETR's form";
  }
  return "";
}

struct FormHead {
  std::string text;  ///< without byte order mark and white space in front
  bool whole = false;
};

/// As much as kinds of JSON objects are told by, of anything else the first part.
FormHead head_of(const fs::path& file) {
  ByteStream stream(file);
  FormHead head;
  const auto more = [&] {
    const std::string_view ahead = stream.ahead();
    head.text.append(ahead);
    stream.skip(ahead.size());
  };
  more();
  if (head.text.starts_with("\xEF\xBB\xBF")) head.text.erase(0, 3);
  head.text.erase(0, std::min(head.text.find_first_not_of(kFormSpace), head.text.size()));
  if (head.text.starts_with('{')) {
    while (!stream.at_end() && head.text.size() < kMostSketched) more();
  }
  head.whole = stream.at_end();
  return head;
}

/// Fields of the first record of a list or of JSON lines; none where it cannot be read.
std::vector<std::string> first_fields(const fs::path& file) {
  std::vector<std::string> fields;
  try {
    RecordReader reader(file);
    RecordText text;
    if (!reader.next(text)) return fields;
    const nlohmann::ordered_json record = reader.parse(text);
    for (const auto& [key, value] : record.items()) fields.push_back(key);
  } catch (const DataError&) {  // whoever reads it says where
  }
  return fields;
}

SourceFile source_of_record(const fs::path& file) {
  const std::vector<std::string> fields = first_fields(file);
  const auto has = [&](std::string_view name) { return std::find(fields.begin(), fields.end(), name) != fields.end(); };
  if (has("regions")) return SourceFile::kGenomeRegions;
  if (has("qas")) return SourceFile::kGenomeQuestions;
  if (has("url") && (has("coco_id") || has("flickr_id"))) return SourceFile::kGenomeImages;
  if (has("Flickr30K_ID")) return SourceFile::kSnliVe;
  if (has("identifier") && has("sentence") && !has("images") && !has("image")) return SourceFile::kNlvr2;
  return SourceFile::kOther;
}

SourceFile source_of_object(const fs::path& file, const FormHead& head) {
  switch (object_form(head.text, head.whole)) {
    case ObjectForm::kNone:
      return source_of_record(file);
    case ObjectForm::kVqaQuestions:
      return SourceFile::kVqaQuestions;
    case ObjectForm::kVqaAnnotations:
      return SourceFile::kVqaAnnotations;
    case ObjectForm::kMdetr:
      return SourceFile::kMdetr;
    case ObjectForm::kCocoOther:
      return SourceFile::kInstances;
    default:
      return SourceFile::kOther;
  }
}

SourceFile source_of_line(std::string_view line) {
  if (line.starts_with("(lp") || line.starts_with("(dp")) return SourceFile::kRefs;  // a pickle in text
  const std::size_t tab = line.find('\t');
  if (tab == std::string_view::npos) {
    const bool results = line.starts_with("image") && line.find("comment_number") != std::string_view::npos &&
                         line.find('|') != std::string_view::npos;
    if (results) return SourceFile::kFlickr;
    return is_address(line) ? SourceFile::kAddresses : SourceFile::kOther;
  }
  const std::string_view first = line.substr(0, tab), second = line.substr(tab + 1);
  if (!picture_of_caption_id(first).empty()) return SourceFile::kFlickr;
  const bool two = second.find('\t') == std::string_view::npos;
  return two && is_address(first) != is_address(second) ? SourceFile::kLinks : SourceFile::kOther;
}

}  // namespace

bool is_address(std::string_view text) { return text.starts_with("http://") || text.starts_with("https://"); }

std::string_view picture_of_caption_id(std::string_view id) {
  const std::size_t mark = id.rfind('#');
  if (mark == std::string_view::npos || mark + 1 == id.size()) return "";
  const bool number = id.find_first_not_of("0123456789", mark + 1) == std::string_view::npos;
  return number && is_picture_name(id.substr(0, mark)) ? id.substr(0, mark) : std::string_view();
}

SourceFile source_file(const fs::path& file) {
  const FormHead head = head_of(file);
  const std::string_view text = head.text;
  if (text.size() > 2 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5) return SourceFile::kRefs;
  if (text.starts_with('[')) {
    const std::size_t next = text.find_first_not_of(kFormSpace, 1);
    return next != std::string_view::npos && text[next] == '[' ? SourceFile::kPairs : source_of_record(file);
  }
  if (text.starts_with('{')) return source_of_object(file, head);
  return source_of_line(text.substr(0, text.find_first_of("\r\n")));
}

SetForm set_form_of(const fs::path& in) {
  const SourceFile source = source_file(in);
  const auto second = [&](std::string_view remedy) -> SetForm {
    throw DataError(in.string(), fmt::format("is {}", described(source)), remedy);
  };
  switch (source) {
    case SourceFile::kOther:
      break;
    case SourceFile::kFlickr:
      return SetForm::kFlickr;
    case SourceFile::kPairs:
      return SetForm::kPairs;
    case SourceFile::kAddresses:
      return SetForm::kSbu;
    case SourceFile::kLinks:
      return SetForm::kLinks;
    case SourceFile::kGenomeRegions:
      return SetForm::kGenomeRegions;
    case SourceFile::kGenomeQuestions:
      return SetForm::kGenomeQuestions;
    case SourceFile::kVqaQuestions:
      return SetForm::kVqa;
    case SourceFile::kNlvr2:
      return SetForm::kNlvr2;
    case SourceFile::kSnliVe:
      return SetForm::kSnliVe;
    case SourceFile::kRefs:
      return SetForm::kRefer;
    case SourceFile::kMdetr:
      return SetForm::kMdetr;
    case SourceFile::kVqaAnnotations:
      return second(
          fmt::format("Give the questions, and this as the second file: vicha data convert QUESTIONS.json --with '{}'",
                      in.string()));
    case SourceFile::kGenomeImages:
      return second(fmt::format(
          "Give region_descriptions.json or question_answers.json, and this as the second file: --with '{}'",
          in.string()));
    case SourceFile::kInstances:
      break;  // said below
  }
  const FormHead head = head_of(in);
  if (head.text.empty()) throw DataError(in.string(), "is empty");
  if (head.text.starts_with('[')) return SetForm::kRecords;
  if (head.text.starts_with('{')) {
    switch (object_form(head.text, head.whole)) {
      case ObjectForm::kNone:
        return SetForm::kRecords;
      case ObjectForm::kCoco:
        return SetForm::kCoco;
      case ObjectForm::kKarpathy:
        return SetForm::kKarpathy;
      case ObjectForm::kCocoOther:
        break;
      default:
        return SetForm::kObject;
    }
  }
  const std::optional<ForeignForm> other = foreign_form(in, head.text);
  if (other && !other->table) throw DataError(in.string(), other->what, other->remedy);
  if (!other) {
    throw DataError(in.string(), "is in no form that is known",
                    "Known are JSON (COCO, Karpathy, lists, lines, objects), CSV, TSV and the files that "
                    "docs/recipes-data.md names; --form says which");
  }
  const std::string_view line = std::string_view(head.text).substr(0, head.text.find_first_of("\r\n"));
  return line.find('\t') != std::string_view::npos ? SetForm::kTsv : SetForm::kCsv;
}

void require_source(const fs::path& file, std::initializer_list<SourceFile> expected, std::string_view remedy) {
  const SourceFile source = source_file(file);
  if (source == SourceFile::kOther || std::find(expected.begin(), expected.end(), source) != expected.end()) return;
  throw DataError(file.string(), fmt::format("is {}, not {}", described(source), described(*expected.begin())), remedy);
}

}  // namespace vicha

#include "data/manifest/foreign_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <utility>

#include "base/file_content.h"

namespace vicha {
namespace {

using namespace std::string_view_literals;

/// JSON without a byte order mark in other encodings than UTF-8.
std::optional<ForeignForm> wide_text(const std::filesystem::path& file, std::string_view head) {
  constexpr std::pair<std::string_view, const char*> kStarts[] = {
      {"[\0"sv, "UTF-16LE"}, {"{\0"sv, "UTF-16LE"}, {"\0["sv, "UTF-16BE"}, {"\0{"sv, "UTF-16BE"}};
  for (const auto& [start, encoding] : kStarts) {
    if (!head.starts_with(start)) continue;
    return ForeignForm{"is text in UTF-16 or UTF-32, not UTF-8",
                       fmt::format("Convert it: iconv -f {} -t UTF-8 '{}' > utf8.json", encoding, file.string())};
  }
  return std::nullopt;
}

/// What to do instead with a file that no command fetches or unpacks.
std::string remedy_of(const FileContent& content, const std::filesystem::path& file) {
  switch (content.kind) {
    case FileKind::kParquet:
      return fmt::format(
          "A manifest is JSON: python -c \"import pandas; pandas.read_parquet('{}').to_json('m.jsonl', "
          "orient='records', lines=True)\", then `vicha data convert m.jsonl` if its fields have other names",
          file.string());
    case FileKind::kDatabase:
      return "Export the table: sqlite3 -csv -header, then `vicha data convert`";
    case FileKind::kOffice:
      return "Save the sheet as CSV, then `vicha data convert`";
    case FileKind::kTable:
    case FileKind::kArrays:
      return "Write its records as JSON lines (pandas: to_json(orient='records', lines=True))";
    case FileKind::kPicture:
    case FileKind::kFilm:
      return "Name the manifest, not a picture";
    case FileKind::kWebPage:
    case FileKind::kZeros:
      return "It was downloaded wrongly: fetch the file itself";
    default:
      return "A manifest is JSON in UTF-8";
  }
}

std::string convert(const std::filesystem::path& file, std::string_view options = "") {
  return fmt::format("`vicha data convert '{}'{} --out m.jsonl` makes a manifest of it", file.string(), options);
}

/// A table: text whose first line has a separator of columns.
std::optional<ForeignForm> table(const std::filesystem::path& file, std::string_view head) {
  const std::string_view line = head.substr(0, head.find_first_of("\r\n"));
  if (has_ends_of_old_macs(head)) {
    return ForeignForm{"has the line ends of old Macs, a carriage return alone",
                       fmt::format("Convert it: tr '\\r' '\\n' < '{}' > lines.csv", file.string())};
  }
  const bool text = std::none_of(line.begin(), line.end(), [](char c) { return c >= 0 && c < ' ' && c != '\t'; });
  if (!text || line.empty()) return std::nullopt;
  if (line.find('\t') != std::string_view::npos) {
    return ForeignForm{"is a table with tabs between its columns (TSV), not a manifest", convert(file), true};
  }
  if (line.find_first_of(",;|") != std::string_view::npos) {
    return ForeignForm{"is a table (CSV), not a manifest", convert(file), true};
  }
  return std::nullopt;
}

std::optional<ForeignForm> object(const std::filesystem::path& file, std::string_view head) {
  // Most files are JSON lines, whose first record is short and names its picture.
  std::string text(head);
  ObjectForm form = object_form(text, false);
  if (form == ObjectForm::kNone && text.find("\"image\"") != std::string::npos) return std::nullopt;
  std::ifstream in(file, std::ios::binary);
  text.resize(kMostSketched);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, in.gcount())));
  const std::size_t begin = text.find('{');
  if (begin == std::string::npos) return std::nullopt;
  form = object_form(std::string_view(text).substr(begin), text.size() < kMostSketched);
  switch (form) {
    case ObjectForm::kNone:
      return std::nullopt;
    case ObjectForm::kCoco:
      return ForeignForm{R"(has COCO's form, one object with "images" and "annotations", not a list of records)",
                         convert(file)};
    case ObjectForm::kCocoOther:
      return ForeignForm{
          "has COCO's form without captions (boxes or key points)",
          "Give the file with captions (COCO: captions_train2017.json); `vicha data convert` makes a manifest "
          "of that. RefCOCO's instances.json goes with its expressions: vicha data convert 'refs(unc).p' --with "
          "instances.json"};
    case ObjectForm::kVqaQuestions:
      return ForeignForm{"is VQA's questions, one object, not a list of records",
                         convert(file, " --with ANNOTATIONS.json")};
    case ObjectForm::kVqaAnnotations:
      return ForeignForm{
          "is VQA's annotations, one object, not a list of records",
          fmt::format("`vicha data convert QUESTIONS.json --with '{}' --out m.jsonl` makes a manifest of "
                      "both",
                      file.string())};
    case ObjectForm::kMdetr:
      return ForeignForm{"has MDETR's form, one object with \"images\" and \"annotations\", not a list of records",
                         convert(file)};
    case ObjectForm::kKarpathy:
      return ForeignForm{
          R"(has Karpathy's form, one object with "images" and their "sentences", not a list of records)",
          convert(file, " --split train,restval")};
    case ObjectForm::kNamedList:
      return ForeignForm{"is one object with a list of records in it, not the list itself", convert(file)};
    case ObjectForm::kRecordsByKey:
      return ForeignForm{"is one object with a record for each key, not a list of records", convert(file)};
    case ObjectForm::kCaptionsByName:
      return ForeignForm{"is one object with captions for each picture's name, not a list of records", convert(file)};
    case ObjectForm::kColumns:
      return ForeignForm{
          "is one object with a column for each key (pandas writes lists of records with "
          "orient=\"records\"), not a list of records",
          convert(file)};
  }
  return std::nullopt;
}

}  // namespace

std::optional<ForeignForm> foreign_form(const std::filesystem::path& file, std::string_view head) {
  if (auto wide = wide_text(file, head)) return wide;
  const std::optional<FileContent> content = file_content(head);
  if (content && content->kind != FileKind::kEmpty) {
    if (content->kind == FileKind::kArchive && head.starts_with("PK")) {
      const bool excel = head.find("xl/") != std::string_view::npos || file.extension() == ".xlsx";
      return excel ? ForeignForm{"is an Excel sheet", "Save it as CSV (UTF-8), then `vicha data convert`"}
                   : ForeignForm{"is a zip archive", "Unpack it first and name the manifest in it"};
    }
    if (content->kind == FileKind::kTar) {
      return ForeignForm{"is a tar archive",
                         "`vicha data from-tar` unpacks tars of pictures and captions to a manifest"};
    }
    return ForeignForm{"is " + std::string(content->what),
                       content_remedy(*content, file.string(), remedy_of(*content, file))};
  }
  if (head.starts_with("\xEF\xBB\xBF")) head.remove_prefix(3);
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || head[first] == '[') return std::nullopt;
  return head[first] == '{' ? object(file, head.substr(first)) : table(file, head.substr(first));
}

}  // namespace vicha

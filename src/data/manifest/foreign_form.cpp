#include "data/manifest/foreign_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <utility>

namespace vicha {
namespace {

struct Magic {
  std::string_view bytes;
  std::string_view what, remedy;  // {} stands for the file's name
};

using namespace std::string_view_literals;
constexpr Magic kMagics[] = {
    {"PAR1"sv, "is a Parquet file",
     "A manifest is JSON: python -c \"import pandas; pandas.read_parquet('{}').to_json('m.jsonl', orient='records', "
     "lines=True)\", then `vicha data convert m.jsonl` if its fields have other names"},
    {"ARROW1"sv, "is an Arrow file", "Write its records as JSON lines (pandas: to_json(orient='records', lines=True))"},
    {"\x1f\x8b"sv, "is compressed by gzip", "Unpack it first: gunzip -k '{}'"},
    {"\x28\xb5\x2f\xfd"sv, "is compressed by zstd", "Unpack it first: zstd -d '{}'"},
    {"BZh"sv, "is compressed by bzip2", "Unpack it first: bunzip2 -k '{}'"},
    {"\xfd"
     "7zXZ"sv,
     "is compressed by xz", "Unpack it first: unxz -k '{}'"},
    {"7z\xbc\xaf"sv, "is a 7z archive", "Unpack it first"},
    {"Rar!"sv, "is a RAR archive", "Unpack it first"},
    {"SQLite format 3"sv, "is an SQLite database", "Export the table: sqlite3 -csv -header, then `vicha data convert`"},
    {"\x89HDF"sv, "is an HDF5 file", "Write its captions as JSON lines"},
    {"\x93NUMPY"sv, "is a NumPy array", "Write its captions as JSON lines"},
    {"\xd0\xcf\x11\xe0"sv, "is an old Excel or Office file", "Save the sheet as CSV, then `vicha data convert`"},
    {"version https://git-lfs"sv, "is a pointer of Git LFS, not the file itself", "Fetch it: git lfs pull"},
    {"%PDF"sv, "is a PDF file", "A manifest is JSON in UTF-8"},
    {"\x89PNG"sv, "is a picture", "Name the manifest, not a picture"},
    {"\xff\xd8\xff"sv, "is a picture", "Name the manifest, not a picture"},
    {"\xff\xfe"sv, "is text in UTF-16, not UTF-8", "Convert it: iconv -f UTF-16 -t UTF-8 '{}' > utf8.json"},
    {"\xfe\xff"sv, "is text in UTF-16, not UTF-8", "Convert it: iconv -f UTF-16 -t UTF-8 '{}' > utf8.json"},
    {"[\0"sv, "is text in UTF-16 or UTF-32, not UTF-8", "Convert it: iconv -f UTF-16LE -t UTF-8 '{}' > utf8.json"},
    {"{\0"sv, "is text in UTF-16 or UTF-32, not UTF-8", "Convert it: iconv -f UTF-16LE -t UTF-8 '{}' > utf8.json"},
    {"\0["sv, "is text in UTF-16, not UTF-8", "Convert it: iconv -f UTF-16BE -t UTF-8 '{}' > utf8.json"},
    {"\0{"sv, "is text in UTF-16, not UTF-8", "Convert it: iconv -f UTF-16BE -t UTF-8 '{}' > utf8.json"},
    {"<!DOCTYPE"sv, "is a web page", "It was downloaded wrongly: fetch the file itself"},
    {"<!doctype"sv, "is a web page", "It was downloaded wrongly: fetch the file itself"},
    {"<html"sv, "is a web page", "It was downloaded wrongly: fetch the file itself"},
    {"<?xml"sv, "is XML", "A manifest is JSON in UTF-8"},
};

std::string with_name(std::string_view remedy, const std::filesystem::path& file) {
  std::string text(remedy);
  if (const std::size_t at = text.find("{}"); at != std::string::npos) text.replace(at, 2, file.string());
  return text;
}

std::string convert(const std::filesystem::path& file, std::string_view options = "") {
  return fmt::format("`vicha data convert '{}'{} --out m.jsonl` makes a manifest of it", file.string(), options);
}

/// A table: text whose first line has a separator of columns.
std::optional<ForeignForm> table(const std::filesystem::path& file, std::string_view head) {
  const std::string_view line = head.substr(0, head.find_first_of("\r\n"));
  const bool text = std::none_of(line.begin(), line.end(), [](char c) { return c >= 0 && c < ' ' && c != '\t'; });
  if (!text || line.empty()) return std::nullopt;
  if (line.find('\t') != std::string_view::npos) {
    return ForeignForm{"is a table with tabs between its columns (TSV), not a manifest", convert(file)};
  }
  if (line.find_first_of(",;|") != std::string_view::npos) {
    return ForeignForm{"is a table (CSV), not a manifest", convert(file)};
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
  for (const Magic& magic : kMagics) {
    if (head.starts_with(magic.bytes)) return ForeignForm{std::string(magic.what), with_name(magic.remedy, file)};
  }
  if (head.starts_with("PK\x03\x04")) {
    const bool excel = head.find("xl/") != std::string_view::npos || file.extension() == ".xlsx";
    return excel ? ForeignForm{"is an Excel sheet", "Save it as CSV (UTF-8), then `vicha data convert`"}
                 : ForeignForm{"is a zip archive", "Unpack it first and name the manifest in it"};
  }
  if (head.size() > 262 && head.substr(257, 5) == "ustar") {
    return ForeignForm{"is a tar archive", "`vicha data from-tar` unpacks tars of pictures and captions to a manifest"};
  }
  if (head.starts_with("\xEF\xBB\xBF")) head.remove_prefix(3);
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || head[first] == '[') return std::nullopt;
  return head[first] == '{' ? object(file, head.substr(first)) : table(file, head.substr(first));
}

}  // namespace vicha

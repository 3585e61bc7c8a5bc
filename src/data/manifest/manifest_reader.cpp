#include "data/manifest/manifest_reader.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "data/manifest/manifest_events.h"
#include "data/manifest/picture_lists.h"

namespace vicha {
namespace {

constexpr const char *kPicturesField = "images", *kPictureField = "image", *kWordsField = "kwords",
                     *kWordsOfFirstField = "kwords1";

/// Fields of the pictures in the order of the list.
std::vector<std::string> picture_fields(const Schema& schema) {
  std::vector<std::string> fields = {kPictureField};
  for (const ColumnSpec& spec : schema.columns) {
    if (spec.type == ColumnType::kImage) fields.push_back(spec.field);
  }
  return fields;
}

}  // namespace

std::optional<RecordText> with_pictures_apart(const RecordText& text, const Schema& schema, const RecordReader& reader,
                                              const ProblemHandler& on_problem) {
  const std::vector<std::string> fields = picture_fields(schema);
  if (fields.size() == 1 || text.json.find("\"images\"") == std::string::npos) return std::nullopt;
  auto record = nlohmann::ordered_json::parse(text.json, nullptr, /*allow_exceptions=*/false);
  if (!record.is_object() || !record.contains(kPicturesField) || record.contains(kPictureField)) return std::nullopt;
  const auto wrong = [&](std::string field, std::string what, std::string remedy) {
    on_problem({reader.where(), text.number, std::move(field), std::move(what), std::move(remedy)});
    return RecordText{{}, text.number, text.offset};
  };
  const nlohmann::ordered_json list = record.at(kPicturesField);
  const std::string remedy = fmt::format("Name {} pictures, or take the record out", fields.size());
  if (!list.is_array() || list.size() != fields.size()) {
    return wrong(kPicturesField,
                 list.is_array()
                     ? fmt::format("field \"{}\" names {} pictures, not {}", kPicturesField, list.size(), fields.size())
                     : fmt::format("field \"{}\" is not a list of {} pictures", kPicturesField, fields.size()),
                 remedy);
  }
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!list[i].is_string() || list[i].get_ref<const std::string&>().empty()) {
      return wrong(kPicturesField,
                   fmt::format("field \"{}\": its picture {} is {}, not the name of a file", kPicturesField, i + 1,
                               list[i].is_string() ? "empty"
                               : list[i].is_null() ? "null"
                                                   : "no string"),
                   remedy);
    }
    record[fields[i]] = list[i];
  }
  record.erase(kPicturesField);
  record.erase(kWordsField);
  if (record.contains(kWordsOfFirstField)) {
    record[kWordsField] = record.at(kWordsOfFirstField);
    record.erase(kWordsOfFirstField);
  } else if (schema.concepts) {
    return wrong(kWordsOfFirstField,
                 fmt::format("field \"{}\", the concepts of the first picture, is missing", kWordsOfFirstField),
                 "Assign concepts to the pictures first, or train without them (model.concepts.enabled = false and "
                 "data.concepts.enabled = false)");
  }
  return RecordText{record.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), text.number,
                    text.offset};
}

std::vector<ColumnSpec> columns_of_further_pictures(const std::filesystem::path& manifest) {
  std::vector<ColumnSpec> columns;
  const auto add = [&](std::size_t number) {
    columns.push_back({.field = fmt::format("{}{}", kPictureField, number),
                       .type = ColumnType::kImage,
                       .required = false,
                       .beside = fmt::format("{}{}", kWordsField, number)});
  };
  try {
    RecordReader reader(manifest, [](const ManifestProblem&) {});
    RecordText text;
    if (!reader.next(text)) return columns;
    const auto record = nlohmann::json::parse(text.json, nullptr, /*allow_exceptions=*/false);
    if (!record.is_object()) return columns;
    if (record.contains(kPictureField)) {
      for (std::size_t i = 2; record.contains(fmt::format("{}{}", kPictureField, i)); ++i) add(i);
    } else if (record.contains(kPicturesField) && record.at(kPicturesField).is_array()) {
      for (std::size_t i = 2; i <= record.at(kPicturesField).size(); ++i) add(i);
    }
  } catch (const DataError&) {  // whoever reads the file for its records says so
  }
  return columns;
}

std::vector<ColumnSpec> columns_of_further_pictures(const std::vector<std::filesystem::path>& manifests) {
  std::vector<ColumnSpec> most;
  for (const std::filesystem::path& manifest : manifests) {
    std::vector<ColumnSpec> columns = columns_of_further_pictures(manifest);
    if (columns.size() > most.size()) most = std::move(columns);
  }
  return most;
}

void read_manifest(const std::filesystem::path& file, const Schema& schema,
                   const std::function<void(const ManifestRecord&)>& on_record, const ProblemHandler& on_problem) {
  bool empty = true;
  RecordReader reader(file, [&](const ManifestProblem& problem) {
    empty = false;
    on_problem(problem);
  });
  ManifestEvents events(schema, reader, on_problem);
  RecordText text;
  while (reader.next(text)) {
    empty = false;
    if (const std::optional<RecordText> apart = with_pictures_apart(text, schema, reader, on_problem)) {
      const ManifestRecord* record = apart->json.empty() ? nullptr : events.read(*apart);
      if (record == nullptr) continue;
      ManifestRecord as_in_file = *record;
      as_in_file.length = text.json.size();
      on_record(as_in_file);
    } else if (const ManifestRecord* record = events.read(text)) {
      on_record(*record);
    }
  }
  if (empty) on_problem({file.string(), 0, "", "holds no records", "Fill it, or leave it out of data.manifests"});
}

}  // namespace vicha

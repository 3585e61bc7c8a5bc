#include "data/manifest/picture_lists.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace vicha {
namespace {

constexpr const char *kList = "images", *kFirst = "image", *kConcepts = "kwords", *kConceptsOfFirst = "kwords1";

/// Fields of the pictures in the order of the list.
std::vector<std::string> picture_fields(const Schema& schema) {
  std::vector<std::string> fields = {kFirst};
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
  if (!record.is_object() || !record.contains(kList) || record.contains(kFirst)) return std::nullopt;
  const auto wrong = [&](std::string field, std::string what, std::string remedy) {
    on_problem({reader.where(), text.number, std::move(field), std::move(what), std::move(remedy)});
    return RecordText{{}, text.number, text.offset};
  };
  const nlohmann::ordered_json list = record.at(kList);
  const std::string remedy = fmt::format("Name {} pictures, or take the record out", fields.size());
  if (!list.is_array() || list.size() != fields.size()) {
    return wrong(kList,
                 list.is_array()
                     ? fmt::format("field \"{}\" names {} pictures, not {}", kList, list.size(), fields.size())
                     : fmt::format("field \"{}\" is no list of {} pictures", kList, fields.size()),
                 remedy);
  }
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!list[i].is_string() || list[i].get_ref<const std::string&>().empty()) {
      return wrong(kList,
                   fmt::format("field \"{}\": its picture {} is {}, not the name of a file", kList, i + 1,
                               list[i].is_string() ? "empty"
                               : list[i].is_null() ? "null"
                                                   : "no string"),
                   remedy);
    }
    record[fields[i]] = list[i];
  }
  record.erase(kList);
  record.erase(kConcepts);
  if (record.contains(kConceptsOfFirst)) {
    record[kConcepts] = record.at(kConceptsOfFirst);
    record.erase(kConceptsOfFirst);
  } else if (schema.concepts) {
    return wrong(kConceptsOfFirst,
                 fmt::format("field \"{}\", the concepts of the first picture, is missing", kConceptsOfFirst),
                 "Assign concepts to the pictures first, or train without them (model.concepts.enabled = false and "
                 "data.concepts.enabled = false)");
  }
  return RecordText{record.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), text.number,
                    text.offset};
}

std::vector<ColumnSpec> columns_of_picture_list(const std::filesystem::path& manifest) {
  std::vector<ColumnSpec> columns;
  try {
    RecordReader reader(manifest, [](const ManifestProblem&) {});
    RecordText text;
    if (!reader.next(text)) return columns;
    const auto record = nlohmann::json::parse(text.json, nullptr, /*allow_exceptions=*/false);
    if (!record.is_object() || record.contains(kFirst) || !record.contains(kList) || !record.at(kList).is_array()) {
      return columns;
    }
    for (std::size_t i = 2; i <= record.at(kList).size(); ++i) {
      columns.push_back({.field = fmt::format("{}{}", kFirst, i), .type = ColumnType::kImage});
    }
  } catch (const DataError&) {  // whoever reads the file for its records says so
  }
  return columns;
}

}  // namespace vicha

#include "data/manifest/record_fields.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/manifest/image_paths.h"

namespace vicha {

std::string image_of(const nlohmann::ordered_json& record, const std::function<std::string()>& where) {
  const auto field = record.find("image");
  if (field == record.end()) {
    throw DataError(where(), "field \"image\" is missing", "Every record names its picture");
  }
  const auto* name = field->get_ptr<const std::string*>();
  if (name == nullptr || !is_file_name(*name)) {
    throw DataError(where(), "field \"image\" is not a file name", "Every record names its picture");
  }
  return *name;
}

std::string image_of(const nlohmann::ordered_json& record, const RecordReader& reader) {
  return image_of(record, [&] { return reader.where(); });
}

std::vector<NamedPicture> pictures_of(const nlohmann::ordered_json& record, const std::function<std::string()>& where) {
  std::vector<NamedPicture> pictures;
  const auto list = record.find("images");
  if (record.contains("image") || list == record.end()) {
    pictures.push_back({image_of(record, where), ""});
    for (std::size_t i = 2;; ++i) {
      const auto further = record.find(fmt::format("image{}", i));
      if (further == record.end()) return pictures;
      const auto* name = further->get_ptr<const std::string*>();
      if (name == nullptr || !is_file_name(*name)) {
        throw DataError(where(), fmt::format("field \"image{}\" is not a file name", i),
                        "Name the picture, or leave it out");
      }
      pictures.push_back({*name, std::to_string(i)});
    }
  }
  for (std::size_t i = 0; list->is_array() && i < list->size(); ++i) {
    const auto* name = (*list)[i].get_ptr<const std::string*>();
    if (name == nullptr || !is_file_name(*name)) {
      throw DataError(where(), fmt::format("field \"images\": its picture {} is not a file name", i + 1),
                      "Every record names its pictures");
    }
    pictures.push_back({*name, std::to_string(i + 1)});
  }
  if (pictures.empty()) {
    throw DataError(where(), "field \"images\" is not a list of file names", "Every record names its pictures");
  }
  return pictures;
}

void rename_picture(nlohmann::ordered_json& record, std::size_t place, const std::string& name) {
  if (!record.contains("image")) {
    record.at("images").at(place) = name;
  } else {
    record.at(place == 0 ? std::string("image") : fmt::format("image{}", place + 1)) = name;
  }
}

std::vector<std::string> captions_of(const nlohmann::ordered_json& record, const RecordReader& reader) {
  const auto field = record.find("caption");
  if (field == record.end()) {
    throw DataError(reader.where(), "field \"caption\" is missing", "Add the caption, a string or a list of strings");
  }
  if (field->is_string()) return {field->get<std::string>()};
  std::vector<std::string> captions;
  bool right = field->is_array();
  for (std::size_t i = 0; right && i < field->size(); ++i) {
    right = (*field)[i].is_string();
    if (right) captions.push_back((*field)[i].get<std::string>());
  }
  if (!right) {
    throw DataError(reader.where(), "field \"caption\" is neither a string nor a list of strings",
                    "Correct the record or take it out");
  }
  return captions;
}

}  // namespace vicha

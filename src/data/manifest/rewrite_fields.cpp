#include "data/manifest/rewrite_fields.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace vicha {

std::string image_of(const nlohmann::ordered_json& record, const RecordReader& reader) {
  const auto field = record.find("image");
  if (field == record.end()) {
    throw DataError(reader.where(), "field \"image\" is missing", "Every record names its picture");
  }
  const auto* name = field->get_ptr<const std::string*>();
  if (name == nullptr || name->empty() || name->find('\0') != std::string::npos) {
    throw DataError(reader.where(), "field \"image\" is no file name", "Every record names its picture");
  }
  return *name;
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

PicturePaths::PicturePaths(const std::filesystem::path& manifest, const std::filesystem::path& image_root,
                           std::int64_t strip_parts)
    : root_(image_root.empty() ? manifest.parent_path() : image_root), strip_parts_(strip_parts) {}

std::string PicturePaths::path(std::string_view image, const RecordReader& reader) const {
  std::string_view rest = image;
  for (std::int64_t i = 0; i < strip_parts_; ++i) {
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos) {
      throw DataError(reader.where(),
                      fmt::format("\"{}\" has no more than {} parts between slashes", image, strip_parts_),
                      "Make --strip-parts smaller");
    }
    rest.remove_prefix(slash + 1);
  }
  return (root_ / rest).lexically_normal().string();
}

}  // namespace vicha

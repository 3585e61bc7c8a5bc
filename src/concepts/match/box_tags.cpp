#include "concepts/match/box_tags.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "base/blank.h"
#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/printable.h"
#include "base/progress.h"
#include "concepts/match/assign.h"
#include "concepts/source/provenance.h"
#include "data/manifest/image_paths.h"
#include "data/manifest/json_members.h"
#include "data/manifest/record_fields.h"
#include "data/manifest/rewrite.h"
#include "image/decode.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

/// How much of [a, a + length] lies in [b, b + other].
double shared_length(double a, double length, double b, double other) {
  return std::max(0.0, std::min(a + length, b + other) - std::max(a, b));
}

constexpr const char* kBoxesForm = "Write {\"PICTURE\": [{\"name\": \"cat\", \"bbox\": [x, y, width, height]}, …]}";

}  // namespace

NamedBoxes::NamedBoxes(const fs::path& file) : file_(file.string()), json_(std::make_shared<nlohmann::json>()) {
  const std::string text = read_text_file(file);
  try {
    *json_ = nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw DataError(file_, fmt::format("is not JSON: {}", printable(json_reason(error.what()))), kBoxesForm);
  }
  if (const auto twice = json_->is_object() ? repeated_key(text) : std::nullopt) {
    throw DataError(file_, fmt::format("holds \"{}\" twice", printable(*twice)), "Give each picture one list");
  }
  if (!json_->is_object()) throw DataError(file_, "holds no object with a list of boxes for each picture", kBoxesForm);
}

void NamedBoxes::fail(const std::string& picture, std::string_view what) const {
  throw DataError(file_, fmt::format("the boxes of \"{}\" {}", printable(picture), what), kBoxesForm);
}

std::vector<NamedBox> NamedBoxes::of(const std::string& picture) const {
  const auto found = json_->find(picture);
  if (found == json_->end()) {
    throw DataError(file_, fmt::format("has no boxes of \"{}\", which the manifest names", printable(picture)),
                    "Give every picture a list, an empty one where nothing is in it");
  }
  if (!found->is_array()) fail(picture, "are not a list");
  std::vector<NamedBox> boxes;
  for (const auto& box : *found) {
    if (!box.is_object()) fail(picture, "hold something that is not an object");
    const auto name = box.find("name"), place = box.find("bbox");
    if (name == box.end() || !name->is_string() || is_blank(name->get_ref<const std::string&>())) {
      fail(picture, "hold one without a \"name\"");
    }
    const bool four = place != box.end() && place->is_array() && place->size() == 4 &&
                      std::ranges::all_of(*place, [](const nlohmann::json& n) {
                        return n.is_number() && std::isfinite(n.get<double>());
                      });
    if (!four) fail(picture, "hold one whose \"bbox\" is not [x, y, width, height]");
    boxes.push_back({name->get<std::string>(), (*place)[0].get<double>(), (*place)[1].get<double>(),
                     (*place)[2].get<double>(), (*place)[3].get<double>()});
    if (boxes.back().width <= 0 || boxes.back().height <= 0) fail(picture, "hold one without area");
  }
  return boxes;
}

BoxTags box_tags(std::span<const NamedBox> boxes, std::int64_t width, std::int64_t height,
                 const BoxTagOptions& options) {
  BoxTags tags;
  std::vector<std::pair<std::string, std::int64_t>> cells_of;
  const double wide = static_cast<double>(width) / static_cast<double>(options.side),
               high = static_cast<double>(height) / static_cast<double>(options.side);
  for (std::int64_t cell = 0; cell < options.side * options.side; ++cell) {
    const double x = static_cast<double>(cell % options.side) * wide,
                 y = static_cast<double>(cell / options.side) * high;
    double most = 0;
    std::string name;
    for (const NamedBox& box : boxes) {
      const double covered =
          shared_length(x, wide, box.x, box.width) * shared_length(y, high, box.y, box.height) / (wide * high);
      if (covered > most + 1e-9) {
        most = covered;
        name = box.name;
      }
    }
    if (most < options.share - 1e-9) name.clear();
    tags.regions.push_back(name);
    if (name.empty()) continue;
    const auto known = std::ranges::find(cells_of, name, &std::pair<std::string, std::int64_t>::first);
    if (known == cells_of.end()) {
      cells_of.emplace_back(name, 1);
    } else {
      ++known->second;
    }
  }
  std::ranges::stable_sort(cells_of, std::greater(), &std::pair<std::string, std::int64_t>::second);
  for (const auto& [name, cells] : cells_of) {
    if (static_cast<std::int64_t>(tags.best.size()) < options.num_tags) tags.best.push_back(name);
  }
  return tags;
}

BoxTagReport assign_box_tags(const fs::path& manifest, const fs::path& boxes, const fs::path& out,
                             const BoxTagOptions& options) {
  const NamedBoxes named(boxes);
  const ImagePaths paths(manifest, options.image_root, options.strip_parts);
  std::unordered_map<std::string, BoxTags> known;
  std::unordered_set<std::string> words;
  BoxTagReport report;
  Progress progress("tagging regions", "records", 0);
  const auto provenance = field_provenance(kRegionTagsField, options.num_tags);
  report.records = rewrite_with_concepts(manifest, out, provenance, [&](Json& record, std::int64_t number) {
    const auto where = [&] { return fmt::format("{}, record {}", manifest.string(), number); };
    const std::string picture = image_of(record, where);
    auto found = known.find(picture);
    if (found == known.end()) {
      const std::vector<NamedBox> list = named.of(picture);
      const std::string path = paths.path(picture, where);
      const std::string bytes = read_file(path);
      const Image image = decode_rgb({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, path);
      found = known.emplace(picture, box_tags(list, image.width, image.height, options)).first;
      ++report.images;
      for (const std::string& tag : found->second.regions) {
        ++report.regions;
        if (tag.empty()) continue;
        ++report.tagged_regions;
        words.insert(tag);
      }
    }
    Json tags = Json::array();
    for (const std::string& tag : found->second.regions) tags.push_back(tag.empty() ? Json() : Json(tag));
    record.erase("kword_scores");
    record["kwords"] = found->second.best;
    record[kRegionTagsField] = std::move(tags);
    progress.update(number + 1);
    return true;
  });
  report.words = static_cast<std::int64_t>(words.size());
  return report;
}

}  // namespace vicha

#include "tasks/grounding/candidates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"
#include "base/json_depth.h"
#include "base/printable.h"
#include "image/decode.h"

namespace vicha {
namespace {

constexpr const char *kGroundImage = "image", *kGroundImageId = "image_id", *kGroundText = "text", *kGroundBox = "bbox",
                     *kGroundBoxes = "boxes", *kGroundWidth = "width", *kGroundHeight = "height";
constexpr const char* kBoxesForm = R"(It is {"NAME OR ID OF THE PICTURE": [[x, y, width, height], ...], ...})";

PixelBox pixel_box(const FloatBox& box) { return {box.x, box.y, box.width, box.height}; }

std::string shown_box(const PixelBox& b) {
  return fmt::format("[{:g}, {:g}, {:g}, {:g}]", b.x, b.y, b.width, b.height);
}

std::unordered_map<std::string, std::vector<PixelBox>> read_boxes(const std::string& file) {
  const std::string text = read_text_file(file);
  const auto json = nests_deeper(text) ? nlohmann::json(nlohmann::json::value_t::discarded)
                                       : nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw DataError(file, "is not a JSON object of candidate boxes", kBoxesForm);
  std::unordered_map<std::string, std::vector<PixelBox>> boxes;
  for (const auto& [name, list] : json.items()) {
    const auto wrong = [&, &key = name](std::size_t number, std::string_view what) {
      return DataError(file, fmt::format("box {} of \"{}\" {}", number + 1, printable(key), what), kBoxesForm);
    };
    if (!list.is_array()) {
      throw DataError(file, fmt::format("\"{}\" has no list of boxes", printable(name)), kBoxesForm);
    }
    std::vector<PixelBox>& of_name = boxes[name];
    for (std::size_t i = 0; i < list.size(); ++i) {
      // Detectors put scores and classes behind the four.
      const auto& one = list[i];
      if (!one.is_array() || one.size() < 4) throw wrong(i, "has fewer than four numbers");
      double numbers[4];
      for (std::size_t n = 0; n < 4; ++n) {
        if (!one[n].is_number() || !std::isfinite(one[n].get<double>()))
          throw wrong(i, "holds something that is not a number");
        numbers[n] = one[n].get<double>();
      }
      const PixelBox box{numbers[0], numbers[1], numbers[2], numbers[3]};
      if (box.width <= 0 || box.height <= 0) throw wrong(i, "has no width or no height");
      of_name.push_back(box);
    }
  }
  return boxes;
}

}  // namespace

TextRule expression_rule() { return {.field = kGroundText, .cleaning = TextCleaning::kCaption}; }

Schema grounding_schema() {
  const auto optional = [](const char* field, ColumnType type) {
    return ColumnSpec{.field = field, .type = type, .required = false};
  };
  return {.caption = false,
          .columns = {{.field = kGroundText, .type = ColumnType::kText},
                      {.field = kGroundImage, .type = ColumnType::kText},
                      optional(kGroundImageId, ColumnType::kId),
                      optional("ref_id", ColumnType::kId),
                      optional(kGroundBox, ColumnType::kBox),
                      optional(kGroundBoxes, ColumnType::kBoxes),
                      optional(kGroundWidth, ColumnType::kLabel),
                      optional(kGroundHeight, ColumnType::kLabel),
                      optional("split", ColumnType::kText),
                      optional("type", ColumnType::kText)},
          .text = expression_rule()};
}

CandidateBoxes::CandidateBoxes(const Manifest& manifest, const std::string& file, const DataOptions& data,
                               bool need_right) {
  if (!file.empty()) of_name_ = read_boxes(file);
  const auto& right = manifest.column<BoxColumn>(kGroundBox);
  records_.resize(static_cast<std::size_t>(manifest.size()));
  for (std::int64_t record = 0; record < manifest.size(); ++record) {
    Candidates& own = records_[static_cast<std::size_t>(record)];
    own.size = size_of(manifest, record, data);
    if (right.has(record)) {
      own.right = pixel_box(right[record]);
      if (inside(*own.right, own.size).width <= 0 || inside(*own.right, own.size).height <= 0) {
        throw DataError(manifest.where(record),
                        fmt::format("field \"bbox\" {} lies outside of the picture, which has {} x {} pixels",
                                    shown_box(*own.right), own.size.width, own.size.height),
                        "Give [x, y, width, height] in the picture's own pixels");
      }
    } else if (need_right) {
      throw DataError(manifest.where(record), "has no field \"bbox\", the right box",
                      "Give [x, y, width, height] in the picture's own pixels, or leave the record out");
    }
    add(manifest, record, file);
  }
  of_name_.clear();
}

void CandidateBoxes::add(const Manifest& manifest, std::int64_t record, const std::string& file) {
  Candidates& own = records_[static_cast<std::size_t>(record)];
  if (file.empty()) {
    const auto& column = manifest.column<BoxesColumn>(kGroundBoxes);
    if (!column.has(record)) {
      throw DataError(manifest.where(record), "has no candidate boxes (field \"boxes\")",
                      "Name a file of boxes (--boxes FILE, in a recipe grounding.boxes), or add the field");
    }
    for (const FloatBox& box : column[record].boxes) own.boxes.push_back(pixel_box(box));
  } else {
    const std::string image(manifest.column<TextColumn>(kGroundImage)[record]);
    const auto& ids = manifest.column<IdColumn>(kGroundImageId);
    auto found = of_name_.find(image);
    if (found == of_name_.end() && ids.has(record)) found = of_name_.find(std::string(ids[record].text));
    if (found == of_name_.end()) found = of_name_.find(std::filesystem::path(image).filename().string());
    if (found == of_name_.end()) {
      throw DataError(
          file,
          fmt::format("has no boxes for \"{}\" ({}), neither by its name nor by an image_id", printable(image),
                      manifest.where(record)),
          "Name the file of boxes that belongs to the manifest, or add the picture (with [] if there are none)");
    }
    own.boxes = found->second;
  }
  bool any_inside = own.boxes.empty(), reached = false;
  for (const PixelBox& box : own.boxes) {
    const PixelBox part = inside(box, own.size);
    any_inside = any_inside || (part.width > 0 && part.height > 0);
    cut_ += sticks_out(box, own.size) ? 1 : 0;
    reached = reached || (own.right && overlap(box, *own.right, GroundingMetric::kExact) >= kRightOverlap);
  }
  if (!any_inside) {
    throw DataError(
        manifest.where(record),
        fmt::format("all candidate boxes lie outside of the picture, which has {} x {} pixels; the first is {}",
                    own.size.width, own.size.height, shown_box(own.boxes.front())),
        "Give boxes in the picture's own pixels");
  }
  empty_ += own.boxes.empty() ? 1 : 0;
  unreached_ += own.right && !reached ? 1 : 0;
  most_ = std::max(most_, static_cast<std::int64_t>(own.boxes.size()));
}

PictureSize CandidateBoxes::size_of(const Manifest& manifest, std::int64_t record, const DataOptions& data) {
  const auto &width = manifest.column<LabelColumn>(kGroundWidth), &height = manifest.column<LabelColumn>(kGroundHeight);
  if (width.has(record) && height.has(record)) {
    const PictureSize size{width[record], height[record]};
    if (size.width == 0 || size.height == 0) {
      throw DataError(manifest.where(record), "fields \"width\" and \"height\" say that the picture has no pixels",
                      "Give its size in pixels, or leave the fields out");
    }
    return size;
  }
  const auto [at, is_new] = size_of_image_.try_emplace(manifest.image_number(record));
  if (is_new) {
    const Image picture = load_rgb(std::filesystem::path(manifest.image_path(record)), data.decode_options());
    at->second = {picture.width, picture.height};
  }
  return at->second;
}

}  // namespace vicha

#include "data/tools/detections.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "data/manifest/byte_stream.h"
#include "data/tools/json_elements.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kForms =
    "Give {image id: [[x, y, width, height, ...]]}, or a list of {\"image_id\", \"bbox\", \"score\"} as COCO's "
    "detectors "
    "write it";

std::optional<std::int64_t> image_number(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_detection(const Json& box) {
  if (!box.is_array() || box.size() < 4) return false;
  for (std::size_t i = 0; i < 4; ++i) {
    if (!box[i].is_number()) return false;
  }
  return box[2].get<double>() > 0 && box[3].get<double>() > 0;
}

/// Boxes may reach over the edge by what rounding gives, but not lie beyond it.
bool touches(const Json& box, const CocoPicture& picture) {
  if (picture.width <= 0 || picture.height <= 0) return true;
  const double x = box[0].get<double>(), y = box[1].get<double>(), right = x + box[2].get<double>(),
               bottom = y + box[3].get<double>();
  return x < static_cast<double>(picture.width) && y < static_cast<double>(picture.height) && right > 0 && bottom > 0;
}

/// A detection as an object: its box, the score behind it.
Json box_of(const Json& detection) {
  Json box;
  for (const char* key : {"bbox", "box"}) {
    if (box.is_null() && detection.contains(key)) box = detection[key];
  }
  if (box.is_array() && box.size() == 4 && detection.contains("score")) box.push_back(detection["score"]);
  return box;
}

}  // namespace

Detections::Detections(ConvertSink& sink) : sink_(sink) {
  if (!sink.options().boxes.empty()) read();
}

void Detections::read() {
  const std::filesystem::path& file = sink_.options().boxes;
  const auto add_object = [&](const std::string& where, const Json& detection) {
    const auto id = detection.is_object() ? detection.find("image_id") : detection.end();
    if (!detection.is_object() || id == detection.end() || !id->is_number_integer()) {
      return sink_.lose(where, "has no image_id");
    }
    add(where, id->get<std::int64_t>(), box_of(detection));
  };
  int first = 0;
  {
    ByteStream stream(file);
    do first = stream.sbumpc();
    while (first == ' ' || first == '\n' || first == '\r' || first == '\t');
  }
  if (first == '[') {
    for_each_source_record(file, sink_, [&](const std::string& where, Json& one) { add_object(where, one); });
  } else if (first == '{') {
    for_each_element(file, [&](const std::string& top, const std::string&, std::int64_t number, Json& one) {
      const std::string where = fmt::format("{}, {} {}", file.string(), top, number);
      if (number < 0) return;
      if (top == "dets") return add_object(where, one);
      const std::optional<std::int64_t> id = image_number(top);
      if (!id) throw DataError(file.string(), fmt::format("has the key \"{}\", which is not an image id", top), kForms);
      add(where, *id, std::move(one));
    });
  } else {
    throw DataError(file.string(), "is not JSON", kForms);
  }
  if (boxes_.empty()) throw DataError(file.string(), "holds no boxes", kForms);
}

void Detections::add(const std::string& where, std::int64_t image, Json box) {
  if (!is_detection(box))
    return sink_.lose(where, "is not a box: [x, y, width, height, ...] with width and height above 0");
  boxes_.try_emplace(image, Json::array()).first->second.push_back(std::move(box));
}

Json Detections::of(std::int64_t image, const CocoPicture& picture, const std::string& name) {
  if (boxes_.empty()) return {};
  const bool first = seen_.insert(image).second;
  const auto found = boxes_.find(image);
  if (first) {
    if (found == boxes_.end()) {
      ++without_;
    } else {
      Json kept = Json::array();
      for (Json& box : found->second) {
        if (touches(box, picture)) {
          kept.push_back(std::move(box));
        } else {
          sink_.lose(sink_.options().boxes.string(),
                     fmt::format("the box {} of the picture {} lies outside of its {} x {} pixels", json_text(box),
                                 image, picture.width, picture.height));
        }
      }
      found->second = std::move(kept);
    }
  }
  const Json boxes = found == boxes_.end() ? Json::array() : found->second;
  if (!sink_.options().boxes_out.empty()) {
    if (first) by_name_.push_back({name, boxes});
    return {};
  }
  Json plain = Json::array();
  for (const Json& box : boxes) plain.push_back({box[0], box[1], box[2], box[3]});
  return plain;
}

void Detections::finish() {
  if (boxes_.empty()) return;
  if (without_ > 0) sink_.note(fmt::format("pictures without boxes: {}", without_));
  if (static_cast<std::int64_t>(seen_.size()) == without_ && without_ > 0) {
    throw DataError(sink_.options().boxes.string(), "has boxes of none of the pictures",
                    "Its keys must be the image ids of instances.json: is it of another set?");
  }
  const std::filesystem::path& out = sink_.options().boxes_out;
  if (out.empty()) return;
  write_file_atomic(out, [&](const auto& append) {
    append("{");
    for (std::size_t i = 0; i < by_name_.size(); ++i) {
      append(fmt::format("{}\n{}: {}", i == 0 ? "" : ",", json_text(by_name_[i][0]), json_text(by_name_[i][1])));
    }
    append("\n}\n");
  });
  sink_.note(fmt::format("boxes of {} pictures: {}", by_name_.size(), out.string()));
}

}  // namespace vicha

// RefCOCO, RefCOCO+ and RefCOCOg: expressions that mean one thing in a picture.
#include <fmt/format.h>

#include <array>
#include <optional>
#include <unordered_map>

#include "base/blank.h"
#include "base/error.h"
#include "base/files.h"
#include "checkpoint/pickle/pickle_reader.h"
#include "data/tools/convert_sink.h"
#include "data/tools/detections.h"
#include "data/tools/json_elements.h"
#include "data/tools/set_form.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::uint64_t kMostPickleBytes = std::uint64_t{1} << 30;
constexpr const char* kReferFilesRemedy =
    "Give the expressions, and the boxes as the second file: vicha data convert 'refs(unc).p' --with instances.json";

struct Instances {
  struct Box {
    std::int64_t image = 0;
    Json corners;  ///< [x, y, width, height]
  };
  std::unordered_map<std::int64_t, CocoPicture> pictures;
  std::unordered_map<std::int64_t, Box> boxes;
};

std::optional<std::int64_t> whole_number(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<std::int64_t>();
}

bool is_coco_box(const Json& box) {
  return box.is_array() && box.size() == 4 &&
         std::all_of(box.begin(), box.end(), [](const Json& number) { return number.is_number(); });
}

/// `images` and `annotations` in COCO's form; `see_image` gets every image. Boxes are kept by what `key_of` names.
Instances read_instances(const fs::path& file, ConvertSink& sink, const char* box_key,
                         const std::function<void(std::int64_t, std::int64_t, const Json&)>& see_image) {
  Instances instances;
  for_each_element(file, [&](const std::string& top, const std::string&, std::int64_t number, Json& one) {
    if (number < 0 || (top != "images" && top != "annotations")) return;
    const std::string where = fmt::format("{}, {} {}", file.string(), top, number);
    if (!one.is_object()) return sink.lose(where, "is not an object");
    if (top == "images") {
      const auto id = whole_number(one, "id");
      const std::string name = text_field(one, "file_name");
      if (!id || name.empty()) return sink.lose(where, "has no id, or no file_name");
      if (instances.pictures.contains(*id))
        return sink.lose(where, fmt::format("image {} stands there before it", *id));
      instances.pictures[*id] = {name, whole_number(one, "width").value_or(0), whole_number(one, "height").value_or(0)};
      if (see_image) see_image(number, *id, one);
      return;
    }
    const auto id = whole_number(one, box_key), image = whole_number(one, "image_id");
    if (!id || !image || !one.contains("bbox") || !is_coco_box(one["bbox"])) {
      return sink.lose(where, "has no id, no image_id, or no bbox of four numbers");
    }
    if (!instances.boxes.try_emplace(*id, Instances::Box{*image, one["bbox"]}).second) {
      sink.lose(where, fmt::format("{} {} has a box before it",
                                   box_key == std::string_view("id") ? "annotation" : "image", *id));
    }
  });
  for (const auto& [list, empty] :
       {std::pair{"images", instances.pictures.empty()}, {"annotations", instances.boxes.empty()}}) {
    if (!empty) continue;
    const auto& lost = sink.report().examples;
    throw DataError(file.string(),
                    lost.empty() ? fmt::format("has no list \"{}\"", list)
                                 : fmt::format("has nothing in its list \"{}\" that can be used. The first: {}", list,
                                               lost.front()),
                    kReferFilesRemedy);
  }
  return instances;
}

std::int64_t number_in(const PickleValue& ref, std::string_view key) {
  const PickleValue* value = ref.find(key);
  const std::int64_t* number = value == nullptr ? nullptr : value->get_if<std::int64_t>();
  return number == nullptr ? -1 : *number;
}

std::string text_in(const PickleValue& ref, std::string_view key) {
  const PickleValue* value = ref.find(key);
  const std::string* text = value == nullptr ? nullptr : value->get_if<std::string>();
  return text == nullptr ? "" : *text;
}

Json row_of(const std::string& image, const std::string& text, std::int64_t ref_id, const CocoPicture& picture,
            const Json& box) {
  Json row = {{"image", image}, {"text", text}, {"ref_id", ref_id}, {"bbox", box}};
  // Of a picture whose file does not tell them evaluation reads the picture itself.
  if (picture.width > 0 && picture.height > 0) {
    row["width"] = picture.width;
    row["height"] = picture.height;
  }
  return row;
}

/// A box that has an area and lies in the picture, or why not.
std::string fault_of(const Json& box, const CocoPicture& picture) {
  const double x = box[0].get<double>(), y = box[1].get<double>(), w = box[2].get<double>(), h = box[3].get<double>();
  if (w <= 0 || h <= 0) return fmt::format("its box {} has no area", box.dump());
  const bool outside = picture.width > 0 && (x + w <= 0 || y + h <= 0 || x >= static_cast<double>(picture.width) ||
                                             y >= static_cast<double>(picture.height));
  return outside ? fmt::format("its box {} lies outside of the picture's {} x {} pixels", box.dump(), picture.width,
                               picture.height)
                 : "";
}

/// Parts of a pickle may be one thing that stands in many places: a few bytes can mean any number of expressions. Set
/// against the file's size, which the published ones stay far below.
class WrittenOut {
 public:
  WrittenOut(std::uint64_t size, std::string file) : most_((16 << 20) + 16 * size), file_(std::move(file)) {}
  void add(const std::string& text) {
    written_ += text.size() + 64;
    if (written_ <= most_) return;
    throw DataError(file_, "repeats its parts so often that written out they are many times its size",
                    "Fetch the file again from where RefCOCO is published");
  }

 private:
  std::uint64_t written_ = 0, most_;
  std::string file_;
};

void add_expressions(const PickleValue& ref, const std::string& where, const Instances& instances,
                     Detections& detections, WrittenOut& written, ConvertSink& sink) {
  const std::int64_t ref_id = number_in(ref, "ref_id"), annotation = number_in(ref, "ann_id"),
                     image = number_in(ref, "image_id");
  const std::string split = text_in(ref, "split");
  if (ref_id < 0 || annotation < 0 || image < 0 || split.empty()) {
    return sink.lose(where, "lacks one of ref_id, ann_id, image_id and split");
  }
  if (!sink.takes(split)) return;
  const auto box = instances.boxes.find(annotation);
  const auto picture = instances.pictures.find(image);
  const std::string with = sink.options().with.string();
  if (box == instances.boxes.end()) {
    return sink.lose(where, fmt::format("its box, annotation {}, is not in {}", annotation, with));
  }
  if (picture == instances.pictures.end()) {
    return sink.lose(where, fmt::format("its picture {} is not in {}", image, with));
  }
  if (box->second.image != image) {
    return sink.lose(where, fmt::format("is about the picture {}, its box about {}", image, box->second.image));
  }
  if (const std::string fault = fault_of(box->second.corners, picture->second); !fault.empty()) {
    return sink.lose(where, fault);
  }
  const PickleValue* sentences = ref.find("sentences");
  if (sentences == nullptr || sentences->items().empty()) return sink.lose(where, "has no sentences");
  const std::string name = coco_picture(picture->second.name, sink.options());
  const Json boxes = detections.of(image, picture->second, sink.name_of(name));
  for (std::size_t i = 0; i < sentences->items().size(); ++i) {
    const PickleValue& sentence = sentences->items()[i];
    std::string text = text_in(sentence, "sent");
    if (text.empty()) text = text_in(sentence, "raw");
    const std::string place = fmt::format("{}, sentence {}", where, i);
    written.add(text);
    if (is_blank(text)) {
      sink.lose(place, "has no text");
      continue;
    }
    Json row = row_of(name, text, ref_id, picture->second, box->second.corners);
    row["split"] = split;
    if (!boxes.is_null()) row["boxes"] = boxes;
    sink.add_row(place, std::move(row));
  }
}

}  // namespace

std::string coco_picture(const std::string& file_name, const ConvertOptions& options) {
  constexpr std::string_view kStart = "COCO_";
  if (!options.folder.empty() || !file_name.starts_with(kStart)) return file_name;
  const std::size_t end = file_name.find('_', kStart.size());
  if (end == std::string::npos) return file_name;
  return file_name.substr(kStart.size(), end - kStart.size()) + "/" + file_name;
}

void convert_refer(const fs::path& in, ConvertSink& sink) {
  require_source(in, {SourceFile::kRefs}, kReferFilesRemedy);
  const fs::path& with = sink.options().with;
  if (with.empty()) throw DataError(in.string(), "holds expressions without their boxes", kReferFilesRemedy);
  require_source(with, {SourceFile::kInstances}, kReferFilesRemedy);
  PickleValue refs;
  std::uint64_t size = 0;
  {
    const std::string bytes = read_file(in, kMostPickleBytes);
    size = bytes.size();
    refs = read_pickle(bytes, {.where = in.string()});
  }
  const PickleSequence* list = refs.get_if<PickleSequence>();
  if (list == nullptr || list->items.empty() || list->items.front().find("sentences") == nullptr) {
    throw DataError(in.string(), "is a pickle, but no list of expressions",
                    "Give refs(unc).p, refs(umd).p or refs(google).p");
  }
  const Instances instances = read_instances(with, sink, "id", nullptr);
  Detections detections(sink);
  WrittenOut written(size, in.string());
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    add_expressions(list->items[i], fmt::format("{}, ref {}", in.string(), i), instances, detections, written, sink);
  }
  detections.finish();
}

void convert_mdetr(const fs::path& in, ConvertSink& sink) {
  require_source(in, {SourceFile::kMdetr}, "Give finetune_refcoco_train.json or another of MDETR's files");
  struct Expression {
    std::int64_t number, id, image;
    std::string text;
  };
  std::vector<Expression> expressions;
  const Instances instances =
      read_instances(in, sink, "image_id", [&](std::int64_t number, std::int64_t id, const Json& image) {
        expressions.push_back(
            {number, id, whole_number(image, "original_id").value_or(id), text_field(image, "caption")});
      });
  Detections detections(sink);
  for (const Expression& one : expressions) {
    const std::string where = fmt::format("{}, images {}", in.string(), one.number);
    const CocoPicture& picture = instances.pictures.at(one.id);
    const auto box = instances.boxes.find(one.id);
    if (is_blank(one.text)) {
      sink.lose(where, "has no caption");
    } else if (box == instances.boxes.end()) {
      sink.lose(where, "has no annotation with a box");
    } else if (const std::string fault = fault_of(box->second.corners, picture); !fault.empty()) {
      sink.lose(where, fault);
    } else {
      const std::string name = coco_picture(picture.name, sink.options());
      const Json boxes = detections.of(one.image, picture, sink.name_of(name));
      Json row = row_of(name, one.text, one.id, picture, box->second.corners);
      if (!boxes.is_null()) row["boxes"] = boxes;
      sink.add_row(where, std::move(row));
    }
  }
  detections.finish();
}

}  // namespace vicha

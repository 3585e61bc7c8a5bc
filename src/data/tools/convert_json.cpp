// JSON that is no manifest, made into one: COCO, Karpathy, objects of records, records with other names of fields.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"
#include "data/manifest/foreign_form.h"
#include "data/manifest/json_members.h"
#include "data/manifest/record_reader.h"
#include "data/tools/convert_sink.h"
#include "data/tools/json_elements.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

void convert_coco(const fs::path& in, ConvertSink& sink) {
  struct Picture {
    Json id;
    std::string name;
    std::int64_t number;
    std::vector<std::string> captions;
  };
  std::vector<Picture> pictures;
  std::unordered_map<std::string, std::size_t> place;  // of an id as JSON spells it: 1 and "1" differ
  std::map<std::string, std::vector<std::pair<std::int64_t, std::string>>> early;  // annotations before their picture
  const auto where = [&](std::string_view list, std::int64_t number) {
    return fmt::format("{}, {} {}", in.string(), list, number);
  };
  for_each_element(in, [&](const std::string& top, const std::string&, std::int64_t number, Json& element) {
    if (number < 0 || (top != "images" && top != "annotations")) return;
    if (!element.is_object()) return sink.lose(where(top, number), "is not an object");
    if (top == "images") {
      const auto id = element.find("id");
      const std::string name = text_field(element, "file_name");
      if (id == element.end() || !is_id(*id)) return sink.lose(where(top, number), "has no id");
      if (name.empty()) return sink.lose(where(top, number), "has no file_name");
      if (!place.emplace(id->dump(), pictures.size()).second) {
        return sink.lose(where(top, number), fmt::format("has the id {}, which an image before it has", id->dump()));
      }
      pictures.push_back({*id, name, number, {}});
      return;
    }
    const auto id = element.find("image_id");
    if (id == element.end() || !is_id(*id)) return sink.lose(where(top, number), "has no image_id");
    const auto caption = element.find("caption");
    if (caption == element.end() || !caption->is_string()) return sink.lose(where(top, number), "has no caption");
    early[id->dump()].emplace_back(number, caption->get<std::string>());
  });
  for (auto& [id, captions] : early) {
    const auto found = place.find(id);
    for (auto& [number, caption] : captions) {
      if (found == place.end()) {
        sink.lose(where("annotations", number), fmt::format("is of the image {}, which \"images\" does not have", id));
      } else {
        pictures[found->second].captions.push_back(std::move(caption));
      }
    }
  }
  for (const Picture& picture : pictures) {
    sink.add(where("images", picture.number), picture.name, picture.id, picture.captions, true, Json::object());
  }
}

void convert_karpathy(const fs::path& in, ConvertSink& sink) {
  for_each_element(in, [&](const std::string& top, const std::string&, std::int64_t number, Json& element) {
    if (number < 0 || top != "images") return;
    const std::string where = fmt::format("{}, images {}", in.string(), number);
    if (!element.is_object()) return sink.lose(where, "is not an object");
    if (!sink.takes(text_field(element, sink.options().split_field.c_str()))) return;
    const std::string name = text_field(element, "filename"), folder = text_field(element, "filepath");
    std::vector<std::string> captions;
    if (const auto sentences = element.find("sentences"); sentences != element.end() && sentences->is_array()) {
      for (const Json& sentence : *sentences) {
        if (sentence.is_string()) captions.push_back(sentence.get<std::string>());
        if (sentence.is_object()) captions.push_back(text_field(sentence, "raw"));
      }
    }
    Json id;
    for (const char* key : {"cocoid", "imgid"}) {
      if (id.is_null() && element.contains(key) && is_id(element[key])) id = element[key];
    }
    const bool under = !folder.empty() && sink.options().folder.empty() && !name.empty();
    sink.add(where, under ? folder + "/" + name : name, id, captions, true, Json::object());
  });
}

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  if (object.is_object()) {
    for (const auto& [key, value] : object.items()) keys.push_back(key);
  }
  return keys;
}

/// Columns become rows: {"image": {"0": "a.png"}, "caption": {"0": "x"}}, or lists in place of the inner objects.
void convert_columns(const fs::path& in, ConvertSink& sink) {
  std::vector<std::string> names, order;
  std::unordered_map<std::string, Json> rows;
  for_each_element(in, [&](const std::string& top, const std::string& sub, std::int64_t number, Json& element) {
    if (number < 0) return;
    if (names.empty() || names.back() != top) names.push_back(top);
    const std::string key = sub.empty() ? fmt::format("{}", number) : sub;
    const auto [row, added] = rows.try_emplace(key, Json::object());
    if (added) order.push_back(key);
    row->second[top] = std::move(element);
  });
  const ConvertFields fields = choose_fields(sink, in.string(), names);
  for (const std::string& key : order) add_object(sink, fmt::format("{}, row {}", in.string(), key), rows[key], fields);
}

void convert_object(const fs::path& in, ConvertSink& sink) {
  std::optional<ConvertFields> fields;
  std::string last_name;
  Json last_captions = Json::array();
  const auto flush = [&] {
    if (!last_captions.empty()) {
      Json record = {{"caption", last_captions}};
      add_object(sink, fmt::format("{}, key \"{}\"", in.string(), last_name), record, {"", "", "", {"caption"}},
                 last_name);
    }
    last_captions = Json::array();
  };
  for_each_element(in, [&](const std::string& top, const std::string& sub, std::int64_t number, Json& element) {
    if (is_picture_name(top)) {  // its captions, in whatever form
      if (top != last_name) flush();
      last_name = top;
      const bool caption = sub.empty() || sub == "caption" || sub == "captions" || sub == "raw" || sub == "text";
      if (caption && (element.is_string() || element.is_object() || element.is_array())) {
        last_captions.push_back(element);
      } else if (caption) {
        sink.lose(fmt::format("{}, key \"{}\"", in.string(), top), "is not a caption");
      }
      return;
    }
    if (number < 0) return;
    if (sub.empty() && element.is_object()) {  // an element of a list
      const std::string where = fmt::format("{}, {} {}", in.string(), top, number);
      const bool in_split = element.contains(sink.options().split_field);
      if (!sink.options().splits.empty() && !in_split && !sink.takes(top)) return;  // {"train": […], "test": […]}
      if (!fields) fields = choose_fields(sink, where, keys_of(element));
      add_object(sink, where, element, *fields);
    }
  });
  flush();
}

/// {"1": {"image": …, "caption": …}}: the values of the object are the records.
void convert_by_key(const fs::path& in, ConvertSink& sink) {
  std::optional<ConvertFields> fields;
  std::string key;
  Json record = Json::object();
  const auto flush = [&] {
    if (record.empty()) return;
    const std::string where = fmt::format("{}, key \"{}\"", in.string(), key);
    if (!fields) fields = choose_fields(sink, where, keys_of(record), is_picture_name(key));
    if (fields->id.empty() && !is_picture_name(key)) record["image_id"] = key;
    ConvertFields named = *fields;
    if (named.id.empty()) named.id = "image_id";
    add_object(sink, where, record, named, is_picture_name(key) ? key : "");
    record = Json::object();
  };
  for_each_element(in, [&](const std::string& top, const std::string& sub, std::int64_t number, Json& element) {
    if (number < 0 || sub.empty()) return sink.lose(fmt::format("{}, key \"{}\"", in.string(), top), "is not a record");
    if (top != key) flush();
    key = top;
    record[sub] = std::move(element);
  });
  flush();
}

}  // namespace

void convert_object_file(const fs::path& in, SetForm form, ConvertSink& sink) {
  if (form == SetForm::kCoco) return convert_coco(in, sink);
  if (form == SetForm::kKarpathy) return convert_karpathy(in, sink);
  const std::string text = read_text_file(in, kMostJsonBytes);
  // Fields that nobody reads go along as values.
  if (const std::string_view number = number_not_kept(text); !number.empty()) {
    throw DataError(fmt::format("{} (line {})", in.string(), 1 + std::count(text.data(), number.data(), '\n')),
                    fmt::format("the number {} would be changed: it has no room in 64 bits", number),
                    "Write it as a string, in quotation marks, or take the field out");
  }
  const std::size_t begin = text.find('{');
  const ObjectForm kind =
      begin == std::string::npos ? ObjectForm::kNone : object_form(std::string_view(text).substr(begin), true);
  if (kind == ObjectForm::kColumns) return convert_columns(in, sink);
  if (kind == ObjectForm::kRecordsByKey) return convert_by_key(in, sink);
  convert_object(in, sink);
}

void for_each_source_record(const std::filesystem::path& in, ConvertSink& sink,
                            const std::function<void(const std::string& where, Json& record)>& see) {
  for_each_source_text(in, sink, [&](const std::string& where, Json& record, std::string_view) { see(where, record); });
}

void for_each_source_text(
    const std::filesystem::path& in, ConvertSink& sink,
    const std::function<void(const std::string& where, Json& record, std::string_view text)>& see) {
  RecordReader reader(in, [&](const ManifestProblem& problem) {
    if (problem.ends_file) problem.raise();
    sink.next_row();
    sink.lose(problem.where, problem.what);
  });
  RecordText text;
  while (reader.next(text)) {
    Json record;
    try {
      record = reader.parse(text);
    } catch (const DataError& error) {
      sink.next_row();
      // What says the place itself, and may say another line of the record.
      const std::string place = reader.where() + ": ", why = error.what();
      sink.lose(reader.where(), why.starts_with(place) ? why.substr(place.size()) : why);
      continue;
    }
    see(reader.where(), record, text.json);
  }
}

void convert_record_file(const std::filesystem::path& in, ConvertSink& sink) {
  std::optional<ConvertFields> fields;
  for_each_source_text(in, sink, [&](const std::string& where, Json& record, std::string_view text) {
    if (!fields) fields = choose_fields(sink, where, keys_of(record));
    add_object(sink, where, record, *fields, "", text);
  });
}

}  // namespace vicha

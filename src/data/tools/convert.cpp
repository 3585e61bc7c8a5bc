#include "data/tools/convert.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/json_text.h"
#include "data/manifest/byte_stream.h"
#include "data/manifest/foreign_form.h"
#include "data/manifest/image_names.h"
#include "data/manifest/json_kind.h"
#include "data/tools/convert_sink.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::size_t kShownLost = 5;

constexpr std::array<std::string_view, 14> kImageNames = {
    "image",    "file_name", "filepath", "filename", "image_path", "img_path",        "image_file",
    "img_file", "file",      "path",     "img",      "image_name", "image_file_name", "Image"};
constexpr std::array<std::string_view, 12> kCaptionNames = {"caption",  "captions",    "text",    "title",
                                                            "sentence", "sentences",   "raw",     "TEXT",
                                                            "comment",  "description", "Caption", "alt"};

template <std::size_t N>
std::string first_of(const std::array<std::string_view, N>& names, const std::vector<std::string>& there) {
  for (const std::string_view name : names) {
    if (std::find(there.begin(), there.end(), name) != there.end()) return std::string(name);
  }
  return "";
}

void require_there(const std::string& where, const std::string& field, const std::vector<std::string>& there) {
  if (std::find(there.begin(), there.end(), field) != there.end()) return;
  throw DataError(where, fmt::format("has no field \"{}\"", field), fmt::format("It has: {}", fmt::join(there, ", ")));
}

/// Strings of a value: itself, those of a list, or `raw`, `caption` or `text` of a list's objects. False if it is none
/// of these.
bool texts_of(const Json& value, std::vector<std::string>& texts) {
  if (value.is_string()) {
    texts.push_back(value.get<std::string>());
    return true;
  }
  if (value.is_object()) {
    for (const char* key : {"raw", "caption", "text", "sentence"}) {
      if (value.contains(key)) return texts_of(value[key], texts);
    }
    return false;
  }
  return value.is_array() &&
         std::all_of(value.begin(), value.end(), [&](const Json& one) { return texts_of(one, texts); });
}

SetForm form_of(const fs::path& in) {
  ByteStream stream(in);
  std::string head(stream.ahead());
  if (head.starts_with("\xEF\xBB\xBF")) head.erase(0, 3);
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) throw DataError(in.string(), "is empty");
  if (head[first] == '[') return SetForm::kRecords;
  if (head[first] == '{') {
    std::string text;
    while (!stream.at_end() && text.size() < kMostSketched) {
      const std::string_view more = stream.ahead();
      text.append(more);
      stream.skip(more.size());
    }
    const bool whole = stream.at_end();
    switch (object_form(std::string_view(text).substr(text.find('{')), whole)) {
      case ObjectForm::kNone:
        return SetForm::kRecords;
      case ObjectForm::kCoco:
        return SetForm::kCoco;
      case ObjectForm::kKarpathy:
        return SetForm::kKarpathy;
      case ObjectForm::kCocoOther:
        break;  // said below
      default:
        return SetForm::kObject;
    }
  }
  const std::string_view line = std::string_view(head).substr(first, head.find_first_of("\r\n", first) - first);
  const std::optional<ForeignForm> other = foreign_form(in, head);
  if (other && other->what.find("table") == std::string::npos) throw DataError(in.string(), other->what, other->remedy);
  if (!other) {
    throw DataError(in.string(), "is in no form that is known",
                    "Known are JSON (COCO, Karpathy, lists, lines, objects), CSV and TSV; --form says which");
  }
  return line.find('\t') != std::string_view::npos ? SetForm::kTsv : SetForm::kCsv;
}

}  // namespace

ConvertSink::ConvertSink(const fs::path& in, const fs::path& out, const ConvertOptions& options)
    : in_(in), out_(out), options_(options), writer_(out) {
  report_.lost_file = fs::path(out).concat(".lost.jsonl");
}

bool ConvertSink::takes(const std::string& split) {
  const auto known =
      std::find_if(report_.splits.begin(), report_.splits.end(), [&](const auto& one) { return one.first == split; });
  if (known == report_.splits.end()) {
    report_.splits.emplace_back(split, 1);
  } else {
    ++known->second;
  }
  if (options_.splits.empty()) return true;
  const bool taken = std::find(options_.splits.begin(), options_.splits.end(), split) != options_.splits.end();
  if (!taken) ++report_.other_splits;
  return taken;
}

void ConvertSink::add(const std::string& where, const std::string& image, const Json& id,
                      const std::vector<std::string>& captions, bool as_list, const Json& more) {
  std::vector<std::string> kept;
  for (const std::string& caption : captions) {
    if (caption.find_first_not_of(" \t\r\n") != std::string::npos) kept.push_back(caption);
  }
  if (image.empty()) return lose(where, "has no name of a picture");
  if (kept.empty()) return lose(where, "has no caption");
  const std::string name = options_.folder.empty() ? image : (fs::path(options_.folder) / image).string();
  if (const std::optional<NameFault> fault = foreign_name(image, out_.parent_path() / name)) {
    return lose(where, fmt::format("the picture's name {}. {}", fault->what, fault->remedy));
  }
  Json record = {{"image", name}};
  if (!id.is_null()) record["image_id"] = id;
  if (kept.size() == 1 && !as_list) {
    record["caption"] = kept.front();
  } else {
    record["caption"] = kept;
  }
  for (const auto& [key, value] : more.items()) {
    if (!record.contains(key)) record[key] = value;
  }
  try {
    writer_.add(record);
  } catch (const Json::exception&) {
    return lose(where, "holds text that is not UTF-8");
  }
  ++report_.records;
  report_.captions += static_cast<std::int64_t>(kept.size());
}

void ConvertSink::lose(const std::string& where, const std::string& why) {
  if (report_.examples.size() < kShownLost) report_.examples.push_back(fmt::format("{}: {}", where, why));
  ++report_.lost;
  const Json line = {{"where", where}, {"why", why}};
  lost_lines_ += json_text(line) + "\n";
  if (lost_lines_.size() < (std::size_t{1} << 18)) return;
  if (!lost_) lost_ = std::make_unique<AtomicFile>(report_.lost_file);
  lost_->append(lost_lines_);
  lost_lines_.clear();
}

void ConvertSink::finish() {
  if (report_.records == 0) {
    if (report_.other_splits > 0) {
      std::vector<std::string> names;
      for (const auto& [name, count] : report_.splits) names.push_back(fmt::format("\"{}\" ({})", name, count));
      throw UsageError(fmt::format("{}: no picture is of the split {}; there are {}", in_.string(),
                                   fmt::join(options_.splits, ", "), fmt::join(names, ", ")));
    }
    throw DataError(in_.string(),
                    report_.lost == 0 ? "holds no pictures with captions"
                                      : fmt::format("none of its {} records can be used. The first: {}", report_.lost,
                                                    fmt::join(report_.examples, "; ")),
                    "--image, --caption and --form say where the pictures and the captions stand");
  }
  if (!lost_lines_.empty() || lost_) {
    if (!lost_) lost_ = std::make_unique<AtomicFile>(report_.lost_file);
    lost_->append(lost_lines_);
    lost_->commit();
  }
  writer_.finish();
}

ConvertFields choose_fields(ConvertSink& sink, const std::string& where, const std::vector<std::string>& there,
                            bool image_known) {
  const ConvertOptions& options = sink.options();
  ConvertFields fields{options.image, options.id, options.captions};
  if (fields.image.empty()) fields.image = first_of(kImageNames, there);
  if (fields.captions.empty()) {
    if (std::string name = first_of(kCaptionNames, there); !name.empty()) fields.captions.push_back(std::move(name));
  }
  if (fields.id.empty() && std::find(there.begin(), there.end(), "image_id") != there.end()) fields.id = "image_id";
  const auto unknown = [&](std::string_view what, std::string_view option) {
    throw DataError(where, fmt::format("has the fields {}; none is known to hold {}", fmt::join(there, ", "), what),
                    fmt::format("Name it: {} FIELD", option));
  };
  if (fields.image.empty() && !image_known) unknown("the picture's file", "--image");
  if (fields.captions.empty()) unknown("the caption", "--caption");
  if (!options.image.empty()) require_there(where, options.image, there);
  for (const std::string& caption : options.captions) require_there(where, caption, there);
  if (!options.id.empty()) require_there(where, options.id, there);
  if (!fields.image.empty()) sink.report().fields.push_back("image = " + fields.image);
  sink.report().fields.push_back(fmt::format("caption = {}", fmt::join(fields.captions, " + ")));
  if (!fields.id.empty()) sink.report().fields.push_back("image_id = " + fields.id);
  return fields;
}

void add_object(ConvertSink& sink, const std::string& where, const Json& record, const ConvertFields& fields,
                const std::string& key) {
  if (!record.is_object()) return sink.lose(where, "is no object");
  const std::string& split_field = sink.options().split_field;
  if (!sink.options().splits.empty() && record.contains(split_field) && record[split_field].is_string() &&
      !sink.takes(record[split_field].get<std::string>())) {
    return;
  }
  std::string image = key;
  if (!fields.image.empty() && record.contains(fields.image)) {
    if (!record[fields.image].is_string()) {
      return sink.lose(where, fmt::format("field \"{}\" is no string", fields.image));
    }
    image = record[fields.image].get<std::string>();
  }
  std::vector<std::string> captions;
  bool list = fields.captions.size() > 1;
  for (const std::string& field : fields.captions) {
    if (!record.contains(field) || record[field].is_null()) continue;
    list = list || record[field].is_array();
    if (!texts_of(record[field], captions)) {
      return sink.lose(where, fmt::format("field \"{}\" is neither a string nor a list of strings", field));
    }
  }
  Json id;
  if (!fields.id.empty() && record.contains(fields.id)) id = record[fields.id];
  if (!id.is_null() && !id.is_string() && !id.is_number_integer()) {
    return sink.lose(where, fmt::format("field \"{}\" is {}, not a string or an integer", fields.id, json_kind(id)));
  }
  Json more = record;
  for (const std::string& field : fields.captions) more.erase(field);
  if (!fields.image.empty()) more.erase(fields.image);
  if (!fields.id.empty()) more.erase(fields.id);
  for (const char* own : {"image", "caption", "image_id"}) more.erase(own);
  sink.add(where, image, id, captions, list, more);
}

ConvertReport convert_manifest(const fs::path& in, const fs::path& out, const ConvertOptions& options) {
  std::error_code none;
  if (fs::equivalent(in, out, none)) {
    throw UsageError(fmt::format("--out is what is read, {}; give the manifest another name", in.string()));
  }
  require_utf8(options.folder, "--folder");
  const SetForm form = options.form ? *options.form : form_of(in);
  ConvertSink sink(in, out, options);
  sink.report().form = form;
  switch (form) {
    case SetForm::kRecords:
      convert_record_file(in, sink);
      break;
    case SetForm::kCsv:
    case SetForm::kTsv:
      convert_table(in, form, sink);
      break;
    default:
      convert_object_file(in, form, sink);
  }
  sink.finish();
  return sink.report();
}

}  // namespace vicha

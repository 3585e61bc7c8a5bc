#include "data/tools/convert.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/json_text.h"
#include "data/manifest/json_kind.h"
#include "data/tools/convert_sink.h"
#include "data/tools/set_form.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 14> kImageNames = {
    "image",    "file_name", "filepath", "filename", "image_path", "img_path",        "image_file",
    "img_file", "file",      "path",     "img",      "image_name", "image_file_name", "Image"};
constexpr std::array<std::string_view, 12> kCaptionNames = {"caption",  "captions",    "text",    "title",
                                                            "sentence", "sentences",   "raw",     "TEXT",
                                                            "comment",  "description", "Caption", "alt"};

/// Of pictures' addresses.
constexpr std::array<std::string_view, 8> kLinkNames = {"url",      "URL",        "image_url", "image_urls",
                                                        "imageUrl", "image_link", "link",      "photo_url"};

constexpr const char* kNameRemedy =
    "Download them as archives and unpack these (img2dataset, then `vicha data from-tar`), or say how the files are "
    "called that were downloaded: --name '{file}' by the last part of the address, '{row:09}.jpg' by the record's "
    "number";

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

}  // namespace

ConvertFields choose_fields(ConvertSink& sink, const std::string& where, const std::vector<std::string>& there,
                            bool image_known) {
  const ConvertOptions& options = sink.options();
  ConvertFields fields{options.image, options.id, "", options.captions};
  if (!options.name.empty()) {
    fields.link = fields.image.empty() ? first_of(kLinkNames, there) : std::move(fields.image);
    fields.image.clear();
    if (fields.link.empty()) {
      throw DataError(
          where,
          fmt::format(
              "has the fields {}; none is known to hold the picture's address, of which --name makes its file's name",
              fmt::join(there, ", ")),
          "Name it: --image FIELD");
    }
  } else if (fields.image.empty()) {
    fields.image = first_of(kImageNames, there);
  }
  if (fields.captions.empty()) {
    if (std::string name = first_of(kCaptionNames, there); !name.empty()) fields.captions.push_back(std::move(name));
  }
  if (fields.id.empty() && std::find(there.begin(), there.end(), "image_id") != there.end()) fields.id = "image_id";
  const auto unknown = [&](std::string_view what, std::string_view option) {
    throw DataError(where, fmt::format("has the fields {}; none is known to hold {}", fmt::join(there, ", "), what),
                    fmt::format("Name it: {} FIELD", option));
  };
  if (fields.image.empty() && fields.link.empty() && !image_known) {
    if (const std::string link = first_of(kLinkNames, there); !link.empty()) {
      throw DataError(where, fmt::format("has addresses of pictures ({}) and no names of files", link), kNameRemedy);
    }
    unknown("the picture's file", "--image");
  }
  if (fields.captions.empty()) unknown("the caption", "--caption");
  if (!options.image.empty()) require_there(where, options.image, there);
  for (const std::string& caption : options.captions) require_there(where, caption, there);
  if (!options.id.empty()) require_there(where, options.id, there);
  if (!fields.image.empty()) sink.report().fields.push_back("image = " + fields.image);
  if (!fields.link.empty()) {
    sink.report().fields.push_back(fmt::format("image = {}, called {}", fields.link, options.name));
  }
  sink.report().fields.push_back(fmt::format("caption = {}", fmt::join(fields.captions, " + ")));
  if (!fields.id.empty()) sink.report().fields.push_back("image_id = " + fields.id);
  return fields;
}

void add_object(ConvertSink& sink, const std::string& where, const Json& record, const ConvertFields& fields,
                const std::string& key, std::string_view text) {
  const std::int64_t row = sink.next_row();
  if (!record.is_object()) return sink.lose(where, "is not an object");
  const std::string& split_field = sink.options().split_field;
  if (!sink.options().splits.empty() && record.contains(split_field) && record[split_field].is_string() &&
      !sink.takes(record[split_field].get<std::string>())) {
    return;
  }
  std::string image = key;
  if (!fields.image.empty() && record.contains(fields.image)) {
    if (!record[fields.image].is_string()) {
      return sink.lose(where, fmt::format("field \"{}\" is not a string", fields.image));
    }
    image = record[fields.image].get<std::string>();
  }
  if (!fields.link.empty()) {
    const std::string link = text_field(record, fields.link.c_str());
    if (link.empty()) return sink.lose(where, fmt::format("field \"{}\" holds no address", fields.link));
    const std::optional<std::string> name = sink.name_of_link(where, link, row);
    if (!name) return;
    image = *name;
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
  sink.add(where, image, id, captions, list, more, text);
}

namespace {

bool is_any(SetForm form, std::initializer_list<SetForm> forms) {
  return std::find(forms.begin(), forms.end(), form) != forms.end();
}

/// Throws UsageError for options that the form has no use for.
void require_fitting(SetForm form, const ConvertOptions& options) {
  using enum SetForm;
  const auto refuse = [&](std::string_view option, std::string_view what) {
    throw UsageError(fmt::format("{} is {}; this is read as {} (--form says otherwise)", option, what,
                                 name_of(kSetFormNames, form)));
  };
  if (!options.with.empty() && !is_any(form, {kSbu, kGenomeRegions, kGenomeQuestions, kVqa, kRefer})) {
    refuse("--with", "the second file of a set of two (vqa, refer, vg-regions, vg-qa, sbu)");
  }
  if (!options.name.empty() && !is_any(form, {kRecords, kObject, kCsv, kTsv, kLinks, kSbu})) {
    refuse("--name", "for pictures of which there are addresses alone (links, sbu, csv, tsv, records, object)");
  }
  const bool free = is_any(form, {kRecords, kObject, kCsv, kTsv});  // whose fields may have any names
  const std::pair<const char*, bool> fields[] = {
      {"--image", !options.image.empty()}, {"--caption", !options.captions.empty()}, {"--id", !options.id.empty()}};
  for (const auto& [option, given] : fields) {
    if (given && !free) refuse(option, "for sets whose fields may have any names (csv, tsv, records, object)");
  }
  if ((options.delimiter != ConvertOptions().delimiter || options.quotes != ConvertOptions().quotes) &&
      !is_any(form, {kCsv, kTsv, kLinks})) {
    refuse("--delimiter or --no-quotes", "for tables (csv, tsv, links)");
  }
  if (!options.boxes.empty() && !is_any(form, {kRefer, kMdetr})) refuse("--boxes", "for refer and mdetr");
  if (!options.boxes_out.empty() && options.boxes.empty()) throw UsageError("--boxes-out needs --boxes");
  if (!options.splits.empty() &&
      is_any(form, {kFlickr, kPairs, kSbu, kLinks, kGenomeRegions, kGenomeQuestions, kSnliVe, kMdetr})) {
    refuse("--split", "for sets that hold their splits in one file");
  }
}

}  // namespace

ConvertReport convert_manifest(const fs::path& in, const fs::path& out, const ConvertOptions& options) {
  std::error_code none;
  if (fs::equivalent(in, out, none)) {
    throw UsageError(fmt::format("--out is what is read, {}; give the manifest another name", in.string()));
  }
  require_utf8(options.folder, "--folder");
  // Captions of SBU given first look like any text; what goes with them does not.
  const bool addresses = !options.with.empty() && source_file(options.with) == SourceFile::kAddresses;
  const SetForm form = options.form ? *options.form : addresses ? SetForm::kSbu : set_form_of(in);
  require_fitting(form, options);
  ConvertSink sink(in, out, options);
  sink.report().form = form;
  switch (form) {
    case SetForm::kRecords:
      convert_record_file(in, sink);
      break;
    case SetForm::kCsv:
    case SetForm::kTsv:
    case SetForm::kLinks:
      convert_table(in, form, sink);
      break;
    case SetForm::kFlickr:
      convert_flickr(in, sink);
      break;
    case SetForm::kPairs:
      convert_pairs(in, sink);
      break;
    case SetForm::kSbu:
      convert_sbu(in, sink);
      break;
    case SetForm::kGenomeRegions:
    case SetForm::kGenomeQuestions:
      convert_genome(in, form, sink);
      break;
    case SetForm::kVqa:
      convert_vqa(in, sink);
      break;
    case SetForm::kNlvr2:
      convert_nlvr2(in, sink);
      break;
    case SetForm::kSnliVe:
      convert_snli_ve(in, sink);
      break;
    case SetForm::kRefer:
      convert_refer(in, sink);
      break;
    case SetForm::kMdetr:
      convert_mdetr(in, sink);
      break;
    case SetForm::kCoco:
    case SetForm::kKarpathy:
    case SetForm::kObject:
      convert_object_file(in, form, sink);
  }
  sink.finish();
  return sink.report();
}

}  // namespace vicha

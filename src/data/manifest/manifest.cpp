#include "data/manifest/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "base/error.h"
#include "data/manifest/not_numbers.h"
#include "text/cleaning/caption.h"

namespace vicha {

namespace fs = std::filesystem;

namespace {

bool is_left_out(const nlohmann::json& record, const Schema& schema) {
  return std::ranges::any_of(schema.columns, [&](const ColumnSpec& spec) {
    if (spec.left_out.empty()) return false;
    const auto value = record.find(spec.field);
    return value != record.end() && value->is_string() &&
           std::ranges::find(spec.left_out, value->get_ref<const std::string&>()) != spec.left_out.end();
  });
}

/// Every record has a label that leaves it out.
ManifestProblem nothing_left(const std::vector<fs::path>& files, const Schema& schema, std::int64_t records) {
  std::string names, labels, field;
  for (const fs::path& file : files) names += (names.empty() ? "" : ", ") + file.string();
  for (const ColumnSpec& spec : schema.columns) {
    for (const std::string& label : spec.left_out) {
      field = spec.field;
      labels += (labels.empty() ? "\"" : " or \"") + label + "\"";
    }
  }
  return {names, 0, field,
          fmt::format("all {} records have the label {}, so none can be learnt from or judged", records, labels),
          fmt::format("Give records whose field \"{}\" names a class; `vicha predict` answers without", field)};
}

/// A text of which cleaning leaves nothing says nothing, and a model would answer it all the same.
std::optional<ColumnFault> without_words(const nlohmann::json& record, const std::string& field) {
  const auto text = record.find(field);
  if (text == record.end() || has_words(text->get_ref<const std::string&>())) return std::nullopt;
  return ColumnFault{field,
                     fmt::format("field \"{}\" has no words: cleaning leaves nothing of {}", field, text->dump()),
                     "Correct the record or take it out"};
}

}  // namespace

Manifest Manifest::load(const std::vector<fs::path>& files, const ManifestOptions& options) {
  return load(files, options, [](const ManifestProblem& problem) { problem.raise(); });
}

Manifest Manifest::load(const std::vector<fs::path>& files, const ManifestOptions& options,
                        const ProblemHandler& on_problem) {
  if (files.empty()) throw DataError("data.manifests", "is empty", "Name at least one manifest");
  Manifest manifest;
  manifest.options_ = options;
  Schema& schema = manifest.options_.schema;
  for (ColumnSpec& spec : schema.columns) {
    if (spec.type == ColumnType::kImage && !schema.concepts) spec.beside.clear();
    manifest.columns_.push_back(make_column(spec));
    if (spec.type == ColumnType::kImage) {
      manifest.image_columns_.push_back(static_cast<const ImageColumn*>(manifest.columns_.back().get()));
    }
  }
  for (const fs::path& file : files) {
    manifest.files_.push_back({file, manifest.size()});
    const ImagePaths paths(file, options.image_root, options.strip_parts);
    ContentDigester digester;
    const bool has_columns = !schema.columns.empty();
    const auto add = [&](const ManifestRecord& record) {
      const std::optional<std::string> path = paths.find(record.image);
      if (!path) {
        const NameFault fault = paths.fault(record.image);
        on_problem({fmt::format("{}, record {}", file.string(), record.number), record.number, "image",
                    "field \"image\" " + fault.what, fault.remedy});
      }
      nlohmann::json json;
      if (has_columns) json = nlohmann::json::parse(record.json);
      if (has_columns && is_left_out(json, schema)) {
        ++manifest.left_out_;
        return;
      }
      if (has_columns && !manifest.read_columns(record, json, paths, on_problem)) return;
      if (!path) return;
      manifest.add(record, *path);
      digester.add(record, schema, has_columns ? &json : nullptr);
    };
    read_manifest(file, schema, add, on_problem);
    manifest.digests_.push_back(digester.finish(file.string()));
  }
  if (manifest.size() == 0 && manifest.left_out_ > 0) on_problem(nothing_left(files, schema, manifest.left_out_));
  manifest.finish_loading();
  return manifest;
}

void Manifest::finish_loading() {
  ids_ = StringPool();
  number_of_id_ = std::vector<std::uint32_t>();  // unlike {}, gives the memory back
  number_of_image_ = std::vector<std::uint32_t>();
  for (const auto& column : columns_) column->seal();
  images_.seal();
  concept_words_.seal();
  records_.shrink_to_fit();
}

bool Manifest::read_columns(const ManifestRecord& record, const nlohmann::json& json, const ImagePaths& paths,
                            const ProblemHandler& on_problem) {
  bool right = true;
  for (const auto& column : columns_) {
    const ColumnSpec& spec = column->spec();
    const auto no_number = std::find_if(record.not_numbers.begin(), record.not_numbers.end(), [&](const NaNField& one) {
      return one.field == spec.field || (!spec.beside.empty() && one.field == spec.beside);
    });
    std::optional<ColumnFault> fault;
    if (no_number == record.not_numbers.end()) {
      fault = column->read(json, paths);
      if (!fault && spec.field == schema().text.field) fault = without_words(json, spec.field);
    } else {
      fault = {no_number->field, fmt::format("field \"{}\" holds {}", no_number->field, no_number->word),
               kNotANumberRemedy};
    }
    if (!fault) continue;
    right = false;
    on_problem({fmt::format("{}, record {}", files_.back().path.string(), record.number), record.number, fault->field,
                fault->what, fault->remedy});
  }
  return right;
}

const Column& Manifest::find_column(std::string_view field, ColumnType type) const {
  for (const auto& column : columns_) {
    if (column->spec().field == field && column->spec().type == type) return *column;
  }
  throw std::logic_error(fmt::format("internal error: no column \"{}\" of the type asked for", field));
}

std::vector<std::int64_t> Manifest::image_numbers(std::int64_t record) const {
  std::vector<std::int64_t> numbers = {image_number(record)};
  for (const ImageColumn* column : image_columns_) {
    if (column->has(record)) numbers.push_back((*column)[record]);
  }
  return numbers;
}

void Manifest::add(const ManifestRecord& record, const std::string& path) {
  VICHA_ASSERT(record.number <= std::numeric_limits<std::uint32_t>::max());
  std::string strings;
  append_varint(strings, record.captions.size());
  for (const std::string& caption : record.captions) {
    append_varint(strings, caption.size());
    strings.append(caption);
  }
  append_varint(strings, record.concepts.size());
  for (const std::string& word : record.concepts) append_varint(strings, concept_words_.intern(word));

  const std::uint32_t image = images_.intern(path);
  const std::uint32_t id = image_id_of(record, image);
  records_.push_back({arena_.append(strings), record.offset, static_cast<std::uint32_t>(record.length), image, id,
                      static_cast<std::uint32_t>(record.number)});
  captions_ += static_cast<std::int64_t>(record.captions.size());
  for (const auto& column : columns_) column->keep(images_);
}

std::uint32_t Manifest::image_id_of(const ManifestRecord& record, std::uint32_t image) {
  constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  const bool named = !record.image_id.empty();
  const std::uint32_t place = named ? ids_.intern(fmt::format("{} {}", files_.size(), record.image_id)) : image;
  std::vector<std::uint32_t>& numbers = named ? number_of_id_ : number_of_image_;
  if (place >= numbers.size()) numbers.resize(place + 1, kNone);
  if (numbers[place] == kNone) numbers[place] = static_cast<std::uint32_t>(image_id_count_++);
  return numbers[place];
}

std::int64_t Manifest::caption_count(std::int64_t record) const {
  const char* from = arena_.at(at(record).strings);
  return static_cast<std::int64_t>(take_varint(from));
}

std::string_view Manifest::caption(std::int64_t record, std::int64_t which) const {
  const char* from = arena_.at(at(record).strings);
  const auto count = static_cast<std::int64_t>(take_varint(from));
  VICHA_ASSERT(which >= 0 && which < count);
  for (; which > 0; --which) {
    const std::uint64_t length = take_varint(from);
    from += length;
  }
  const std::uint64_t length = take_varint(from);
  return {from, length};
}

std::vector<std::string_view> Manifest::captions(std::int64_t record) const {
  const char* from = arena_.at(at(record).strings);
  std::vector<std::string_view> captions(take_varint(from));
  for (std::string_view& caption : captions) {
    const std::uint64_t length = take_varint(from);
    caption = {from, length};
    from += length;
  }
  return captions;
}

std::vector<std::string_view> Manifest::concepts(std::int64_t record) const {
  const char* from = arena_.at(at(record).strings);
  for (std::uint64_t skip = take_varint(from); skip > 0; --skip) {
    const std::uint64_t length = take_varint(from);
    from += length;
  }
  std::vector<std::string_view> words(take_varint(from));
  for (std::string_view& word : words) word = concept_words_[static_cast<std::uint32_t>(take_varint(from))];
  return words;
}

std::string Manifest::json(std::int64_t record) const {
  const fs::path& path = file(record);
  std::ifstream in(path, std::ios::binary);
  std::string text(at(record).file_length, '\0');
  in.seekg(static_cast<std::streamoff>(at(record).file_offset));
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!in || text.front() != '{' || text.back() != '}') {
    throw DataError(where(record), "is no longer where it was: the file has changed since it was loaded",
                    "Start again");
  }
  return text;
}

std::string Manifest::where(std::int64_t record) const {
  return fmt::format("{}, record {}", file(record).string(), at(record).number);
}

const Manifest::Source& Manifest::source_of(std::int64_t record) const {
  VICHA_ASSERT(record >= 0 && record < size());
  const auto after = std::upper_bound(files_.begin(), files_.end(), record,
                                      [](std::int64_t r, const Source& source) { return r < source.first; });
  return *(after - 1);
}

}  // namespace vicha

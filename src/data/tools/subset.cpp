#include "data/tools/subset.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/printable.h"
#include "base/random.h"
#include "data/manifest/json_kind.h"
#include "data/manifest/json_members.h"
#include "data/manifest/moved_names.h"
#include "data/manifest/not_numbers.h"
#include "data/manifest/record_fields.h"
#include "data/manifest/record_reader.h"
#include "data/manifest/rewrite.h"

namespace vicha {
namespace {

std::int64_t count_records(const fs::path& file) {
  RecordReader reader(file);
  RecordText text;
  std::int64_t records = 0;
  while (reader.next(text)) ++records;
  return records;
}

/// "coco" of each file; where two have one name, the later gets a number: "coco-2".
std::vector<std::string> names_of(const std::vector<fs::path>& files) {
  std::vector<std::string> names;
  for (const fs::path& file : files) {
    const std::string stem = printable(file.stem().string());  // part of ids, which are UTF-8
    std::string name = stem;
    for (int i = 2; std::find(names.begin(), names.end(), name) != names.end(); ++i)
      name = fmt::format("{}-{}", stem, i);
    names.push_back(name);
  }
  return names;
}

/// Every name of a picture, as it is from another folder.
void move_pictures(nlohmann::ordered_json& record, const fs::path& folder, const fs::path& target,
                   const RecordReader& reader) {
  const std::vector<NamedPicture> pictures = pictures_of(record, [&] { return reader.where(); });
  for (std::size_t p = 0; p < pictures.size(); ++p) {
    rename_picture(record, p, moved_name(pictures[p].image, folder, target));
  }
  const auto list = record.find("images");
  if (!record.contains("image") || list == record.end() || !list->is_array()) return;
  for (auto& name : *list) {  // beside `image`
    if (name.is_string()) name = moved_name(name.get<std::string>(), folder, target);
  }
}

/// The ids of one manifest.
class JoinedIds {
 public:
  /// Throws DataError where a reader of the manifest would.
  void require_right(const nlohmann::ordered_json& id, const RecordText& text, const RecordReader& reader) const {
    if (id.is_string() || id.is_number_integer()) return;
    std::string_view what = json_kind(id);
    for (const JsonMember& one : json_members(text.json)) {
      if (one.key == "image_id" && is_not_a_number(one.value)) what = one.value;
    }
    const bool large = what == kLargeInteger, nothing = is_not_a_number(what);
    throw DataError(reader.where(), fmt::format("field \"image_id\" is {}, not a string or an integer", what),
                    large     ? "Write it as a string, in quotation marks"
                    : nothing ? kNotANumberRemedy
                              : "Correct the record or take it out");
  }

  /// Behind the manifest's name 1 and "1" would be one id. Throws DataError where the manifest has both kinds.
  std::string spelled(const nlohmann::ordered_json& id, const RecordReader& reader) {
    std::string text = id.is_string() ? id.get<std::string>() : id.dump();
    const std::size_t first = text.starts_with('-') ? 1 : 0;
    const bool digits = text.size() > first && text.find_first_not_of("0123456789", first) == std::string::npos;
    if (!digits) return text;
    std::string& same = id.is_string() ? string_ : number_;
    const std::string& other = id.is_string() ? number_ : string_;
    if (same.empty()) same = reader.where();
    if (!other.empty()) {
      throw DataError(reader.where(),
                      fmt::format("field \"image_id\" is {}, and in {} it is {}: with the manifest's name in front, 1 "
                                  "and \"1\", which are two pictures, would become one",
                                  id.is_string() ? "a string of digits" : "an integer", other,
                                  id.is_string() ? "an integer" : "a string of digits"),
                      "Write all ids of the manifest as strings, or leave them as they are: --keep-ids");
    }
    return text;
  }

 private:
  std::string number_, string_;  // where the first of the kind stands
};

}  // namespace

SubsetReport take_subset(const fs::path& in, const fs::path& out, const SubsetOptions& options) {
  if (options.count.has_value() == options.share.has_value()) {
    throw UsageError("How many records? Give either a count or a share");
  }
  if (options.count && *options.count < 1) throw UsageError("A subset has at least one record");
  SubsetReport report;
  report.records = count_records(in);
  std::int64_t wanted =
      options.share ? options.share->at_least_one_of(report.records) : std::min(*options.count, report.records);
  RecordReader reader(in);
  ManifestWriter writer(out, out_in_lines(in, out, reader.lines()));
  RecordText text;
  Rng rng(options.seed);
  // Each record stays with the probability (wanted still) / (left): all subsets of that size are equally likely.
  for (std::int64_t left = report.records; wanted > 0 && reader.next(text); --left) {
    if (options.random && rng.below(static_cast<std::uint64_t>(left)) >= static_cast<std::uint64_t>(wanted)) continue;
    [[maybe_unused]] const nlohmann::ordered_json right = reader.parse(text);  // throws where it is not
    add_record(writer, text);
    --wanted;
  }
  report.kept = writer.size();
  writer.finish();
  return report;
}

std::int64_t join_manifests(const std::vector<fs::path>& files, const fs::path& out, const JoinOptions& options) {
  if (files.empty()) throw UsageError("Name the manifests to join");
  const fs::path target = fs::absolute(out).lexically_normal().parent_path();
  const std::vector<std::string> names = names_of(files);
  for (const fs::path& file : files) {  // names of pictures will begin so
    require_utf8(fs::absolute(file).lexically_normal().parent_path().lexically_relative(target).string(),
                 file.string());
  }
  ManifestWriter writer(out);
  for (std::size_t i = 0; i < files.size(); ++i) {
    const fs::path folder = fs::absolute(files[i]).lexically_normal().parent_path();
    RecordReader reader(files[i]);
    RecordText text;
    JoinedIds ids;
    while (reader.next(text)) {
      const nlohmann::ordered_json before = reader.parse(text);
      nlohmann::ordered_json record = before;
      move_pictures(record, folder, target, reader);
      if (const auto id = record.find("image_id"); id != record.end()) {
        ids.require_right(*id, text, reader);
        if (files.size() > 1 && !options.keep_ids) *id = names[i] + "/" + ids.spelled(*id, reader);
      }
      if (record == before) {
        add_record(writer, text);
      } else {
        add_changed(writer, text.json, record);
      }
    }
  }
  writer.finish();
  return writer.size();
}

}  // namespace vicha

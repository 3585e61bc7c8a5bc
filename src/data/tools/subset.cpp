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
    add_record(writer, text, reader.parse(text));
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
    while (reader.next(text)) {
      nlohmann::ordered_json record = reader.parse(text);
      bool changed = false;
      const std::vector<NamedPicture> pictures = pictures_of(record, [&] { return reader.where(); });
      for (std::size_t p = 0; p < pictures.size(); ++p) {
        const fs::path image = pictures[p].image;
        if (folder == target || !image.is_relative()) continue;
        rename_picture(record, p, (folder / image).lexically_normal().lexically_relative(target).string());
        changed = true;
      }
      if (const auto id = record.find("image_id"); id != record.end() && files.size() > 1 && !options.keep_ids) {
        *id = names[i] + "/" + (id->is_string() ? id->get<std::string>() : id->dump());
        changed = true;
      }
      if (changed) {
        writer.add(record);
      } else {
        add_record(writer, text, record);
      }
    }
  }
  writer.finish();
  return writer.size();
}

}  // namespace vicha

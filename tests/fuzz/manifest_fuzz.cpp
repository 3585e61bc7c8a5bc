// Manifests, a JSON list or lines: in memory with a column of every type, and rewritten.
#include <nlohmann/json.hpp>

#include "data/manifest/manifest.h"
#include "data/manifest/rewrite.h"
#include "data/tools/subset.h"
#include "fuzz.h"

namespace {

using namespace vicha;

Schema all_columns() {
  return {.caption = false,
          .columns = {
              {.field = "image2", .type = ColumnType::kImage, .required = false},
              {.field = "question", .type = ColumnType::kText, .required = false},
              {.field = "answer", .type = ColumnType::kAnswers, .required = false, .beside = "weight"},
              {.field = "label", .type = ColumnType::kLabel, .required = false, .values = {"no", "yes"}},
              {.field = "box", .type = ColumnType::kBox, .required = false},
              {.field = "boxes", .type = ColumnType::kBoxes, .required = false, .beside = "scores"},
              {.field = "id", .type = ColumnType::kId, .required = false},
          }};
}

void use(const Manifest& manifest) {
  for (std::int64_t record = 0; record < manifest.size(); ++record) {
    fuzz::require(!manifest.image_path(record).empty(), "a record has an image");
    fuzz::require(manifest.image_id(record) < manifest.image_id_count(), "image ids are numbered");
    manifest.captions(record);
    manifest.concepts(record);
    manifest.image_numbers(record);
    fuzz::require(manifest.json(record).starts_with('{'), "a record's text is that of an object");
    manifest.where(record);
  }
}

/// `write` returns the records written; nothing is left behind by an output that could not be finished.
template <class Write>
void write(const fuzz::ScratchFolder& folder, const char* name, Write&& write) {
  const std::size_t before = folder.size();
  std::int64_t written = 0, records = 0;
  if (!fuzz::accepted([&] { written = write(folder / name); })) {
    fuzz::require(folder.size() == before, "what could not be finished leaves nothing behind");
    return;
  }
  for_each_record(folder / name, [&](const nlohmann::ordered_json&, std::int64_t) { ++records; });
  fuzz::require(records == written, "all records that were written can be read");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::ScratchFolder folder;
  const std::filesystem::path in = folder.write("in.json", fuzz::Bytes(data, size));
  for (const Schema& schema : {Schema{.concepts = true, .image_id = true}, all_columns()}) {
    std::int64_t problems = 0;
    fuzz::accepted([&] {
      use(Manifest::load({in}, {.schema = schema}, [&](const ManifestProblem& problem) {
        fuzz::require(!problem.where.empty() && !problem.what.empty(), "a problem says where and what");
        ++problems;
      }));
    });
    const bool whole = fuzz::accepted([&] { use(Manifest::load({in}, {.strip_parts = 1, .schema = schema})); });
    fuzz::require(!whole || problems == 0, "a manifest without an error has no problems");
  }
  const auto keep = [](nlohmann::ordered_json& record, std::int64_t number) {
    if (number % 3 == 1) record["added"] = number;
    return number % 3 != 2;
  };
  write(folder, "out.json", [&](const auto& out) { return rewrite_manifest(in, out, keep); });
  write(folder, "out.jsonl", [&](const auto& out) { return rewrite_manifest(in, out, keep); });
  write(folder, "part.json", [&](const auto& out) { return take_subset(in, out, {.count = 2, .random = true}).kept; });
  write(folder, "joined.json", [&](const auto& out) { return join_manifests({in, in}, out); });
  folder.clear();
  return 0;
}

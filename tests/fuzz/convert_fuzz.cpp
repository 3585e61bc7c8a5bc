// Data sets of other forms: COCO, Karpathy's splits, JSON with other names, CSV, TSV.
#include <nlohmann/json.hpp>

#include "data/manifest/rewrite.h"
#include "data/tools/convert.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  static const fuzz::ScratchFolder folder;
  const std::filesystem::path in = folder.write("in", fuzz::Bytes(data, size));
  std::vector<std::optional<SetForm>> forms = {std::nullopt};
  for (const auto& form : kSetFormNames) forms.push_back(form.value);
  for (const auto& form : forms) {
    ConvertReport report;
    const std::size_t before = folder.size();
    if (!fuzz::accepted([&] { report = convert_manifest(in, folder / "out.jsonl", {.form = form}); })) {
      fuzz::require(folder.size() == before, "a failed conversion leaves nothing behind");
      continue;
    }
    std::int64_t records = 0;
    for_each_record(folder / "out.jsonl", [&](const nlohmann::ordered_json&, std::int64_t) { ++records; });
    fuzz::require(records == report.records, "all records that were written can be read");
    const std::string_view kept[] = {"in"};
    folder.clear(kept);
  }
  folder.clear();
  return 0;
}

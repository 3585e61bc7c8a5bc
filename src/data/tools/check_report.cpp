#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_text.h"
#include "base/printable.h"
#include "data/tools/check.h"
#include "data/tools/check_findings.h"

namespace vicha {

std::array<Finding, kKinds> no_findings() {
  std::array<Finding, kKinds> findings;
  const auto kind = [&](Kind which, std::string_view key, std::string_view meaning, bool problem) {
    findings[which] = {.key = key, .meaning = meaning, .problem = problem};
  };
  kind(kFields, "wrong_fields", "Fields that are missing or of a wrong kind, broken JSON", true);
  kind(kMissing, "missing_pictures", "Pictures that do not exist", true);
  kind(kCorrupt, "corrupt_pictures", "Pictures that cannot be read", true);
  kind(kTruncated, "truncated_pictures", "Pictures whose file ends early", true);
  kind(kChecksum, "wrong_checksums", "Pictures with a wrong checksum", true);
  kind(kUnknownFormat, "unknown_formats", "Pictures of an unknown format", true);
  kind(kSharedIds, "shared_image_ids", "Records whose image_id belongs to another picture", true);
  kind(kSeveralIds, "several_image_ids", "Records that give their picture another image_id", true);
  kind(kEmptyCaptions, "empty_captions", "Captions of which cleaning leaves nothing", true);
  kind(kNoConcepts, "empty_concepts", "Records without any concept", false);
  kind(kEqualFiles, "equal_pictures", "Pictures that are copies of another one", false);
  kind(kRepeatedRows, "repeated_captions", "Captions that a picture has already", false);
  kind(kLongCaptions, "long_captions", "Captions that will be cut", false);
  kind(kTurned, "exif_turned", "Pictures that EXIF turns (data.orientation)", false);
  return findings;
}

bool CheckReport::clean() const {
  return std::none_of(findings.begin(), findings.end(), [](const Finding& f) { return f.problem && f.count > 0; });
}

const Finding& CheckReport::finding(std::string_view key) const {
  const auto found = std::find_if(findings.begin(), findings.end(), [&](const Finding& f) { return f.key == key; });
  VICHA_ASSERT(found != findings.end());
  return *found;
}

std::string CheckReport::to_json(int indent) const {
  nlohmann::ordered_json json = {{"manifests", manifests},
                                 {"clean", clean()},
                                 {"records", records},
                                 {"captions", captions},
                                 {"images", images},
                                 {"image_ids", image_ids},
                                 {"image_bytes", image_bytes},
                                 {"smallest_side", smallest_side},
                                 {"largest_side", largest_side},
                                 {"longest_words", longest_words},
                                 {"longest_tokens", longest_tokens},
                                 {"findings", nlohmann::ordered_json::object()}};
  for (const Finding& f : findings) {
    nlohmann::ordered_json& found = json["findings"][std::string(f.key)];
    found = {{"count", f.count}, {"problem", f.problem}, {"examples", f.examples}};
    if (!f.looked) found["looked"] = false;
  }
  return json_text(json, indent);
}

std::string CheckReport::to_table() const {
  std::string table;
  const auto line = [&](std::string_view what, const std::string& value) {
    table += fmt::format("{:<58}{:>12}\n", what, value);
  };
  for (const std::string& manifest : manifests) table += printable(manifest) + "\n";
  line("Records", fmt::format("{}", records));
  line("Captions", fmt::format("{}", captions));
  line("Pictures", fmt::format("{}", images));
  line("Image ids", fmt::format("{}", image_ids));
  line("Longest caption, words", fmt::format("{}", longest_words));
  if (longest_tokens > 0) line("Longest caption, tokens", fmt::format("{}", longest_tokens));
  if (largest_side > 0) {
    line("Pictures, MiB", fmt::format("{:.1f}", static_cast<double>(image_bytes) / (1 << 20)));
    line("Sides, pixels", fmt::format("{} to {}", smallest_side, largest_side));
  }
  for (const bool problems : {true, false}) {
    table += problems ? "\nProblems\n" : "\nWorth knowing (training copes with it)\n";
    for (const Finding& f : findings) {
      if (f.problem != problems) continue;
      line("  " + std::string(f.meaning), !f.looked      ? "not looked"
                                          : f.count == 0 ? "none"
                                                         : fmt::format("{}", f.count));
      for (const std::string& example : f.examples) table += "      " + printable(example) + "\n";
      if (const auto shown = static_cast<std::int64_t>(f.examples.size()); shown > 0 && shown < f.count) {
        table += fmt::format("      and {} more\n", f.count - shown);
      }
    }
  }
  table += clean() ? "\nNo problems.\n" : "\nThere are problems.\n";
  return table;
}

}  // namespace vicha

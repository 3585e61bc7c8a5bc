#include "tasks/align/tower_record.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_number.h"
#include "base/json_text.h"
#include "base/log.h"

namespace vicha {
namespace {

using TowerJson = nlohmann::ordered_json;

TowerJson json_of(const TowerOfSide& side) {
  return {{"tower", TowerJson::parse(to_json(side.weights))},
          {"spec", side.spec},
          {"width", side.width},
          {"items", side.items},
          {"contents", side.contents},
          {"moments", side.moments}};
}

TowerOfSide side_from(const TowerJson& json, const std::string& where) {
  TowerOfSide side;
  side.weights = source_weights_from_json(json.at("tower").dump(), where);
  side.spec = json.at("spec").get<std::string>();
  side.width = whole_number<std::int64_t>(json, "width");
  side.items = whole_number<std::int64_t>(json, "items");
  side.contents = json.at("contents").get<std::string>();
  side.moments = json.at("moments").get<std::string>();
  return side;
}

/// What differs, as the end of a sentence; "" if nothing does.
std::string difference(const TowerOfSide& then, const TowerOfSide& now) {
  if (then.items != now.items) return fmt::format("{} then, {} now", then.items, now.items);
  if (then.contents != now.contents) {
    return fmt::format("their files had content {} then, {} now", then.contents.substr(0, 12),
                       now.contents.substr(0, 12));
  }
  if (then.moments != now.moments) {
    return fmt::format("mean and deviation of the features were {} then, {} now", then.moments.substr(0, 12),
                       now.moments.substr(0, 12));
  }
  return "";
}

void compare(const fs::path& checkpoint, const char* items, const TowerOfSide& then, const TowerOfSide& now,
             bool allow_changes) {
  if (!then.weights.same(now.weights)) {
    throw DataError(
        checkpoint.string(),
        fmt::format("was trained on features of {} by {}, and the run would now read those of {}", items,
                    then.weights.describe(), now.weights.describe()),
        "Give the tower or store that it began with, or start a new run with --resume none or another --out");
  }
  const std::string what = difference(then, now);
  if (what.empty()) return;
  if (!allow_changes) {
    throw DataError(checkpoint.string(), fmt::format("was trained on other features of {}: {}", items, what),
                    "Put the files back as they were, go on with the changed ones by --allow-changed-data, or start a "
                    "new run with --resume none or another --out");
  }
  log::warning("{} was trained on other features of {}: {}. The run goes on, but is not the one it would have been",
               checkpoint.string(), items, what);
}

}  // namespace

std::string to_json(const TowerRecord& record) {
  const TowerJson json = {{"image", json_of(record.image)}, {"text", json_of(record.text)}};
  return json_text(json, 1) + "\n";
}

TowerRecord read_tower_record(const fs::path& checkpoint) {
  const fs::path file = checkpoint / kTowerRecord;
  if (!fs::exists(file)) {
    throw DataError(file.string(), "is missing: the folder is not a checkpoint of `vicha align`, or not all of one",
                    "Give a folder such as RUN/checkpoints/step-001000, or the run's folder");
  }
  constexpr std::uint64_t kMostBytes = 1 << 20;
  const TowerJson json = TowerJson::parse(read_file(file, kMostBytes), nullptr, /*allow_exceptions=*/false);
  try {
    return {side_from(json.at("image"), file.string()), side_from(json.at("text"), file.string())};
  } catch (const nlohmann::json::exception& error) {
    throw DataError(file.string(), fmt::format("does not say which towers the model stands on ({})", error.what()),
                    "The checkpoint is damaged; use another one");
  }
}

void require_same_features(const fs::path& checkpoint, const TowerRecord& now, bool allow_changes) {
  const TowerRecord then = read_tower_record(checkpoint);
  compare(checkpoint, "pictures", then.image, now.image, allow_changes);
  compare(checkpoint, "captions", then.text, now.text, allow_changes);
}

}  // namespace vicha

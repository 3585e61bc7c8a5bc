#include "train/state_file.h"

#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_depth.h"
#include "base/json_text.h"
#include "base/printable.h"
#include "base/sha256.h"

namespace vicha {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kFormat = "vicha training state";
constexpr std::int64_t kVersion = 1;
constexpr std::int64_t kMostCounted = 1'000'000'000'000'000;  // of steps, batches, samples: more than anybody lives
constexpr const char* kDamaged = "The checkpoint is damaged; use another one";

class StateFields {
 public:
  StateFields(const Json& json, const std::filesystem::path& file) : json_(json), file_(file) {}

  std::int64_t count(const char* key, std::int64_t least, std::int64_t most = kMostCounted) const {
    const Json& value = at(key);
    const bool whole = value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= kMax);
    if (!whole || value.get<std::int64_t>() < least || value.get<std::int64_t>() > most) {
      fail(key, fmt::format("a whole number from {} to {}", least, most));
    }
    return value.get<std::int64_t>();
  }
  std::string text(const char* key) const {
    if (!at(key).is_string()) fail(key, "a text");
    return at(key).get<std::string>();
  }
  double seconds(const char* key) const {
    const double value = at(key).is_number() ? at(key).get<double>() : -1;
    if (!std::isfinite(value) || value < 0) fail(key, "a number of seconds");
    return value;
  }
  const Json& at(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) throw DataError(file_.string(), fmt::format("lacks \"{}\"", key), kDamaged);
    return *found;
  }
  [[noreturn]] void fail(const char* key, std::string_view wanted) const {
    throw DataError(
        file_.string(),
        fmt::format("\"{}\" is {}, where {} was expected", key, printable(json_text(at(key)).substr(0, 60)), wanted),
        kDamaged);
  }

 private:
  static constexpr std::uint64_t kMax = INT64_MAX;
  const Json& json_;
  const std::filesystem::path& file_;
};

}  // namespace

std::string state_json(const TrainState& s, const std::string& config) {
  const nlohmann::ordered_json json = {{"format", kFormat},
                                       {"version", kVersion},
                                       {"step", s.step},
                                       {"epoch", s.epoch},
                                       {"batch_in_epoch", s.batch_in_epoch},
                                       {"batches_per_epoch", s.batches_per_epoch},
                                       {"seed", s.seed},
                                       {"precision", name_of(kPrecisionNames, s.precision)},
                                       {"matmul_kernel", s.matmul_kernel},
                                       {"threads", s.threads},
                                       {"processes", s.processes},
                                       {"seconds", s.seconds},
                                       {"skipped", s.skipped},
                                       {"config_sha256", sha256_hex(config)},
                                       {"libtorch", TORCH_VERSION}};
  return json.dump(2) + '\n';
}

TrainState read_state(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  const Json json = nests_deeper(text) ? Json() : Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("format", Json()) != kFormat) {
    throw DataError(file.string(), "is not the training state of a checkpoint",
                    "Name a folder …/checkpoints/step-NNNNNN");
  }
  const StateFields fields(json, file);
  if (fields.at("version") != kVersion) {
    throw DataError(file.string(),
                    fmt::format("is of version {}, this program reads {}",
                                printable(json_text(json["version"]).substr(0, 60)), kVersion),
                    "Resume with the program that wrote it");
  }
  TrainState s;
  s.step = fields.count("step", 0);
  s.epoch = fields.count("epoch", 0);
  s.batches_per_epoch = fields.count("batches_per_epoch", 0);
  s.batch_in_epoch = fields.count("batch_in_epoch", 0, s.batches_per_epoch);
  s.seed = fields.count("seed", INT64_MIN, INT64_MAX);
  const auto precision = value_named(kPrecisionNames, fields.text("precision"));
  if (!precision) fields.fail("precision", "one that is known");
  s.precision = *precision;
  s.matmul_kernel = fields.text("matmul_kernel");
  s.threads = fields.count("threads", 0);
  if (json.contains("processes")) s.processes = fields.count("processes", 1);  // not in the first checkpoints
  s.seconds = fields.seconds("seconds");
  s.skipped = fields.count("skipped", 0);
  return s;
}

}  // namespace vicha

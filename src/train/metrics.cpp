#include "train/metrics.h"

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json_text.h"

namespace vicha {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::uint64_t kMostMetrics = std::uint64_t{8} << 30;  // some ten million steps

OrderedJson object(const NamedValues& values) {
  OrderedJson json = OrderedJson::object();
  for (const auto& [name, value] : values) json[name] = value;
  return json;
}

/// Whether the line is a whole record of a step up to `last_step`.
bool belongs(std::string_view line, std::int64_t last_step) {
  const OrderedJson json = OrderedJson::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return false;
  const auto step = json.find("step");
  return step != json.end() && step->is_number_integer() && step->get<std::int64_t>() <= last_step;
}

fs::path cut_after(const fs::path& path, std::int64_t last_step) {
  if (!fs::exists(path)) return path;
  go_on_with(path);
  const std::string content = read_file(path, kMostMetrics);
  std::string kept;
  for (std::size_t at = 0; at < content.size();) {
    const std::size_t end = content.find('\n', at);
    if (end == std::string::npos) break;
    const std::string_view line = std::string_view(content).substr(at, end - at);
    if (belongs(line, last_step)) kept.append(line).push_back('\n');
    at = end + 1;
  }
  if (kept != content) write_file_atomic(path, kept);
  return path;
}

}  // namespace

MetricsFile::MetricsFile(const fs::path& path, std::int64_t last_step) : file_(cut_after(path, last_step)) {}

void MetricsFile::write(const StepRecord& r) {
  const OrderedJson json = {{"step", r.step},
                            {"epoch", r.epoch},
                            {"lr", r.lr},
                            {"losses", object(r.losses)},
                            {"measures", object(r.measures)},
                            {"samples_per_s", r.samples_per_s},
                            {"seconds", r.seconds},
                            {"data_wait", r.data_wait},
                            {"skipped", r.skipped}};
  file_.write(json_text(json) + '\n');
}

}  // namespace vicha

#include "tasks/host/evaluation_record.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/files.h"
#include "base/json_text.h"

namespace vicha {

void record_evaluation(const fs::path& run, std::int64_t step, const std::string& manifest,
                       const nlohmann::ordered_json& figures) {
  const fs::path file = run / "evaluations.jsonl";
  std::string lines;
  if (fs::exists(file)) {
    go_on_with(file);
    std::istringstream old(read_file(file));
    for (std::string line; std::getline(old, line);) {
      const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
      if (!json.is_discarded() && json.value("step", step) < step) lines += line + "\n";
    }
  }
  nlohmann::ordered_json json = {{"step", step}, {"manifest", manifest}};
  json.update(figures);
  write_file_atomic(file, lines + json_text(json) + "\n");
}

}  // namespace vicha

// What evaluations along the way leave in a run's folder, whatever the task: the report draws them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace vicha {

/// RUN/evaluations.jsonl: one line an evaluated checkpoint, in the order of the steps: step, manifest, then the members
/// of `figures`, a JSON object. Lines of later steps (from before a run was taken up again at an earlier checkpoint)
/// give way. For the writer of a group alone.
void record_evaluation(const std::filesystem::path& run, std::int64_t step, const std::string& manifest,
                       const nlohmann::ordered_json& figures);

}  // namespace vicha

#include "tasks/downstream/evaluation_command.h"

#include "base/json_text.h"
#include "config/choice.h"
#include "config/serialize.h"

namespace vicha {

void QuestionCommandOptions::describe(Visitor& v) {
  questions.describe(v);
  v.field({"calibrate", "", "Fit the temperature of the probabilities, and keep it in the checkpoint's folder"},
          calibrate);
}

QuestionCommandOptions question_options(const LoadedModel& loaded, const EvaluateCommand& command) {
  QuestionCommandOptions options;
  apply_overrides(options, loaded.recipe->evaluation_settings());
  apply_overrides(options, command.settings);
  return options;
}

std::vector<EvaluationFlag> question_flags() {
  return {{"--batch", "batch_size", "Pictures encoded at once (default: eval.batch_size of the recipe)"},
          {"--memory-mib", "memory_mib",
           "Memory for states, keys and values of pictures (default: eval.memory_mib of the recipe)"},
          {.flag = "--calibrate",
           .key = "calibrate",
           .help = "Fit the temperature of the model's probabilities to this set (one that is neither trained nor "
                   "tested on), and keep it as calibration.json in the checkpoint's folder",
           .is_switch = true}};
}

EvaluateResult evaluate_result(const Judgement& judgement, const EvaluateCommand& command,
                               const EvaluationOrigin& origin) {
  nlohmann::ordered_json json = judgement.figures;
  json["manifest"] = command.manifest.string();
  json["checkpoint"] = origin.checkpoint;
  json["precision"] = name_of(kPrecisionNames, command.precision);
  json["concepts"] = origin.concepts;
  return {json_text(json, 1), judgement.table};
}

}  // namespace vicha

// Visual grounding as a task: training, evaluation, prediction (docs/tasks.md).
#pragma once

#include "tasks/host/task_kind.h"

namespace vicha {

/// "grounding".
TaskKind grounding_kind();

/// {"image": FILE, "text": TEXT, "boxes"?: [[x, y, w, h], ...]} -> the same with "box", "score" and, with the
/// supervised head, "probability". Without boxes sliding ones are tried. The model stays.
Predictor grounding_predictor(LoadedModel& model, const PredictCommand& command);

}  // namespace vicha

#include "objectives/objective.h"

namespace vicha {

void ObjectiveOptions::describe(Visitor& v) {
  v.field({"enabled", "", "The objective is part of the recipe"}, enabled);
  v.field({"weight", "", "Factor of the loss in the total", 0, 1e6}, weight);
  v.field({"start", "share of the run", "When the objective sets in; before, its work is not done", 0, 1}, start);
}

}  // namespace vicha

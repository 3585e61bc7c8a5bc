// The program `vicha` with three kinds more. Nothing in src/ knows of them.
#include "cli/run.h"
#include "guests/colour.h"
#include "guests/hue.h"
#include "guests/order.h"
#include "objectives/registry.h"
#include "tasks/host/task_kind.h"

int main(int argc, char** argv) {
  vicha::add_objective_kind(guests::order_kind());
  vicha::add_task_kind(guests::colour_kind());
  vicha::add_concept_source(guests::hue_kind());
  return vicha::cli::run(argc, argv);
}

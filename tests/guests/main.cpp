// The program `vicha` with two kinds more. Nothing in src/ knows of them.
#include "cli/run.h"
#include "guests/colour.h"
#include "guests/order.h"
#include "objectives/registry.h"
#include "tasks/host/task_kind.h"

int main(int argc, char** argv) {
  vicha::add_objective_kind(guests::order_kind());
  vicha::add_task_kind(guests::colour_kind());
  return vicha::cli::run(argc, argv);
}

#include "report.h"

namespace vicha::parity {

void check_entailment(const fs::path&, Report&) {}

}  // namespace vicha::parity

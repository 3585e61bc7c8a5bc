#include "report.h"

namespace vicha::parity {

void check_grounding(const fs::path&, Report&) {}

}  // namespace vicha::parity

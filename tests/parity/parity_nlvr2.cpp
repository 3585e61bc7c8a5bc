#include "report.h"

namespace vicha::parity {

void check_text_assignment(const fs::path&, Report&) {}
void check_nlvr2(const fs::path&, Report&) {}

}  // namespace vicha::parity

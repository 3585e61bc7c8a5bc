#include "report.h"

namespace vicha::parity {

void check_vqa(const fs::path&, Report&) {}

}  // namespace vicha::parity

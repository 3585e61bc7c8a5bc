// `vicha bench align`: steps of heads on synthetic stored features, with the output fields of bench/peer/align.py.
#pragma once

#include <string>

#include "align/align_bench.h"

namespace vicha::bench {

/// One line of JSON. Throws UsageError as bench_align_steps does.
std::string bench_align(const AlignBench& options);

}  // namespace vicha::bench

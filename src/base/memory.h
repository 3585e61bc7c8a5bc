#pragma once

namespace vicha {

/// Tells the allocator to keep freed memory instead of returning it to the system. A training step frees and takes the
/// same large tensors again and again; without this every one of them is mapped and cleared page by page each time (8 %
/// of a step where it was measured). Call it first in `main`. No effect where the C library has no such setting, or
/// where another allocator has taken its place, as jemalloc has in `vicha`.
void keep_freed_memory();

}  // namespace vicha

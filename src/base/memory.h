#pragma once

namespace vicha {

/// Tells the allocator to keep freed memory instead of returning it to the system at once (jemalloc: for a minute). A
/// training step frees and takes the same large tensors again and again; without this they are mapped and cleared page
/// by page each time (a fifth of a step where it was measured). Call it first in `main`. Knows the C library's
/// allocator and jemalloc, which `vicha` is linked with; no effect on others, nor on jemalloc where MALLOC_CONF says
/// how it is to be.
void keep_freed_memory();

}  // namespace vicha

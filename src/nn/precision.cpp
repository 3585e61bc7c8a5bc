#include "nn/precision.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <utility>

namespace vicha {
namespace {
thread_local bool bf16 = false;
}

void flush_denormals() { at::globalContext().setFlushDenormal(true); }

// Setting the number tells MKL to keep to it.
void fix_product_threads() { at::set_num_threads(at::get_num_threads()); }

at::ScalarType compute_type() { return bf16 ? at::kBFloat16 : at::kFloat; }

Bf16Scope::Bf16Scope(bool on) : before_(std::exchange(bf16, on)) {}
Bf16Scope::~Bf16Scope() { bf16 = before_; }

}  // namespace vicha

#include "checkpoint/tensors/pieces.h"

#include <ATen/Functions.h>

namespace vicha {

void PieceCollector::append(std::string_view piece) {
  constexpr std::size_t kLarge = 1 << 20;
  if (small_.size() + piece.size() > kLarge) flush();
  piece.size() > kLarge ? out_(piece) : void(small_ += piece);
}

void PieceCollector::flush() {
  if (!small_.empty()) out_(small_);
  small_.clear();
}

at::Tensor as_written(const at::Tensor& tensor) {
  // Asked first, as each of the calls below takes as long as writing a small tensor.
  if (tensor.device().is_cpu() && tensor.is_contiguous() && !tensor.is_conj() && !tensor.is_neg()) return tensor;
  return tensor.detach().resolve_conj().resolve_neg().cpu().contiguous();
}

std::string_view bytes_of(const at::Tensor& written) {
  return {static_cast<const char*>(written.const_data_ptr()), static_cast<std::size_t>(written.nbytes())};
}

}  // namespace vicha

// Whether numbers are numbers.
#pragma once

namespace at {
class Tensor;
}

namespace vicha {

/// Whether the tensor holds no NaN and no infinity; whole numbers and truth values never do. One pass over it.
bool is_finite(const at::Tensor& tensor);

}  // namespace vicha

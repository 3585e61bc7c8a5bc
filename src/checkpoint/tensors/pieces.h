// How tensors become bytes of a file.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <string_view>

namespace vicha {

/// Collects small pieces on their way to one system call; large ones go through as they are.
class PieceCollector {
 public:
  using Out = std::function<void(std::string_view)>;
  explicit PieceCollector(Out out) : out_(std::move(out)) {}

  void append(std::string_view piece);
  /// To be called at the end.
  void flush();

 private:
  Out out_;
  std::string small_;
};

/// The tensor row-major in the machine's memory, itself if it is so already.
at::Tensor as_written(const at::Tensor& tensor);
/// The bytes of such a tensor.
std::string_view bytes_of(const at::Tensor& written);

}  // namespace vicha

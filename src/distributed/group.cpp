#include "distributed/group.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "base/error.h"

namespace vicha {
namespace {

class SingleGroup final : public Group {
 public:
  std::int64_t rank() const override { return 0; }
  std::int64_t size() const override { return 1; }

 private:
  void sum(at::TensorList) const override {}
  at::Tensor gather(const at::Tensor& tensor) const override { return tensor; }
  void send_from(std::int64_t, const at::Tensor&) const override {}
  void wait_for_all() const override {}
};

}  // namespace

const Group& Group::alone() {
  static const SingleGroup group;
  return group;
}

void Group::all_reduce_sum(at::TensorList tensors) const {
  for (const at::Tensor& t : tensors) VICHA_ASSERT(t.defined() && t.is_contiguous());
  if (is_alone() || tensors.empty()) return;
  const at::NoGradGuard no_grad;
  sum(tensors);
}

void Group::all_reduce_mean(at::TensorList tensors) const {
  for (const at::Tensor& t : tensors) VICHA_ASSERT(t.defined() && t.is_floating_point());
  if (is_alone() || tensors.empty()) return;
  all_reduce_sum(tensors);
  const at::NoGradGuard no_grad;
  at::_foreach_div_(tensors, at::Scalar(static_cast<double>(size())));
}

at::Tensor Group::all_gather(const at::Tensor& tensor) const {
  VICHA_ASSERT(tensor.defined() && tensor.dim() > 0);
  if (is_alone()) return tensor;
  const at::NoGradGuard no_grad;
  return gather(tensor.detach().contiguous());
}

std::vector<std::int64_t> Group::all_gather(std::int64_t number) const {
  if (is_alone()) return {number};
  const at::Tensor all = all_gather(at::full({1}, number, at::kLong));
  const std::int64_t* first = all.const_data_ptr<std::int64_t>();
  return {first, first + all.numel()};
}

void Group::broadcast(const at::Tensor& tensor, std::int64_t root) const {
  VICHA_ASSERT(tensor.defined() && tensor.is_contiguous() && root >= 0 && root < size());
  if (is_alone()) return;
  const at::NoGradGuard no_grad;
  send_from(root, tensor);
}

void Group::barrier() const {
  if (!is_alone()) wait_for_all();
}

}  // namespace vicha

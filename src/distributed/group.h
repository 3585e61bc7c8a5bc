// Processes that train one model together. A group is passed to whoever needs it, never looked up; alone, every
// operation is the identity and costs nothing.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace vicha {

/// Every member calls the same operations in the same order, with tensors of equal shapes and types; they lie on the
/// host or on the member's own device. Results have the same bits on every rank. No gradient flows through any of them.
///
/// Operations throw Error, and do not wait for ever, once another member has failed or ended: an exception on one rank
/// ends the others. Afterwards the group is of no more use.
class Group {
 public:
  virtual ~Group() = default;

  /// The group of this process and no other.
  static const Group& alone();

  virtual std::int64_t rank() const = 0;  ///< 0 … size() - 1
  virtual std::int64_t size() const = 0;
  /// Whether this member writes what is written once: checkpoints, metrics, evaluations, the log. Rank 0 does.
  bool is_writer() const { return rank() == 0; }
  bool is_alone() const { return size() == 1; }

  /// Each tensor becomes, in place, its sum over all ranks. One tensor, or a list of which each is summed; contiguous.
  void all_reduce_sum(at::TensorList tensors) const;
  /// As above with the mean; floating-point types only.
  void all_reduce_mean(at::TensorList tensors) const;
  /// The tensors of all ranks, (B, …) each, as one (size() * B, …) in the order of ranks; alone the very tensor.
  at::Tensor all_gather(const at::Tensor& tensor) const;
  /// A number of each rank, in the order of ranks. Waits for the other ranks on the host.
  std::vector<std::int64_t> all_gather(std::int64_t number) const;
  /// The tensor becomes, in place, that of rank `root`; contiguous.
  void broadcast(const at::Tensor& tensor, std::int64_t root) const;
  /// Returns when every member has called it.
  void barrier() const;

 private:
  // Called in groups of more than one, with gradients off and what the operations above require checked.
  virtual void sum(at::TensorList tensors) const = 0;
  virtual at::Tensor gather(const at::Tensor& tensor) const = 0;
  virtual void send_from(std::int64_t root, const at::Tensor& tensor) const = 0;
  virtual void wait_for_all() const = 0;
};

}  // namespace vicha

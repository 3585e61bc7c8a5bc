// From the machine's nodes to the tree that the caller gets; not for use elsewhere.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/pickle/pickle_vm.h"

namespace vicha::pickle {

/// Makes one value of each node, however often it is used, so that time and memory stay in proportion to the pickle.
/// Texts move from the nodes to the values.
class TreeBuilder {
 public:
  using Fail = std::function<void(const std::string& what)>;  ///< throws
  TreeBuilder(std::deque<Node>& nodes, std::vector<PickleTensor>& tensors, Fail fail);
  ~TreeBuilder();
  PickleValue run(Ref root);

 private:
  class KeyTokens;
  static constexpr std::uint8_t kNotBuilt = 255, kBeingBuilt = 254;

  PickleValue value(Ref ref, int depth, int& height);
  PickleValue made(Node& node, int depth, int& height);
  PickleItems items(std::span<const Ref> refs, int depth, int& height);
  PicklePairs pairs(std::span<const Ref> refs, int depth, int& height);
  [[noreturn]] void fail(const std::string& what) const;

  std::deque<Node>& nodes_;
  std::vector<PickleTensor>& tensors_;
  Fail fail_;
  std::vector<PickleValue> values_;
  std::vector<std::uint8_t> heights_;  // levels below a node that is built, or one of the two constants
  std::unique_ptr<KeyTokens> keys_;
};

}  // namespace vicha::pickle

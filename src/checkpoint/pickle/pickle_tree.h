// From the machine's nodes to the tree that the caller gets; not for use elsewhere.
#pragma once

#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/pickle/pickle_vm.h"

namespace vicha::pickle {

/// Makes one value of each node, however often it is used, so that time and memory stay in proportion to the pickle.
/// What the machine holds of tensors and objects moves to the values.
class TreeBuilder {
 public:
  using Fail = std::function<void(const std::string& what)>;  ///< throws
  TreeBuilder(Nodes& nodes, std::vector<PickleTensor>& tensors, std::deque<Extra>& extras, Fail fail)
      : nodes_(nodes), tensors_(tensors), extras_(extras), fail_(std::move(fail)) {}
  PickleValue run(Ref root);

 private:
  struct Made {
    PickleValue value;
    std::uint32_t key = 0;  ///< 0: none so far
  };
  struct Seen {
    std::uint32_t dict = 0, position = 0;
  };

  PickleValue value(Ref ref, int depth, int& height);
  PickleValue made(Node& node, int depth, int& height);
  PickleItems items(std::span<const Ref> refs, int depth, int& height);
  PicklePairs pairs(std::span<const Ref> refs, int depth, int& height);
  std::uint32_t key_of(Ref ref);
  std::uint32_t key_of_content(const Node& node);
  std::uint32_t numbered(char kind, std::string_view content);
  std::uint32_t numbered(std::string_view name);
  [[noreturn]] void fail(const std::string& what) const;

  Nodes& nodes_;
  std::vector<PickleTensor>& tensors_;
  std::deque<Extra>& extras_;
  Fail fail_;
  std::vector<Made> made_;

  // Keys of dicts, counted from 1 on. A text stands for itself here; what is no text begins with a byte that none has.
  NameIndex key_index_;
  std::vector<std::string_view> key_names_;
  std::deque<std::string> other_keys_;
  std::vector<Seen> seen_;  // by key: the last dict that had it, and where
  std::uint32_t dicts_ = 0;
};

}  // namespace vicha::pickle

// The machine's stack, memo and input.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/printable.h"
#include "checkpoint/pickle/pickle_vm.h"

namespace vicha::pickle {
namespace {

constexpr std::size_t kMaxNodes = 8 << 20;
constexpr std::size_t kMaxStack = 4 << 20;  // Python empties its stack every thousand values

}  // namespace

Ref* RefArena::take(std::size_t count) {
  constexpr std::size_t kBlock = 4096;
  if (count > kBlock / 4) return blocks_.emplace_back(std::make_unique<Ref[]>(count)).get();
  if (count > left_) {
    next_ = blocks_.emplace_back(std::make_unique<Ref[]>(kBlock)).get();
    left_ = kBlock;
  }
  left_ -= count;
  return std::exchange(next_, next_ + count);
}

/// Capacities double; what is left behind is at most as much again.
void RefArena::append(RefList& list, std::span<const Ref> refs) {
  const std::size_t size = list.size_ + refs.size();
  if (size > list.capacity_) {
    const std::size_t capacity = list.capacity_ == 0 ? size : std::max<std::size_t>(size, 2 * list.capacity_);
    Ref* const data = take(capacity);
    std::copy(list.begin(), list.end(), data);
    list.data_ = data;
    list.capacity_ = static_cast<std::uint32_t>(capacity);
  }
  std::copy(refs.begin(), refs.end(), list.data_ + list.size_);
  list.size_ = static_cast<std::uint32_t>(size);
}

void Nodes::push_back(const Node& node) {
  if (size_ % kBlock == 0) blocks_.push_back(std::make_unique_for_overwrite<Node[]>(kBlock));
  (*this)[size_++] = node;
}

void Machine::add_to(RefList& items, std::vector<Ref>* instead, std::size_t from) {
  const std::span<const Ref> added = std::span(stack_).subspan(from);
  held_ += added.size();
  if (held_ > kMaxNodes) fail("makes more than 8 million values");
  instead == nullptr ? refs_.append(items, added) : void(instead->insert(instead->end(), added.begin(), added.end()));
}

void Machine::append_items(std::size_t from) {
  need(stack_.size() - from + 1);  // the container itself too
  const Ref target = stack_[from - 1];
  const Node* found = node(target);
  const bool sequence = found != nullptr && (found->kind == Kind::kList || found->kind == Kind::kSet);
  if (!sequence && (found == nullptr || found->kind != Kind::kObject)) fail("appends to something that is not a list");
  Node& into = mutable_node(target);
  add_to(into.items, sequence ? nullptr : &extras_[into.index].appended, from);
  stack_.resize(from);
}

void Machine::set_items(std::size_t from) {
  need(stack_.size() - from + 1);  // the container itself too
  const Ref target = stack_[from - 1];
  const Node* found = node(target);
  const bool dict = found != nullptr && (found->kind == Kind::kDict || found->kind == Kind::kOrderedDict);
  if (!dict && (found == nullptr || found->kind != Kind::kObject)) fail("sets a key of something that is not a dict");
  if ((stack_.size() - from) % 2 != 0) fail("has a key without a value");
  Node& into = mutable_node(target);
  add_to(into.items, dict ? nullptr : &extras_[into.index].pairs, from);
  stack_.resize(from);
}

std::string_view Machine::take(std::uint64_t count) {
  if (count > data_.size() - at_) fail("has a value longer than the data: the file is cut off or damaged");
  const std::string_view taken = data_.substr(at_, count);
  at_ += count;
  return taken;
}

std::uint64_t Machine::number(int bytes) {
  const std::string_view little_endian = take(static_cast<std::uint64_t>(bytes));
  std::uint64_t value = 0;
  std::memcpy(&value, little_endian.data(), little_endian.size());
  return value;
}

std::string_view Machine::line() {
  const std::size_t end = data_.find('\n', at_);
  if (end == std::string_view::npos) fail("has a line without an end: the file is cut off or damaged");
  const std::string_view text = data_.substr(at_, end - at_);
  at_ = end + 1;
  return text;
}

void Machine::push(Ref ref) {
  if (stack_.size() >= kMaxStack) fail("piles up more than 4 million values");
  stack_.push_back(ref);
}

void Machine::push_int(std::int64_t value) {
  Ref ref{Ref::Tag::kInt, {}};
  ref.integer = value;
  push(ref);
}

void Machine::push_text(std::string_view text) {
  if (!is_utf8(text)) fail("has a text that is not valid UTF-8");
  push_node({.kind = Kind::kText, .text = text});
}

/// Python 2's texts are bytes: kept as text where they are one.
void Machine::push_python2_text(std::string_view text) {
  push_node({.kind = is_utf8(text) ? Kind::kText : Kind::kBytes, .text = text});
}

/// Two's complement, little-endian; no bytes at all are zero.
void Machine::push_long(std::string_view bytes) {
  while (bytes.size() > 8) {  // drop bytes that only repeat the sign
    const auto last = static_cast<unsigned char>(bytes.back()),
               before = static_cast<unsigned char>(bytes[bytes.size() - 2]);
    if (last != (before < 128 ? 0 : 255)) break;
    bytes.remove_suffix(1);
  }
  if (bytes.size() > 8) {
    push_node({.kind = Kind::kBigInt, .text = bytes});
    return;
  }
  std::uint64_t value = !bytes.empty() && static_cast<unsigned char>(bytes.back()) >= 128 ? ~std::uint64_t{0} : 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  push_int(static_cast<std::int64_t>(value));
}

void Machine::push_tuple(std::size_t from, Kind kind) {
  Node made{.kind = kind};
  refs_.append(made.items, std::span(stack_).subspan(from));
  stack_.resize(from);
  push_node(made);
}

Ref Machine::pop() {
  const Ref ref = top();
  stack_.pop_back();
  return ref;
}

/// Values below the last mark belong to the group around this one.
void Machine::need(std::size_t count) const {
  if (stack_.size() - (marks_.empty() ? 0 : marks_.back()) < count) fail("takes more values than it has made");
}

Ref& Machine::top() {
  need(1);
  return stack_.back();
}

std::size_t Machine::pop_mark() {
  if (marks_.empty()) fail("closes a group that it did not open");
  const std::size_t mark = marks_.back();
  marks_.pop_back();
  return mark;
}

void Machine::store(std::uint64_t index) {
  if (index > at_) fail("has a memo index beyond any use");
  if (index >= memo_.size()) memo_.resize(index + 1, Ref{Ref::Tag::kUnset, {}});
  memo_[index] = top();
}

void Machine::fetch(std::uint64_t index) {
  if (index >= memo_.size() || memo_[index].tag == Ref::Tag::kUnset) fail("refers to a memo entry that it never made");
  push(memo_[index]);
}

/// What the machine may take for a pickle: memory in proportion to what it has read of it. A tensor of torch.save's
/// takes 100 bytes there and 1,400 here. Called before memory is taken.
void Machine::spend(std::size_t bytes) {
  constexpr std::uint64_t kFree = 64 << 20, kPerByte = 20;
  spent_ += bytes;
  if (spent_ > kFree + kPerByte * at_) fail("takes far more memory than its size warrants");
}

/// Texts count too: the tree will hold a copy.
Ref Machine::add(const Node& node) {
  const std::size_t extra = node.kind == Kind::kObject ? sizeof(Extra) : 0;
  spend(sizeof(Node) + sizeof(PickleValue) + node.text.size() + node.items.size() * sizeof(Ref) + extra);
  if (nodes_.size() >= kMaxNodes) fail("makes more than 8 million values");
  Ref ref{Ref::Tag::kNode, {}};
  ref.node = static_cast<std::uint32_t>(nodes_.size());
  nodes_.push_back(node);
  return ref;
}

void Machine::fail(const std::string& what) const {
  throw DataError(options_.where, "the pickle " + what + " (at byte " + std::to_string(at_) + " of it)");
}

void Machine::refuse_code(std::string_view module, std::string_view name) const {
  struct Harmless {
    std::string_view module, name, what;
  };
  constexpr Harmless kHarmless[] = {
      {"torch._utils", "_rebuild_sparse", "sparse tensors"},
      {"torch._utils", "_rebuild_qtensor", "quantised tensors"},
      {"torch._utils", "_rebuild_meta_tensor_no_storage", "tensors without data (device meta)"},
      {"torch._utils", "_rebuild_nested_tensor", "nested tensors"},
      {"torch._utils", "_rebuild_device_tensor_from", "tensors of a device that is neither CPU nor GPU"},
      {"torch._utils", "_rebuild_wrapper_subclass", "tensors of a class of their own"},
      {"torch._utils", "_rebuild_parameter_with_state", "parameters with attributes of their own"},
      {"torch._tensor", "_rebuild_from_type", "tensors with attributes or a class of their own"},
      {"torch.serialization", "_get_layout", "sparse tensors"},
      {"torch", "per_", "quantised tensors"},
      {"torch", "Q", "quantised tensors"},
      {"collections", "Counter", "a collections.Counter"},
      {"collections", "defaultdict", "a collections.defaultdict"},
      {"collections", "deque", "a collections.deque"},
      {"numpy.core.multiarray", "_reconstruct", "NumPy's arrays"},
      {"numpy._core.multiarray", "_reconstruct", "NumPy's arrays"},
      {"numpy", "ndarray", "NumPy's arrays"},
      {"pathlib", "", "a path of files"},
      {"datetime", "", "a date"},
      {"omegaconf.", "", "settings of OmegaConf"},
  };
  for (const Harmless& kind : kHarmless) {
    const bool same_module = kind.module.ends_with('.') ? module.starts_with(kind.module) : module == kind.module;
    if (!same_module || !name.starts_with(kind.name)) continue;
    throw DataError(options_.where, "holds " + std::string(kind.what) + ", which this reader does not know",
                    "Load it in Python and save plain tensors in a plain dict");
  }
  const std::string asked = "'" + printable(module.substr(0, 100)) + "." + printable(name.substr(0, 100)) + "'";
  if (module.starts_with("torch.nn.modules.") || module.starts_with("torchvision.models.")) {
    throw DataError(options_.where, "is a whole model with its classes (" + asked + "), not its weights",
                    "It may carry code. If you trust its origin, load it in Python and save model.state_dict() alone");
  }
  throw DataError(options_.where, "asks for " + asked + ", which is not plain data; nothing was run",
                  "It may carry code. If you trust its origin, load it in Python and save model.state_dict() alone");
}

}  // namespace vicha::pickle

// The machine behind read_pickle; not for use elsewhere.
#pragma once

#include <c10/util/SmallVector.h>

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/pickle/pickle_reader.h"
#include "checkpoint/tensors/name_index.h"

namespace vicha::pickle {

enum class Kind : std::uint8_t {
  kText,
  kBytes,
  kBigInt,
  kComplex,
  kList,
  kTuple,
  kSet,
  kDict,
  kOrderedDict,
  kTensor,
  kStorage,
  kDtype,
  kDevice,
  kGlobal,
  kObject
};

/// What a name in the pickle stands for.
enum class Callable : std::uint8_t {
  kOrderedDict,
  kRebuildTensor,
  kRebuildTensorV2,
  kRebuildTensorV3,
  kRebuildParameter,
  kSize,
  kDevice,
  kEncode,
  kSet,
  kFrozenSet,
  kBytes,
  kByteArray,
  kComplex,
  kStorageType,
  kUntypedStorage,
  kTypedList,
  kTypeTag,
  kPlaceholder
};

/// A value on the stack: a small one itself, anything larger by its index among the machine's nodes. Nodes own nothing
/// but themselves, so that neither depth nor cycles matter until the tree is built (pickle_tree.h).
struct Ref {
  enum class Tag : std::uint8_t { kNone, kBool, kInt, kDouble, kNode, kUnset };
  Tag tag = Tag::kNone;
  union {
    std::int64_t integer = 0;
    double real;
    std::uint32_t node;
  };
};

/// Values one after another in memory of the machine's, which lives as long as it does: a checkpoint has four tuples a
/// tensor, and a vector for each took a quarter of the time. Tuples never grow, so that they may share theirs.
class RefList {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const Ref* begin() const { return data_; }
  const Ref* end() const { return data_ + size_; }
  const Ref& operator[](std::size_t i) const { return data_[i]; }
  const Ref& back() const { return data_[size_ - 1]; }
  operator std::span<const Ref>() const { return {data_, size_}; }

 private:
  friend class RefArena;
  Ref* data_ = nullptr;
  std::uint32_t size_ = 0, capacity_ = 0;
};

class RefArena {
 public:
  void append(RefList& list, std::span<const Ref> refs);

 private:
  Ref* take(std::size_t count);

  std::vector<std::unique_ptr<Ref[]>> blocks_;
  std::size_t left_ = 0;  ///< in the last block
  Ref* next_ = nullptr;
};

struct Extra {
  std::vector<Ref> pairs;     ///< items set on an object
  std::vector<Ref> appended;  ///< to an object
  std::vector<Ref> state;
};

struct Node {
  static constexpr std::uint8_t kNotBuilt = 255, kBeingBuilt = 254;

  Kind kind;
  Callable callable = Callable::kOrderedDict;      // kGlobal
  c10::ScalarType dtype = c10::ScalarType::Float;  // kDtype, kStorage, kGlobal of a storage type
  std::uint8_t height = kNotBuilt;                 // levels of the tree below it, or one of the constants
  std::uint32_t index = 0;     // kTensor, kStorage, kObject: among the machine's; of what is built: among the tree's
  std::string_view text = {};  // kText, kBytes, kBigInt; "module name" of kGlobal and kObject
  RefList items = {};          // sequences; keys and values in turn of dicts; arguments of objects
};

/// Nodes stay where they are when more come. A checkpoint has ten a tensor, so each is small and owns nothing: texts
/// lie in the pickle, or in the machine's memory.
class Nodes {
 public:
  std::size_t size() const { return size_; }
  Node& operator[](std::size_t i) { return blocks_[i / kBlock][i % kBlock]; }
  const Node& operator[](std::size_t i) const { return blocks_[i / kBlock][i % kBlock]; }
  void push_back(const Node& node);

 private:
  static constexpr std::size_t kBlock = 1024;

  std::vector<std::unique_ptr<Node[]>> blocks_;
  std::size_t size_ = 0;
};

class Machine {
 public:
  Machine(std::string_view data, const PickleOptions& options) : data_(data), options_(options) {}
  PickleValue run(std::size_t* consumed);

 private:
  // pickle_vm.cpp: the instructions
  Ref execute();
  bool step(unsigned char opcode);
  bool step_text(unsigned char opcode);
  void set_items(std::size_t from);
  void append_items(std::size_t from);
  void add_to(RefList& items, std::vector<Ref>* instead, std::size_t from);
  std::uint64_t number(int bytes);
  std::string_view take(std::uint64_t count);
  std::string_view line();
  void push(Ref ref);
  void push_node(const Node& node) { push(add(node)); }
  void push_int(std::int64_t value);
  void push_text(std::string_view text);
  void push_python2_text(std::string_view text);
  void push_long(std::string_view bytes);
  void push_tuple(std::size_t from, Kind kind = Kind::kTuple);
  Ref pop();
  void need(std::size_t count) const;
  std::size_t pop_mark();
  Ref& top();
  void store(std::uint64_t index);
  void fetch(std::uint64_t index);

  // pickle_calls.cpp: names and what may be done with them
  void push_global(std::string_view module, std::string_view name);
  void reduce(bool new_object);
  void build();
  void persistent();
  Ref call(const Node& callee, const RefList& args);
  Ref rebuild_tensor(const Node& callee, const RefList& args);
  Ref rebuild_parameter(const RefList& args);
  Ref encode(const RefList& args);
  Ref collect(Kind kind, const RefList& args, const Node& callee);
  using Numbers = c10::SmallVector<std::int64_t, 8>;
  at::Tensor view_storage(std::uint32_t storage, c10::ScalarType type, std::int64_t offset, const Numbers& sizes,
                          const Numbers& strides);
  Numbers whole_numbers(Ref ref, const char* what);
  std::int64_t whole_number(Ref ref, const char* what);
  std::string_view text_of(Ref ref, const char* what);
  void expect_empty(Ref ref, const char* what);
  void charge(std::size_t copies);
  void spend(std::size_t bytes);

  Ref add(const Node& node);
  /// The text in memory that lives as long as the machine.
  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }
  const Node* node(Ref ref) const { return ref.tag == Ref::Tag::kNode ? &nodes_[ref.node] : nullptr; }
  const Node* node(Ref ref, Kind kind) const {
    const Node* found = node(ref);
    return found != nullptr && found->kind == kind ? found : nullptr;
  }
  Node& mutable_node(Ref ref) { return nodes_[ref.node]; }
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void refuse_code(std::string_view module, std::string_view name) const;

  std::string_view data_;
  const PickleOptions& options_;
  std::size_t at_ = 0;
  Nodes nodes_;
  RefArena refs_;
  std::deque<std::string> kept_;  // texts that do not stand in the pickle as they are
  std::deque<Extra> extras_;
  std::vector<Ref> stack_;
  std::vector<std::size_t> marks_;
  std::vector<Ref> memo_;  // in real pickles the indices count up from 0, so a plain vector holds them

  struct Storage {
    std::string_view key;
    c10::ScalarType type;
    c10::Storage bytes;
  };
  std::vector<Storage> storages_;
  NameIndex storage_index_;  // of their keys
  std::vector<PickleTensor> tensors_;
  std::int64_t storage_bytes_ = 0, expanded_bytes_ = 0;
  std::uint64_t copies_ = 0, spent_ = 0, held_ = 0;
};

bool is_utf8(std::string_view text);  // pickle_text.cpp
void append_utf8(std::string& text, std::uint32_t code_point);
/// What Python 2's repr of a str stands for; nothing if it is none.
std::optional<std::string> unquote(std::string_view quoted);
/// The text protocol's unicode: Latin-1 with \uXXXX and \UXXXXXXXX.
std::optional<std::string> unescape_unicode(std::string_view text);

}  // namespace vicha::pickle

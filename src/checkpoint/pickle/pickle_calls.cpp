// The names that a pickle may use, and the little that may be done with them.
#include <algorithm>
#include <span>

#include "base/error.h"
#include "checkpoint/pickle/pickle_vm.h"
#include "checkpoint/tensors/dtypes.h"
#include "checkpoint/tensors/in_quotes.h"
#include "checkpoint/tensors/storage.h"

namespace vicha::pickle {
namespace {

struct Known {
  std::string_view name;  ///< with its module's before it
  Callable callable;
};

constexpr Known kKnown[] = {
    {"collections OrderedDict", Callable::kOrderedDict},
    {"torch._utils _rebuild_tensor", Callable::kRebuildTensor},
    {"torch._utils _rebuild_tensor_v2", Callable::kRebuildTensorV2},
    {"torch._utils _rebuild_tensor_v3", Callable::kRebuildTensorV3},
    {"torch._utils _rebuild_parameter", Callable::kRebuildParameter},
    {"torch Size", Callable::kSize},
    {"torch device", Callable::kDevice},
    {"torch UntypedStorage", Callable::kUntypedStorage},
    {"torch.storage UntypedStorage", Callable::kUntypedStorage},
    {"_codecs encode", Callable::kEncode},
    {"builtins set", Callable::kSet},
    {"builtins frozenset", Callable::kFrozenSet},
    {"builtins bytes", Callable::kBytes},
    {"builtins bytearray", Callable::kByteArray},
    {"builtins complex", Callable::kComplex},
};

// What the archives of TorchScript use beyond that.
constexpr Known kKnownInTorchScript[] = {
    {"torch.jit._pickle build_intlist", Callable::kTypedList},
    {"torch.jit._pickle build_doublelist", Callable::kTypedList},
    {"torch.jit._pickle build_boollist", Callable::kTypedList},
    {"torch.jit._pickle build_tensorlist", Callable::kTypedList},
    {"torch.jit._pickle restore_type_tag", Callable::kTypeTag},
};

const Known* find_known(std::span<const Known> table, std::string_view module, std::string_view name) {
  const auto at = std::ranges::find_if(table, [&](const Known& k) {
    const std::size_t space = module.size();
    return k.name.size() == space + 1 + name.size() && k.name.starts_with(module) && k.name[space] == ' ' &&
           k.name.ends_with(name);
  });
  return at == table.end() ? nullptr : &*at;
}

constexpr std::size_t kMaxRank = 64, kMaxName = 200, kMaxTensors = 1 << 20;

}  // namespace

/// A pickle may copy what it has made, but an instruction of three bytes must not copy a million values again and
/// again.
void Machine::charge(std::size_t copies) {
  copies_ += copies;
  if (copies_ > 4 * at_ + 4096) fail("copies its values far more often than it has any use for");
}

void Machine::push_global(std::string_view module, std::string_view name) {
  if (module.size() > kMaxName || name.size() > kMaxName) refuse_code(module, name);
  if (module == "__builtin__") module = "builtins";  // Python 2's name of it, which protocol 2 keeps
  const Known* known = find_known(kKnown, module, name);
  if (known == nullptr && options_.torchscript) known = find_known(kKnownInTorchScript, module, name);
  if (known != nullptr) {
    push_node({.kind = Kind::kGlobal, .callable = known->callable, .text = known->name});
    return;
  }
  if (module == "torch" || module == "torch.cuda") {
    if (const DtypeNames* dtype = find_dtype_by_storage(name)) {
      push_node(
          {.kind = Kind::kGlobal, .callable = Callable::kStorageType, .dtype = dtype->type, .text = dtype->storage});
      return;
    }
  }
  if (module == "torch") {
    if (const DtypeNames* dtype = find_dtype_by_torch(name)) {
      push_node({.kind = Kind::kDtype, .dtype = dtype->type});
      return;
    }
  }
  const bool inert = options_.torchscript && is_torchscript_class(module);
  const bool known_class = inert || is_placeholder_class(module, name);
  if (!known_class || !is_utf8(module) || !is_utf8(name)) refuse_code(module, name);
  const std::string_view label = keep(std::string(module) + " " + std::string(name));
  push_node({.kind = Kind::kGlobal, .callable = Callable::kPlaceholder, .text = label});
}

void Machine::reduce(bool new_object) {
  const Ref args = pop(), callee_ref = pop();
  const Node* tuple = node(args, Kind::kTuple);
  const Node* callee = node(callee_ref, Kind::kGlobal);
  if (tuple == nullptr || callee == nullptr) fail("calls something that is not a function");
  if (callee->callable == Callable::kPlaceholder) {
    charge(tuple->items.size() + callee->text.size());
    const auto extra = static_cast<std::uint32_t>(extras_.size());
    push_node({.kind = Kind::kObject, .index = extra, .text = callee->text, .items = tuple->items});
    extras_.emplace_back();
    return;
  }
  if (new_object && callee->callable != Callable::kOrderedDict && callee->callable != Callable::kSet) {
    fail("makes an object of " + in_quotes(callee->text) + " in a way that PyTorch does not");
  }
  push(call(*callee, tuple->items));
}

Ref Machine::call(const Node& callee, const RefList& args) {
  switch (callee.callable) {
    case Callable::kOrderedDict:
      return collect(Kind::kOrderedDict, args, callee);
    case Callable::kSize:
      return collect(Kind::kTuple, args, callee);
    case Callable::kSet:
      return collect(Kind::kSet, args, callee);
    case Callable::kFrozenSet:
      return collect(Kind::kSet, args, callee);
    case Callable::kRebuildTensor:
    case Callable::kRebuildTensorV2:
    case Callable::kRebuildTensorV3:
      return rebuild_tensor(callee, args);
    case Callable::kRebuildParameter:
      return rebuild_parameter(args);
    case Callable::kEncode:
      return encode(args);
    case Callable::kBytes:
    case Callable::kByteArray: {
      const Node* bytes = args.size() == 1 ? node(args[0], Kind::kBytes) : nullptr;
      if (!args.empty() && bytes == nullptr) fail("makes bytes of something else");
      charge(bytes == nullptr ? 0 : bytes->text.size());
      return add({.kind = Kind::kBytes, .text = bytes == nullptr ? std::string_view() : bytes->text});
    }
    case Callable::kComplex:
      if (args.size() != 2 || args[0].tag != Ref::Tag::kDouble || args[1].tag != Ref::Tag::kDouble) {
        fail("makes a complex number of something else");
      }
      return add({.kind = Kind::kComplex, .items = args});
    case Callable::kDevice:
      if (args.empty() || args.size() > 2) fail("names a device wrongly");
      text_of(args[0], "a device");
      if (args.size() == 2) whole_number(args[1], "a device's number");
      return add({.kind = Kind::kDevice, .items = args});
    case Callable::kTypedList:
      if (args.size() != 1 || node(args[0], Kind::kList) == nullptr) fail("makes a typed list of something else");
      return args[0];
    case Callable::kTypeTag:
      if (args.size() != 2) fail("names a type wrongly");
      text_of(args[1], "a type");
      return args[0];
    case Callable::kStorageType:
    case Callable::kUntypedStorage:
    case Callable::kPlaceholder:
      break;
  }
  fail("calls " + in_quotes(callee.text));
}

/// The containers that a pickle makes by calling their class, from nothing or from one list or tuple.
Ref Machine::collect(Kind kind, const RefList& args, const Node& callee) {
  Node made{.kind = kind};
  if (args.size() > 1) fail("calls " + in_quotes(callee.text) + " with too many arguments");
  if (args.size() == 1) {
    const Node* items = node(args[0]);
    if (items == nullptr || (items->kind != Kind::kList && items->kind != Kind::kTuple)) {
      fail("calls " + in_quotes(callee.text) + " on something that is not a list");
    }
    charge(items->items.size());
    for (const Ref item : items->items) {
      if (kind != Kind::kOrderedDict) {
        if (callee.callable == Callable::kSize) whole_number(item, "a size");
        refs_.append(made.items, {&item, 1});
        continue;
      }
      const Node* pair = node(item);  // the form of Python 2: a list of [key, value]
      if (pair == nullptr || (pair->kind != Kind::kList && pair->kind != Kind::kTuple) || pair->items.size() != 2) {
        fail("makes an OrderedDict of something that is not a list of pairs");
      }
      refs_.append(made.items, pair->items);
    }
  }
  return add(made);
}

/// Protocol 2 writes bytes as a Latin-1 text to be encoded.
Ref Machine::encode(const RefList& args) {
  if (args.size() != 2 || text_of(args[1], "an encoding") != "latin1")
    fail("encodes a text in a way that is not Latin-1");
  const std::string_view text = text_of(args[0], "a text");
  charge(text.size());
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto code = static_cast<unsigned char>(text[i]);
    if (code >= 0x80) {
      if (code > 0xc3) fail("encodes a text that is not Latin-1");
      code = static_cast<unsigned char>((code & 3) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3f));
    }
    bytes.push_back(static_cast<char>(code));
  }
  return add({.kind = Kind::kBytes, .text = keep(std::move(bytes))});
}

void Machine::build() {
  const Ref state = pop();
  const Ref target = top();
  const Node* found = node(target);
  if (found != nullptr && found->kind == Kind::kObject) {
    extras_[found->index].state = {state};
    return;
  }
  const Node* attributes = node(state, Kind::kDict);
  if (found == nullptr || found->kind != Kind::kOrderedDict || attributes == nullptr) {
    fail("sets the state of something that is not plain data");
  }
  // The attributes of an OrderedDict, such as `_metadata` of a state dict: nobody asks for them.
}

/// ("storage", type, key, device, number of elements[, view]): what every tensor's data is referred to by.
void Machine::persistent() {
  const Node* id = node(pop(), Kind::kTuple);
  if (!options_.storages) fail("refers to tensor data, which this kind of file cannot have");
  if (id == nullptr || id->items.size() < 5 || id->items.size() > 6 ||
      text_of(id->items[0], "a reference") != "storage") {
    fail("refers to something that is not a storage");
  }
  const Node* type = node(id->items[1], Kind::kGlobal);
  const bool untyped = type != nullptr && type->callable == Callable::kUntypedStorage;
  if (type == nullptr || (!untyped && type->callable != Callable::kStorageType))
    fail("names an unknown type of storage");
  if (id->items.size() == 6 && id->items[5].tag != Ref::Tag::kNone) {
    fail("has a storage that is a view of another, a form given up before PyTorch 1.0");
  }
  const std::string_view key = text_of(id->items[2], "a storage's key");
  text_of(id->items[3], "a storage's device");
  if (key.size() > kMaxName) fail("has a storage key of " + std::to_string(key.size()) + " bytes");
  const c10::ScalarType dtype = untyped ? c10::ScalarType::Byte : type->dtype;
  const std::int64_t elements = whole_number(id->items[4], "a storage's size");
  const auto bytes = byte_count({&elements, 1}, static_cast<std::int64_t>(c10::elementSize(dtype)));
  if (!bytes) fail("has a storage of an impossible size");
  const std::size_t at =
      storage_index_.insert(key, storages_.size(), [this](std::size_t i) { return storages_[i].key; });
  if (at == storages_.size()) {
    storages_.push_back({key, dtype, options_.storages(key, dtype, *bytes)});
    storage_bytes_ += *bytes;
  } else if (storages_[at].type != dtype) {
    fail("gives storage " + in_quotes(key) + " two types");
  } else if (storages_[at].bytes.nbytes() != static_cast<std::size_t>(*bytes)) {
    fail("gives storage " + in_quotes(key) + " two sizes");
  }
  push_node({.kind = Kind::kStorage, .dtype = dtype, .index = static_cast<std::uint32_t>(at)});
}

Ref Machine::rebuild_tensor(const Node& callee, const RefList& args) {
  const bool v1 = callee.callable == Callable::kRebuildTensor, v3 = callee.callable == Callable::kRebuildTensorV3;
  const std::size_t least = v1 ? 4 : v3 ? 7 : 6;
  if (args.size() < least || args.size() > least + !v1) fail("rebuilds a tensor with a wrong number of arguments");
  const Node* storage = node(args[0], Kind::kStorage);
  if (storage == nullptr) fail("rebuilds a tensor without a storage");
  PickleTensor tensor;
  c10::ScalarType type = storage->dtype;
  if (!v1) {
    if (args[4].tag != Ref::Tag::kBool) fail("does not say whether a tensor requires a gradient");
    expect_empty(args[5], "hooks on a tensor");
    if (args.size() == least + 1) expect_empty(args.back(), "a lazily conjugated or negated tensor");
  }
  if (v3) {
    const Node* dtype = node(args[6], Kind::kDtype);
    if (dtype == nullptr) fail("gives a tensor no type");
    type = dtype->dtype;
  }
  if (tensors_.size() >= kMaxTensors) fail("makes more than a million tensors");
  if (type == c10::ScalarType::Bool && storages_[storage->index].type != type) {
    fail("reads a storage of another type as truth values");
  }
  tensor.value = view_storage(storage->index, type, whole_number(args[1], "an offset"),
                              whole_numbers(args[2], "a shape"), whole_numbers(args[3], "strides"));
  tensors_.push_back(std::move(tensor));
  return add({.kind = Kind::kTensor, .index = static_cast<std::uint32_t>(tensors_.size() - 1)});
}

Ref Machine::rebuild_parameter(const RefList& args) {
  const Node* data = args.size() == 3 ? node(args[0], Kind::kTensor) : nullptr;
  if (data == nullptr || args[1].tag != Ref::Tag::kBool) fail("rebuilds a parameter of something that is not a tensor");
  expect_empty(args[2], "hooks on a parameter");
  return args[0];
}

at::Tensor Machine::view_storage(std::uint32_t storage, c10::ScalarType type, std::int64_t offset, const Numbers& sizes,
                                 const Numbers& strides) {
  const c10::Storage& bytes = storages_[storage].bytes;
  const auto held = static_cast<std::int64_t>(bytes.nbytes()), item = static_cast<std::int64_t>(c10::elementSize(type));
  const std::int64_t elements = held / item;
  if (sizes.size() != strides.size() || sizes.size() > kMaxRank)
    fail("has a tensor whose shape and strides do not match");
  spend(512 + 2 * sizeof(std::int64_t) * sizes.size());  // what LibTorch takes for a view
  const auto needed = byte_count(sizes, item);
  if (!needed || offset < 0 || offset > elements) fail("has a tensor of an impossible size or offset");
  std::int64_t last = offset;  // the furthest element that the tensor reads
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    std::int64_t step = 0;
    if (*needed == 0 && strides[i] >= 0) continue;  // reads nothing, whatever the strides
    if (strides[i] < 0 || (sizes[i] > 0 && __builtin_mul_overflow(sizes[i] - 1, strides[i], &step)) ||
        __builtin_add_overflow(last, step, &last)) {
      fail("has a tensor with impossible strides");
    }
  }
  if (*needed > 0 && last >= elements) {
    fail("has a tensor that reaches beyond its storage of " + std::to_string(elements) + " elements");
  }
  // Expanded tensors repeat what they have; a few bytes must not stand for a terabyte.
  if (*needed > held && (__builtin_add_overflow(expanded_bytes_, *needed, &expanded_bytes_) ||
                         expanded_bytes_ > (std::int64_t{16} << 20) + 4 * storage_bytes_)) {
    fail("repeats a small storage into tensors of " + std::to_string(expanded_bytes_) + " bytes");
  }
  if (*needed == 0) return tensor_over(bytes, type, sizes);
  return tensor_over(bytes, type, sizes, strides, offset);
}

std::int64_t Machine::whole_number(Ref ref, const char* what) {
  if (ref.tag != Ref::Tag::kInt) fail(std::string("has ") + what + " that is not a whole number");
  return ref.integer;
}

Machine::Numbers Machine::whole_numbers(Ref ref, const char* what) {
  const Node* items = node(ref);
  if (items == nullptr || (items->kind != Kind::kTuple && items->kind != Kind::kList)) {
    fail(std::string("has ") + what + " that is not a list of numbers");
  }
  if (items->items.size() > kMaxRank) fail(std::string("has ") + what + " of more than 64 dimensions");
  Numbers numbers;
  for (const Ref item : items->items) numbers.push_back(whole_number(item, what));
  return numbers;
}

std::string_view Machine::text_of(Ref ref, const char* what) {
  const Node* text = node(ref, Kind::kText);
  if (text == nullptr) fail(std::string("has ") + what + " that is not text");
  return text->text;
}

void Machine::expect_empty(Ref ref, const char* what) {
  const Node* found = node(ref);
  const bool dict = found != nullptr && (found->kind == Kind::kDict || found->kind == Kind::kOrderedDict);
  if (ref.tag != Ref::Tag::kNone && !(dict && found->items.empty())) fail(std::string("asks for ") + what);
}

}  // namespace vicha::pickle

// From the machine's nodes to the tree that the caller gets.
#include <bit>
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "checkpoint/pickle/pickle_vm.h"

namespace vicha::pickle {
namespace {

constexpr int kMaxDepth = 200;
// A shared part is copied at each place, so a few bytes could stand for a tree without end. In real pickles the
// costliest byte pairs are references to short texts.
constexpr std::uint64_t kCostPerByte = 48, kFreeCost = 4 << 20;

/// Equal for equal keys as Python compares them, for the types that are used as keys.
std::string key_identity(const PickleValue& key, int depth = 0) {
  if (depth > 8) return "";  // each level copies what is inside
  if (const auto* text = key.get_if<std::string>()) return "t" + *text;
  if (const auto* number = key.get_if<std::int64_t>()) return "i" + std::to_string(*number);
  if (const auto* truth = key.get_if<bool>()) return *truth ? "i1" : "i0";
  if (const auto* real = key.get_if<double>()) {
    const bool fits = *real > -9e18 && *real < 9e18;
    const std::int64_t whole = fits ? static_cast<std::int64_t>(*real) : 0;  // 1.0 is the same key as 1
    return fits && static_cast<double>(whole) == *real ? "i" + std::to_string(whole) : "r" + key_text(key);
  }
  if (const auto* bytes = key.get_if<PickleBytes>()) return "b" + bytes->data;
  if (key.is_none()) return "n";
  if (const auto* sequence = key.get_if<PickleSequence>(); sequence && sequence->kind == PickleSequence::Kind::kTuple) {
    std::string identity = "(";
    for (const PickleValue& item : sequence->items) {
      const std::string part = key_identity(item, depth + 1);
      if (part.empty()) return "";
      identity += std::to_string(part.size()) + ":" + part;
    }
    return identity;
  }
  return "";
}

}  // namespace

/// Called before memory is taken.
void Machine::charge_tree(std::uint64_t bytes) {
  tree_cost_ += bytes;
  if (tree_cost_ > kFreeCost + kCostPerByte * at_) fail("repeats shared parts until they are far larger than the file");
}

PickleValue Machine::tree(Ref ref, int depth) {
  if (depth > kMaxDepth) fail("nests deeper than 200 levels, or a container in it holds itself");
  switch (ref.tag) {
    case Ref::Tag::kNone:
    case Ref::Tag::kUnset:
      return {};
    case Ref::Tag::kBool:
      return PickleValue::Data(ref.integer != 0);
    case Ref::Tag::kInt:
      return PickleValue::Data(ref.integer);
    case Ref::Tag::kDouble:
      return PickleValue::Data(ref.real);
    case Ref::Tag::kNode:
      break;
  }
  const Node& found = nodes_[ref.node];
  charge_tree(found.text.size() + (found.kind == Kind::kObject ? sizeof(PickleObject) : 0));
  return tree_node(found, depth);
}

PickleValue Machine::tree_node(const Node& node, int depth) {
  const auto sequence = [&](PickleSequence::Kind kind) {
    return PickleValue::Data(PickleSequence{kind, tree_items(node.items, depth)});
  };
  switch (node.kind) {
    case Kind::kText:
      return PickleValue::Data(node.text);
    case Kind::kBytes:
    case Kind::kByteArray:
      return PickleValue::Data(PickleBytes{node.text, node.kind == Kind::kByteArray});
    case Kind::kBigInt:
      return PickleValue::Data(PickleBigInt{node.text});
    case Kind::kComplex:
      return PickleValue::Data(std::complex<double>(node.items[0].real, node.items[1].real));
    case Kind::kList:
      return sequence(PickleSequence::Kind::kList);
    case Kind::kTuple:
      return sequence(PickleSequence::Kind::kTuple);
    case Kind::kSet:
      return sequence(PickleSequence::Kind::kSet);
    case Kind::kFrozenSet:
      return sequence(PickleSequence::Kind::kFrozenSet);
    case Kind::kSize:
      return sequence(PickleSequence::Kind::kSize);
    case Kind::kDict:
    case Kind::kOrderedDict: {
      PickleDict dict{node.kind == Kind::kOrderedDict, tree_pairs(node.items, depth), {}};
      if (node.extra) dict.attributes = tree_pairs(node.extra->pairs, depth);
      return PickleValue::Data(std::move(dict));
    }
    case Kind::kTensor:
      return PickleValue::Data(tensors_[node.index]);
    case Kind::kDtype:
      return PickleValue::Data(PickleDtype{node.dtype});
    case Kind::kDevice: {
      PickleItems arguments = tree_items(node.items, depth);
      PickleDevice device{*arguments[0].get_if<std::string>(), {arguments.begin() + 1, arguments.end()}};
      return PickleValue::Data(std::move(device));
    }
    case Kind::kObject: {
      const std::size_t space = node.text.find(' ');
      auto object = std::make_shared<PickleObject>();
      object->module = node.text.substr(0, space);
      object->name = node.text.substr(space + 1);
      object->called = node.extra->called;
      object->arguments = tree_items(node.items, depth);
      object->appended = tree_items(node.extra->appended, depth);
      object->state = tree_items(node.extra->state, depth);
      object->items = tree_pairs(node.extra->pairs, depth);
      return PickleValue::Data(std::shared_ptr<const PickleObject>(std::move(object)));
    }
    case Kind::kStorage:
      fail("holds a bare storage where a tensor was expected");
    case Kind::kGlobal:
      // A class of settings as a value; anything else was refused when its name came.
      fail("holds '" + node.text + "' itself as a value");
  }
  fail("holds something unknown");
}

PickleItems Machine::tree_items(const std::vector<Ref>& refs, int depth) {
  charge_tree(refs.size() * sizeof(PickleValue));
  PickleItems items;
  items.reserve(refs.size());
  for (const Ref ref : refs) items.push_back(tree(ref, depth + 1));
  return items;
}

/// As Python fills a dict: a key that comes again replaces the value and keeps its place.
PicklePairs Machine::tree_pairs(const std::vector<Ref>& refs, int depth) {
  charge_tree(refs.size() * sizeof(PickleValue));
  PicklePairs pairs;
  pairs.reserve(refs.size() / 2);
  std::unordered_map<std::string, std::size_t> seen;
  for (std::size_t i = 0; i + 1 < refs.size(); i += 2) {
    PickleValue key = tree(refs[i], depth + 1);
    const std::string identity = key_identity(key);
    if (identity.empty()) fail("has a dict with a key that is neither text nor number");
    charge_tree(identity.size() + 80);  // the entry in `seen`
    const auto [at, added] = seen.try_emplace(identity, pairs.size());
    if (added) {
      pairs.emplace_back(std::move(key), tree(refs[i + 1], depth + 1));
    } else {
      pairs[at->second].second = tree(refs[i + 1], depth + 1);
    }
  }
  return pairs;
}

}  // namespace vicha::pickle

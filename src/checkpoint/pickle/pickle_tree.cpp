#include "checkpoint/pickle/pickle_tree.h"

#include <algorithm>
#include <stdexcept>

#include "checkpoint/tensors/in_quotes.h"

namespace vicha::pickle {
namespace {

constexpr int kMaxDepth = 200;

}  // namespace

void TreeBuilder::fail(const std::string& what) const {
  fail_(what);
  throw std::logic_error("the failure of a tree does not throw");
}

PickleValue TreeBuilder::run(Ref root) {
  int height = 0;
  return value(root, 0, height);
}

/// `height` becomes the larger of itself and the height of the value. The depth is that of the first place where a node
/// is met, so both are needed: later places may lie deeper.
PickleValue TreeBuilder::value(Ref ref, int depth, int& height) {
  switch (ref.tag) {
    case Ref::Tag::kNone:
    case Ref::Tag::kUnset:
      return {};
    case Ref::Tag::kBool:
      return ref.integer != 0;
    case Ref::Tag::kInt:
      return ref.integer;
    case Ref::Tag::kDouble:
      return ref.real;
    case Ref::Tag::kNode:
      break;
  }
  Node& node = nodes_[ref.node];
  if (node.height == Node::kBeingBuilt) fail("has a container that holds itself");
  if (node.height == Node::kNotBuilt) {
    if (depth > kMaxDepth) fail("nests deeper than 200 levels");
    node.height = Node::kBeingBuilt;
    int own = 0;
    PickleValue built = made(node, depth, own);
    if (own > kMaxDepth) fail("nests deeper than 200 levels");
    node.height = static_cast<std::uint8_t>(own);
    node.index = static_cast<std::uint32_t>(made_.size());
    made_.push_back({std::move(built)});
  }
  height = std::max(height, node.height + 1);
  return made_[node.index].value;
}

PickleValue TreeBuilder::made(Node& node, int depth, int& height) {
  using Sequence = PickleSequence::Kind;
  switch (node.kind) {
    case Kind::kText:
      return std::string(node.text);
    case Kind::kBytes:
      return PickleBytes{std::string(node.text)};
    case Kind::kBigInt:
      return PickleBigInt{std::string(node.text)};
    case Kind::kComplex:
      return std::complex<double>(node.items[0].real, node.items[1].real);
    case Kind::kList:
      return PickleSequence{Sequence::kList, items(node.items, depth, height)};
    case Kind::kTuple:
      return PickleSequence{Sequence::kTuple, items(node.items, depth, height)};
    case Kind::kSet:
      return PickleSequence{Sequence::kSet, items(node.items, depth, height)};
    case Kind::kDict:
    case Kind::kOrderedDict:
      return PickleDict{pairs(node.items, depth, height)};
    case Kind::kTensor:
      return std::move(tensors_[node.index]);
    case Kind::kDtype:
      return PickleDtype{node.dtype};
    case Kind::kDevice: {
      const PickleItems arguments = items(node.items, depth, height);
      return PickleDevice{*arguments[0].get_if<std::string>()};
    }
    case Kind::kObject: {
      const std::size_t space = node.text.find(' ');
      PickleObject object;
      object.module = node.text.substr(0, space);
      object.name = node.text.substr(space + 1);
      object.arguments = items(node.items, depth, height);
      const Extra& extra = extras_[node.index];
      object.appended = items(extra.appended, depth, height);
      object.state = items(extra.state, depth, height);
      object.items = pairs(extra.pairs, depth, height);
      return object;
    }
    case Kind::kStorage:
      fail("holds a bare storage where a tensor was expected");
    case Kind::kGlobal:
      // A class of settings as a value; anything else was refused when its name came.
      fail("holds " + in_quotes(node.text) + " itself as a value");
  }
  fail("holds something unknown");
}

PickleItems TreeBuilder::items(std::span<const Ref> refs, int depth, int& height) {
  PickleItems items;
  items.reserve(refs.size());
  for (const Ref ref : refs) items.push_back(value(ref, depth + 1, height));
  return items;
}

/// As Python fills a dict: a key that comes again replaces the value and keeps its place.
PicklePairs TreeBuilder::pairs(std::span<const Ref> refs, int depth, int& height) {
  PicklePairs pairs;
  pairs.reserve(refs.size() / 2);
  for (std::size_t i = 0; i + 1 < refs.size(); i += 2) {
    PickleValue key = value(refs[i], depth + 1, height);
    pairs.emplace_back(std::move(key), value(refs[i + 1], depth + 1, height));
  }
  // Keys are compared when all is made: the dicts below look into the same table.
  ++dicts_;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const std::uint32_t key = key_of(refs[2 * i]);
    if (key == 0) fail("has a dict with a key that is neither text nor number");
    Seen& seen = seen_[key - 1];
    if (seen.dict == dicts_) {
      pairs[seen.position].second = std::move(pairs[i].second);
      continue;
    }
    seen = {dicts_, static_cast<std::uint32_t>(kept)};
    if (kept < i) pairs[kept] = std::move(pairs[i]);
    ++kept;
  }
  pairs.resize(kept);
  return pairs;
}

/// The number of a key that has been built; keys that Python would call equal have the same. 0 is no key that this
/// reader takes. A long text that is a key of many dicts is looked at once.
std::uint32_t TreeBuilder::key_of(Ref ref) {
  const auto number = [this](auto value) {
    return numbered('n', {reinterpret_cast<const char*>(&value), sizeof value});
  };
  switch (ref.tag) {
    case Ref::Tag::kNone:
    case Ref::Tag::kUnset:
      return numbered('0', "");
    case Ref::Tag::kBool:
    case Ref::Tag::kInt:
      return number(ref.integer);
    case Ref::Tag::kDouble: {
      const bool fits = ref.real > -9e18 && ref.real < 9e18;
      const std::int64_t whole = fits ? static_cast<std::int64_t>(ref.real) : 0;  // 1.0 is the same key as 1
      if (fits && static_cast<double>(whole) == ref.real) return number(whole);
      return numbered('r', {reinterpret_cast<const char*>(&ref.real), sizeof ref.real});
    }
    case Ref::Tag::kNode:
      break;
  }
  const Node& node = nodes_[ref.node];
  if (made_[node.index].key == 0) made_[node.index].key = key_of_content(node);
  return made_[node.index].key;
}

/// The depth of tuples in tuples is bounded, as these have been built.
std::uint32_t TreeBuilder::key_of_content(const Node& node) {
  switch (node.kind) {
    case Kind::kText:
      return numbered(node.text);
    case Kind::kBytes:
      return numbered('b', node.text);
    case Kind::kBigInt:
      return numbered('l', node.text);
    case Kind::kTuple: {
      std::string content;
      for (const Ref item : node.items) {
        const std::uint32_t key = key_of(item);
        if (key == 0) return 0;
        content.append(reinterpret_cast<const char*>(&key), sizeof key);
      }
      return numbered('(', content);
    }
    default:
      return 0;
  }
}

std::uint32_t TreeBuilder::numbered(char kind, std::string_view content) {
  std::string name{'\xff', kind};
  name += content;
  const std::size_t known = key_names_.size();
  other_keys_.push_back(std::move(name));
  const std::uint32_t number = numbered(other_keys_.back());
  if (key_names_.size() == known) other_keys_.pop_back();
  return number;
}

/// The name is to live as long as the builder.
std::uint32_t TreeBuilder::numbered(std::string_view name) {
  const std::size_t at = key_index_.insert(name, key_names_.size(), [this](std::size_t i) { return key_names_[i]; });
  if (at == key_names_.size()) {
    key_names_.push_back(name);
    seen_.emplace_back();
  }
  return static_cast<std::uint32_t>(at + 1);
}

}  // namespace vicha::pickle

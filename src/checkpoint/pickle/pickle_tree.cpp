#include "checkpoint/pickle/pickle_tree.h"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <unordered_map>

#include "checkpoint/tensors/in_quotes.h"

namespace vicha::pickle {
namespace {

constexpr int kMaxDepth = 200;

}  // namespace

/// Keys that Python would call equal get equal tokens. Texts, bytes and tuples get a number when they are first used as
/// a key: a long text that is a key of many dicts is looked at once.
class TreeBuilder::KeyTokens {
 public:
  struct Token {
    char kind = 0;  ///< 0: no key that this reader takes
    std::uint64_t bits = 0;
    bool operator==(const Token&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Token& token) const {
      return std::hash<std::uint64_t>()(token.bits * 0x9e3779b97f4a7c15U + static_cast<unsigned char>(token.kind));
    }
  };

  explicit KeyTokens(const std::deque<Node>& nodes) : nodes_(nodes) {}

  Token of(Ref ref, const PickleValue& key) {
    if (const auto* number = key.get_if<std::int64_t>()) return {'i', static_cast<std::uint64_t>(*number)};
    if (const auto* truth = key.get_if<bool>()) return {'i', *truth ? 1U : 0U};
    if (const auto* real = key.get_if<double>()) {
      const bool fits = *real > -9e18 && *real < 9e18;
      const std::int64_t whole = fits ? static_cast<std::int64_t>(*real) : 0;  // 1.0 is the same key as 1
      const bool is_whole = fits && static_cast<double>(whole) == *real;
      return is_whole ? Token{'i', static_cast<std::uint64_t>(whole)} : Token{'r', std::bit_cast<std::uint64_t>(*real)};
    }
    if (key.is_none()) return {'n', 0};
    if (ref.tag != Ref::Tag::kNode) return {};
    if (const auto known = of_node_.find(ref.node); known != of_node_.end()) return known->second;
    const Token made = of_content(nodes_[ref.node], key);
    of_node_.emplace(ref.node, made);
    return made;
  }

 private:
  /// The depth of tuples in tuples is bounded, as these have been built.
  Token of_content(const Node& node, const PickleValue& key) {
    if (const auto* text = key.get_if<std::string>()) {
      return {'t', texts_.try_emplace(std::string_view(*text), texts_.size()).first->second};
    }
    if (const auto* bytes = key.get_if<PickleBytes>()) return numbered('b', bytes->data);
    if (const auto* number = key.get_if<PickleBigInt>()) return numbered('l', number->bytes);
    if (node.kind != Kind::kTuple) return {};
    std::string content;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const Token token = of(node.items[i], key.items()[i]);
      if (token.kind == 0) return {};
      content += token.kind;
      content.append(reinterpret_cast<const char*>(&token.bits), sizeof token.bits);
    }
    return numbered('(', std::move(content));
  }

  Token numbered(char kind, std::string content) {
    return {kind, others_.try_emplace(kind + std::move(content), others_.size()).first->second};
  }

  const std::deque<Node>& nodes_;
  std::unordered_map<std::string_view, std::uint64_t> texts_;  // of values that the builder keeps
  std::unordered_map<std::string, std::uint64_t> others_;
  std::unordered_map<std::uint32_t, Token> of_node_;
};

TreeBuilder::TreeBuilder(std::deque<Node>& nodes, std::vector<PickleTensor>& tensors, Fail fail)
    : nodes_(nodes),
      tensors_(tensors),
      fail_(std::move(fail)),
      values_(nodes.size()),
      heights_(nodes.size(), kNotBuilt),
      keys_(std::make_unique<KeyTokens>(nodes)) {}

TreeBuilder::~TreeBuilder() = default;

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
  std::uint8_t& state = heights_[ref.node];
  if (state == kBeingBuilt) fail("has a container that holds itself");
  if (state == kNotBuilt) {
    if (depth > kMaxDepth) fail("nests deeper than 200 levels");
    state = kBeingBuilt;
    int own = 0;
    values_[ref.node] = made(nodes_[ref.node], depth, own);
    if (own > kMaxDepth) fail("nests deeper than 200 levels");
    heights_[ref.node] = static_cast<std::uint8_t>(own);
  }
  height = std::max(height, heights_[ref.node] + 1);
  return values_[ref.node];
}

PickleValue TreeBuilder::made(Node& node, int depth, int& height) {
  using Sequence = PickleSequence::Kind;
  switch (node.kind) {
    case Kind::kText:
      return std::move(node.text);
    case Kind::kBytes:
      return PickleBytes{std::move(node.text)};
    case Kind::kBigInt:
      return PickleBigInt{std::move(node.text)};
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
      return tensors_[node.index];
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
      object.appended = items(node.extra->appended, depth, height);
      object.state = items(node.extra->state, depth, height);
      object.items = pairs(node.extra->pairs, depth, height);
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
  std::unordered_map<KeyTokens::Token, std::size_t, KeyTokens::Hash> seen;
  seen.reserve(refs.size() / 2);
  for (std::size_t i = 0; i + 1 < refs.size(); i += 2) {
    PickleValue key = value(refs[i], depth + 1, height);
    const KeyTokens::Token token = keys_->of(refs[i], key);
    if (token.kind == 0) fail("has a dict with a key that is neither text nor number");
    PickleValue held = value(refs[i + 1], depth + 1, height);
    const auto [at, added] = seen.try_emplace(token, pairs.size());
    if (added) {
      pairs.emplace_back(std::move(key), std::move(held));
    } else {
      pairs[at->second].second = std::move(held);
    }
  }
  return pairs;
}

}  // namespace vicha::pickle

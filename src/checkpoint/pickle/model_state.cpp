#include "checkpoint/pickle/model_state.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {
namespace {

// Where programs put weights, and what some put around them: Lightning, DINO (teacher), DataParallel and DeepSpeed
// (module), moving averages.
constexpr std::string_view kModelKeys[] = {"model",      "state_dict",     "model_state_dict", "model_state", "net",
                                           "network",    "module",         "weights",          "params",      "teacher",
                                           "model_ema",  "state_dict_ema", "ema_state_dict",   "ema_model",   "ema",
                                           "params_ema", "student"};
constexpr std::size_t kLongestModelKey = 20;
constexpr int kMostWrappers = 3;

// Shared parts have many places; walks from place to place end here.
constexpr std::size_t kMostSteps = 4 << 20, kMostNames = 64 << 20;

bool has_places(const PickleValue& value) { return value.get_if<PickleDict>() || value.get_if<PickleSequence>(); }

/// Goes through the tensors of a tree with one text that grows and shrinks, not one per level.
class TensorWalk {
 public:
  using Visit = std::function<void(const at::Tensor& tensor, const std::string& path)>;
  TensorWalk(std::string_view where, Visit visit) : where_(where), visit_(std::move(visit)) {}

  void walk(const PickleValue& value) {
    if (++steps_ > kMostSteps) throw DataError(where_, "repeats shared parts until they are far larger than the file");
    if (const auto* tensor = value.get_if<PickleTensor>()) {
      if ((bytes_ += path_.size()) > kMostNames)
        throw DataError(where_, "has names of tensors that repeat without end");
      visit_(tensor->value, path_);
    } else if (const auto* dict = value.get_if<PickleDict>()) {
      for (const auto& [key, item] : dict->items) {
        if (has_places(item) || item.get_if<PickleTensor>()) below(key_text(key), item);
      }
    } else if (const auto* sequence = value.get_if<PickleSequence>()) {
      for (std::size_t i = 0; i < sequence->items.size(); ++i) below(std::to_string(i), sequence->items[i]);
    }
  }

 private:
  void below(const std::string& part, const PickleValue& value) {
    const std::size_t length = path_.size();
    if (length > 0) path_ += '.';
    path_ += part;
    walk(value);
    path_.resize(length);
  }

  std::string_view where_;
  Visit visit_;
  std::string path_;
  std::size_t steps_ = 0, bytes_ = 0;
};

/// Finds the tensor that a dotted name could mean below a container, though keys have dots of their own. It goes the
/// way that the name says, so shared parts cost nothing.
class PathSearch {
 public:
  explicit PathSearch(std::string_view where) : where_(where) {}

  /// The name's way through `items`, leaving out what `items` holds directly; nothing if there is none.
  std::optional<std::string> below(const PicklePairs& items, std::string_view name) {
    if (items.empty()) return std::nullopt;
    visited_.clear();
    return search(&items,
                  index_of(&items,
                           [&](const auto& add) {
                             for (const auto& [key, value] : items) {
                               if (has_places(value)) add(key_text(key), value);
                             }
                           }),
                  name);
  }

 private:
  using Children = std::unordered_multimap<std::string, const PickleValue*>;

  template <class Fill>
  const Children& index_of(const void* container, const Fill& fill) {
    const auto [at, added] = indices_.try_emplace(container);
    if (added) {
      fill([&](std::string key, const PickleValue& value) {
        if ((bytes_ += key.size() + 64) > kMostNames) throw DataError(where_, "has keys that repeat without end");
        at->second.emplace(std::move(key), &value);
      });
    }
    return at->second;
  }

  const Children& children(const PickleValue& value) {
    if (const auto* dict = value.get_if<PickleDict>()) {
      return index_of(dict, [&](const auto& add) {
        for (const auto& [key, item] : dict->items) {
          if (has_places(item) || item.template get_if<PickleTensor>()) add(key_text(key), item);
        }
      });
    }
    return index_of(value.get_if<PickleSequence>(), [&](const auto& add) {
      for (std::size_t i = 0; i < value.items().size(); ++i) add(std::to_string(i), value.items()[i]);
    });
  }

  std::optional<std::string> search(const void* container, const Children& children, std::string_view name) {
    if (++steps_ > kMostSteps) throw DataError(where_, "has names of tensors that cannot be told apart");
    if (!visited_.emplace(container, name.size()).second) return std::nullopt;
    for (std::size_t end = 0; end <= name.size(); ++end) {
      if (end < name.size() && name[end] != '.') continue;
      if (auto way =
              through(children, name.substr(0, end), name.substr(std::min(end + 1, name.size())), end < name.size())) {
        return way;
      }
    }
    // An empty key adds nothing to a path.
    return name.empty() ? std::nullopt : through(children, "", name, true);
  }

  std::optional<std::string> through(const Children& children, std::string_view key, std::string_view rest, bool more) {
    const auto [begin, end] = children.equal_range(std::string(key));
    for (auto at = begin; at != end; ++at) {
      const std::string here = "[" + in_quotes(key) + "]";
      if (at->second->get_if<PickleTensor>()) {
        if (!more) return here;
        continue;
      }
      if (!more || !has_places(*at->second)) continue;
      const void* inner = at->second->get_if<PickleDict>();
      if (inner == nullptr) inner = at->second->get_if<PickleSequence>();
      if (const auto way = search(inner, this->children(*at->second), rest)) return here + *way;
    }
    return std::nullopt;
  }

  std::string_view where_;
  std::unordered_map<const void*, Children> indices_;
  std::set<std::pair<const void*, std::size_t>> visited_;
  std::size_t steps_ = 0, bytes_ = 0;
};

/// Tensors of the dict and of dicts below them that would have the same name: `{'a.b': X, 'a': {'b': Y}}`.
void refuse_ambiguity(const PickleDict& dict, const std::string& place, std::string_view where) {
  PicklePairs containers;
  for (const auto& item : dict.items) {
    if (has_places(item.second)) containers.push_back(item);
  }
  if (containers.empty()) return;
  PathSearch search(where);
  for (const auto& [key, value] : dict.items) {
    const auto* name = key.get_if<std::string>();
    if (name == nullptr || !value.get_if<PickleTensor>()) continue;
    const auto way = search.below(containers, *name);
    if (!way) continue;
    throw DataError(where,
                    "has two tensors that are " + in_quotes(*name) + ": " + place + "[" + in_quotes(*name) + "] and " +
                        place + *way,
                    "Load it in Python and save the one that is meant");
  }
}

using UsualParts = std::array<const PickleValue*, std::size(kModelKeys)>;

/// What the dict has under each of kModelKeys, in one pass: it may be a state dict of 200,000 names.
UsualParts usual_parts(const PickleValue& value) {
  UsualParts parts{};
  const auto* dict = value.get_if<PickleDict>();
  if (dict == nullptr) return parts;
  for (const auto& [key, inner] : dict->items) {
    const auto* text = key.get_if<std::string>();
    if (text == nullptr || text->size() > kLongestModelKey) continue;
    const auto at = std::ranges::find(kModelKeys, *text);
    if (at != std::end(kModelKeys)) parts[static_cast<std::size_t>(at - std::begin(kModelKeys))] = &inner;
  }
  return parts;
}

/// Weights below the keys that programs use, in the order of preference.
void collect(const PickleValue& value, const std::string& path, int depth, std::vector<ModelState>& found) {
  const UsualParts parts = usual_parts(value);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string_view key = kModelKeys[i];
    const PickleValue* inner = parts[i];
    if (inner == nullptr) continue;
    const std::string place = path.empty() ? std::string(key) : path + "." + std::string(key);
    if (is_state_dict(*inner)) {
      found.push_back({place, inner->get_if<PickleDict>(), {}});
    } else if (depth < kMostWrappers) {
      collect(*inner, place, depth + 1, found);
    }
  }
}

std::string keys_of(const PicklePairs& items) {
  std::string keys;
  for (std::size_t i = 0; i < std::min<std::size_t>(items.size(), 10); ++i) {
    keys += (i == 0 ? "" : ", ") + in_quotes(key_text(items[i].first).substr(0, 100));
  }
  return keys + (items.size() > 10 ? ", …" : "");
}

[[noreturn]] void refuse_tree(const PickleValue& root, std::string_view where) {
  const std::string remedy = "Wanted is what torch.save(model.state_dict(), FILE) writes, alone or as 'model'";
  const auto* top = root.get_if<PickleDict>();
  if (root.get_if<PickleTensor>()) throw DataError(where, "holds one tensor without a name, not weights", remedy);
  if (root.get_if<PickleSequence>()) throw DataError(where, "holds a list, not named weights", remedy);
  if (top == nullptr) throw DataError(where, "holds no dict of named tensors, so no weights", remedy);
  if (top->items.empty()) throw DataError(where, "holds no weights: its dict is empty", remedy);
  for (const std::string_view key : kModelKeys) {
    const PickleValue* inner = root.find(key);
    if (inner == nullptr) continue;
    const auto* dict = inner->get_if<PickleDict>();
    const std::string what = dict == nullptr       ? "no dict of tensors"
                             : dict->items.empty() ? "empty"
                                                   : "without named tensors (it has " + keys_of(dict->items) + ")";
    throw DataError(where, "holds no weights: its '" + std::string(key) + "' is " + what, remedy);
  }
  throw DataError(where,
                  "holds no weights: neither its top level nor a part of it is a dict of named tensors; its top level "
                  "has " +
                      keys_of(top->items),
                  remedy);
}

}  // namespace

StateDict flatten_tensors(const PickleValue& root, std::string_view where) {
  StateDict tensors;
  TensorWalk(where, [&](const at::Tensor& tensor, const std::string& path) {
    if (tensors.contains(path)) throw DataError(where, "has two tensors under the path " + in_quotes(path));
    tensors.set(path, tensor);
  }).walk(root);
  return tensors;
}

bool is_state_dict(const PickleValue& value) {
  const auto* dict = value.get_if<PickleDict>();
  return dict != nullptr &&
         std::all_of(dict->items.begin(), dict->items.end(),
                     [](const auto& item) { return item.first.template get_if<std::string>() != nullptr; }) &&
         std::any_of(dict->items.begin(), dict->items.end(),
                     [](const auto& item) { return item.second.template get_if<PickleTensor>() != nullptr; });
}

ModelState locate_model_state(const PickleValue& root, std::string_view where) {
  const auto* top = root.get_if<PickleDict>();
  std::vector<ModelState> found;
  collect(root, "", 1, found);
  const bool is_bare = is_state_dict(root);
  if (is_bare) {
    refuse_ambiguity(*top, "the file", where);
    found.push_back({"", top, {}});
  }
  const bool has_usual_key = std::ranges::any_of(usual_parts(root), [](const auto* part) { return part != nullptr; });
  if (found.empty() && top != nullptr && !has_usual_key) {
    for (const auto& [key, value] : top->items) {
      if (is_state_dict(value)) found.push_back({key_text(key), value.get_if<PickleDict>(), {}});
    }
    if (found.size() > 1) {
      throw DataError(where,
                      "holds several dicts of tensors (" + in_quotes(found[0].key) + ", " + in_quotes(found[1].key) +
                          (found.size() > 2 ? ", …" : "") + "), and nothing says which are the weights",
                      "Load it in Python and save the one that is meant as 'model'");
    }
  }
  if (found.empty()) refuse_tree(root, where);
  ModelState chosen = found.front();
  if (!chosen.key.empty()) refuse_ambiguity(*chosen.dict, "its " + in_quotes(chosen.key), where);
  for (std::size_t i = 1; i < found.size(); ++i) {
    if (found[i].dict != chosen.dict && !found[i].key.empty()) chosen.others.push_back(found[i].key);
  }
  return chosen;
}

StateDict model_tensors(const ModelState& state) {
  StateDict tensors;
  for (const auto& [key, value] : state.dict->items) {
    if (const auto* tensor = value.get_if<PickleTensor>()) tensors.set(*key.get_if<std::string>(), tensor->value);
  }
  return tensors;
}

StateDict find_model_state(const PickleValue& root, std::string_view where) {
  return model_tensors(locate_model_state(root, where));
}

}  // namespace vicha

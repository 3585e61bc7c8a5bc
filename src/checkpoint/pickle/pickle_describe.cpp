#include "checkpoint/pickle/pickle_describe.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "checkpoint/tensors/dtypes.h"

namespace vicha {
namespace {

using Json = nlohmann::json;

// A text that is longer says little to people and may stand at many places.
constexpr std::size_t kLongestText = 2000;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;  // clang 16 does not deduce aggregates

std::string json_text(const std::string& text) {
  const bool cut = text.size() > kLongestText;
  const std::string shown = cut ? text.substr(0, kLongestText) + "… (" + std::to_string(text.size()) + " bytes)" : text;
  return Json(shown).dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_container(const PickleValue& value) {
  return value.get_if<PickleSequence>() || value.get_if<PickleDict>() || value.get_if<PickleTensor>() ||
         value.get_if<PickleObject>();
}

/// Appends to one text; a tree of JSON values would cost many times as much. Depth is bounded by the reader's, the
/// number of places by `most`: parts of the tree may be shared.
class Describer {
 public:
  Describer(const PickleDict* weights, std::size_t most) : weights_(weights), most_(most) {}

  std::string run(const PickleValue& root) {
    value(root, 0);
    return std::move(text_) + "\n";
  }

 private:
  void value(const PickleValue& v, int depth) {
    if (text_.size() > most_) return void(text_ += "\"…\"");
    v.visit(Overloaded{
        [&](std::monostate) { text_ += "null"; },
        [&](bool b) { text_ += b ? "true" : "false"; },
        [&](std::int64_t i) { text_ += std::to_string(i); },
        [&](double d) { text_ += std::isfinite(d) ? Json(d).dump() : json_text(std::to_string(d)); },
        [&](const std::complex<double>& c) {
          text_ += json_text(std::to_string(c.real()) + " + " + std::to_string(c.imag()) + "j");
        },
        [&](const PickleBigInt& i) { field("integer of bytes", i.bytes.size()); },
        [&](const std::string& s) { text_ += json_text(s); },
        [&](const PickleBytes& b) { field("bytes", b.data.size()); },
        [&](const PickleSequence& s) { items(s.items, depth); },
        [&](const PickleDict& d) { dict(d, depth); },
        [&](const PickleTensor& t) {
          text_ += "{\"tensor\": \"" + std::string(find_dtype(t.value.scalar_type())->torch) +
                   "\", \"shape\": " + Json(t.value.sizes().vec()).dump() + "}";
        },
        [&](const PickleDtype& d) { text_ += json_text("torch." + std::string(find_dtype(d.type)->torch)); },
        [&](const PickleDevice& d) { text_ += json_text(d.type); },
        [&](const PickleObject& o) { object(o, depth); },
    });
  }

  void field(const char* name, std::size_t number) {
    text_ += "{\"" + std::string(name) + "\": " + std::to_string(number) + "}";
  }

  void line(int depth) {
    text_ += '\n';
    text_.append(2 * static_cast<std::size_t>(std::min(depth, 8)), ' ');
  }

  void items(const PickleItems& list, int depth) {
    const bool lines = std::any_of(list.begin(), list.end(), is_container);
    text_ += '[';
    for (const PickleValue& item : list) {
      if (text_.size() > most_ && &item != list.data()) break;
      if (&item != list.data()) text_ += lines ? "," : ", ";
      if (lines) line(depth + 1);
      value(item, depth + 1);
    }
    if (lines) line(depth);
    text_ += ']';
  }

  /// Keys that are no texts, or would look the same, as a list of pairs: nothing merges.
  void pairs(const PicklePairs& list, int depth) {
    std::unordered_set<std::string> keys;
    const bool plain = std::all_of(list.begin(), list.end(), [&](const auto& pair) {
      const bool named = pair.first.template get_if<std::string>() || pair.first.template get_if<std::int64_t>();
      return named && keys.insert(key_text(pair.first).substr(0, kLongestText)).second;
    });
    text_ += plain ? '{' : '[';
    for (const auto& [key, item] : list) {
      if (text_.size() > most_ && &key != &list.front().first) break;
      if (&key != &list.front().first) text_ += ",";
      line(depth + 1);
      if (plain) {
        text_ += json_text(key_text(key)) + ": ";
        value(item, depth + 1);
        continue;
      }
      text_ += '[';
      value(key, depth + 1);
      text_ += ", ";
      value(item, depth + 1);
      text_ += ']';
    }
    if (!list.empty()) line(depth);
    text_ += plain ? '}' : ']';
  }

  void dict(const PickleDict& d, int depth) {
    if (&d != weights_) return pairs(d.items, depth);
    PicklePairs others;
    for (const auto& [key, item] : d.items) {
      if (item.get_if<PickleTensor>() == nullptr) others.emplace_back(key, item);
    }
    if (!others.empty()) return pairs(others, depth);
    text_ += json_text("the weights, " + std::to_string(d.items.size()) + " tensors");
  }

  void object(const PickleObject& o, int depth) {
    text_ += "{\"class\": " + json_text(o.module + "." + o.name);
    const auto part = [&](const char* name, const PickleItems& list) {
      if (list.empty()) return;
      text_ += ", \"" + std::string(name) + "\": ";
      items(list, depth + 1);
    };
    part("arguments", o.arguments);
    part("items", o.appended);
    part("state", o.state);
    if (!o.items.empty()) {
      text_ += ", \"pairs\": ";
      pairs(o.items, depth + 1);
    }
    text_ += '}';
  }

  const PickleDict* weights_;
  std::size_t most_;
  std::string text_;
};

}  // namespace

std::string describe_pickle(const PickleValue& root, const PickleDict* weights, std::size_t most) {
  return Describer(weights, most).run(root);
}

bool holds_more(const PickleValue& root, const PickleDict& weights) {
  const auto* top = root.get_if<PickleDict>();
  if (top != &weights && (top == nullptr || top->items.size() != 1)) return true;
  return std::any_of(weights.items.begin(), weights.items.end(),
                     [](const auto& item) { return item.second.template get_if<PickleTensor>() == nullptr; });
}

}  // namespace vicha

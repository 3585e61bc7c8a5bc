#include "checkpoint/pickle/pickle_json.h"

#include <cmath>

#include "base/error.h"
#include "checkpoint/pickle/overloaded.h"
#include "checkpoint/tensors/dtypes.h"

namespace vicha {
namespace {

constexpr int kMaxDepth = 250;

constexpr std::pair<const char*, PickleSequence::Kind> kSequences[] = {
    {"$tuple", PickleSequence::Kind::kTuple},
    {"$set", PickleSequence::Kind::kSet},
    {"$frozenset", PickleSequence::Kind::kFrozenSet},
    {"$size", PickleSequence::Kind::kSize},
};

std::string to_hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) {
    text.push_back("0123456789abcdef"[static_cast<unsigned char>(byte) >> 4]);
    text.push_back("0123456789abcdef"[static_cast<unsigned char>(byte) & 15]);
  }
  return text;
}

class Encoder {
 public:
  explicit Encoder(const TensorToJson& tensor) : tensor_(tensor) {}

  TreeJson value(const PickleValue& v, const std::string& path) {
    return std::visit(Overloaded{
                          [](std::monostate) { return TreeJson(nullptr); },
                          [](bool b) { return TreeJson(b); },
                          [](std::int64_t i) { return TreeJson(i); },
                          [](double d) { return real(d); },
                          [](const std::complex<double>& c) {
                            return TreeJson{{"$complex", TreeJson::array({real(c.real()), real(c.imag())})}};
                          },
                          [](const PickleBigInt& i) {
                            return TreeJson{{"$int", to_hex(i.bytes)}};
                          },
                          [](const std::string& s) { return TreeJson(s); },
                          [](const PickleBytes& b) {
                            return TreeJson{{b.is_mutable ? "$bytearray" : "$bytes", to_hex(b.data)}};
                          },
                          [&](const PickleSequence& s) { return sequence(s, path); },
                          [&](const PickleDict& d) { return dict(d, path); },
                          [&](const PickleTensor& t) { return tensor_(t, path); },
                          [](const PickleDtype& d) {
                            return TreeJson{{"$dtype", find_dtype(d.type)->torch}};
                          },
                          [&](const PickleDevice& d) {
                            TreeJson parts = items(d.rest, path);
                            parts.insert(parts.begin(), d.type);
                            return TreeJson{{"$device", std::move(parts)}};
                          },
                          [&](const std::shared_ptr<const PickleObject>& o) { return object(*o, path); },
                      },
                      v.data());
  }

 private:
  static TreeJson real(double d) {
    if (std::isfinite(d)) return d;
    return {{"$float", std::isnan(d) ? "nan" : d > 0 ? "inf" : "-inf"}};
  }

  static std::string below(const std::string& path, const std::string& part) {
    return path.empty() ? part : path + "." + part;
  }

  TreeJson items(const PickleItems& list, const std::string& path) {
    TreeJson json = TreeJson::array();
    for (const PickleValue& item : list) json.push_back(value(item, below(path, std::to_string(json.size()))));
    return json;
  }

  TreeJson pairs(const PicklePairs& list, const std::string& path) {
    TreeJson json = TreeJson::array();
    for (const auto& [key, item] : list) {
      json.push_back(TreeJson::array({value(key, path), value(item, below(path, key_text(key)))}));
    }
    return json;
  }

  TreeJson sequence(const PickleSequence& s, const std::string& path) {
    for (const auto& [name, kind] : kSequences) {
      if (s.kind == kind) return {{name, items(s.items, path)}};
    }
    return items(s.items, path);
  }

  static bool is_plain(const PickleDict& d) {
    if (d.ordered || !d.attributes.empty()) return false;
    for (const auto& [key, item] : d.items) {
      const auto* text = key.get_if<std::string>();
      if (text == nullptr || text->starts_with('$')) return false;
    }
    return true;
  }

  TreeJson dict(const PickleDict& d, const std::string& path) {
    TreeJson json = TreeJson::object();
    if (is_plain(d)) {
      for (const auto& [key, item] : d.items) {
        const std::string& name = *key.get_if<std::string>();
        json[name] = value(item, below(path, name));
      }
      return json;
    }
    json[d.ordered ? "$ordered" : "$dict"] = pairs(d.items, path);
    if (!d.attributes.empty()) json["attributes"] = pairs(d.attributes, path);
    return json;
  }

  TreeJson object(const PickleObject& o, const std::string& path) {
    return {{"$object", TreeJson::array({o.module, o.name})},
            {"called", o.called},
            {"arguments", items(o.arguments, path)},
            {"appended", items(o.appended, path)},
            {"items", pairs(o.items, path)},
            {"state", items(o.state, path)}};
  }

  const TensorToJson& tensor_;
};

class Decoder {
 public:
  Decoder(const TensorFromJson& tensor, const std::string& where) : tensor_(tensor), where_(where) {}

  PickleValue value(const TreeJson& json, int depth) {
    if (depth > kMaxDepth) fail("nests too deeply");
    switch (json.type()) {
      case TreeJson::value_t::null:
        return {};
      case TreeJson::value_t::boolean:
        return PickleValue::Data(json.get<bool>());
      case TreeJson::value_t::number_integer:
        return PickleValue::Data(json.get<std::int64_t>());
      case TreeJson::value_t::number_unsigned:
        if (json.get<std::uint64_t>() > std::uint64_t{INT64_MAX}) fail("has a number that is too large");
        return PickleValue::Data(json.get<std::int64_t>());
      case TreeJson::value_t::number_float:
        return PickleValue::Data(json.get<double>());
      case TreeJson::value_t::string:
        return PickleValue::Data(json.get<std::string>());
      case TreeJson::value_t::array:
        return PickleValue::Data(PickleSequence{PickleSequence::Kind::kList, items(json, depth)});
      case TreeJson::value_t::object:
        return object(json, depth);
      default:
        fail("has a value of an unknown kind");
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(where_, "the record of the original checkpoint in its metadata " + what);
  }

  PickleItems items(const TreeJson& json, int depth) {
    PickleItems list;
    for (const TreeJson& item : json) list.push_back(value(item, depth + 1));
    return list;
  }

  PicklePairs pairs(const TreeJson& json, int depth) {
    PicklePairs list;
    for (const TreeJson& pair : json) {
      if (!pair.is_array() || pair.size() != 2) fail("has a dict that is no list of pairs");
      list.emplace_back(value(pair[0], depth + 1), value(pair[1], depth + 1));
    }
    return list;
  }

  std::string bytes(const TreeJson& json) const {
    const auto text = json.get<std::string>();
    std::string result;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
      const auto digit = [&](char c) {
        const std::size_t at = std::string_view("0123456789abcdef").find(c);
        if (at == std::string_view::npos) fail("has bytes that are not hexadecimal");
        return static_cast<int>(at);
      };
      result.push_back(static_cast<char>(digit(text[i]) << 4 | digit(text[i + 1])));
    }
    if (text.size() % 2 != 0) fail("has bytes that are not hexadecimal");
    return result;
  }

  double real(const TreeJson& json) {
    const PickleValue found = value(json, 0);
    if (const auto* number = found.get_if<double>()) return *number;
    fail("has a bad complex number");
  }

  PickleValue object(const TreeJson& json, int depth) {
    if (json.empty() || !json.begin().key().starts_with('$')) {
      PickleDict dict;
      for (const auto& [key, item] : json.items()) {
        dict.items.emplace_back(PickleValue::Data(key), value(item, depth + 1));
      }
      return PickleValue::Data(std::move(dict));
    }
    const std::string tag = json.begin().key();
    const TreeJson& content = json.begin().value();
    for (const auto& [name, kind] : kSequences) {
      if (tag == name) return PickleValue::Data(PickleSequence{kind, items(content, depth)});
    }
    if (tag == "$tensor") return PickleValue::Data(tensor_(json));
    if (tag == "$dict" || tag == "$ordered") {
      PickleDict dict{tag == "$ordered", pairs(content, depth), {}};
      if (json.contains("attributes")) dict.attributes = pairs(json["attributes"], depth);
      return PickleValue::Data(std::move(dict));
    }
    if (tag == "$float") {
      const auto text = content.get<std::string>();
      if (text != "nan" && text != "inf" && text != "-inf") fail("has a bad number");
      return PickleValue::Data(text == "nan" ? NAN : text == "inf" ? INFINITY : -INFINITY);
    }
    if (tag == "$complex") return PickleValue::Data(std::complex<double>(real(content.at(0)), real(content.at(1))));
    if (tag == "$int") return PickleValue::Data(PickleBigInt{bytes(content)});
    if (tag == "$bytes") return PickleValue::Data(PickleBytes{bytes(content), false});
    if (tag == "$bytearray") return PickleValue::Data(PickleBytes{bytes(content), true});
    if (tag == "$dtype") {
      const DtypeNames* dtype = find_dtype_by_torch(content.get<std::string>());
      if (dtype == nullptr) fail("has an unknown type");
      return PickleValue::Data(PickleDtype{dtype->type});
    }
    if (tag == "$device") {
      PickleItems rest = items(content, depth);
      const std::string type = content.at(0).get<std::string>();
      rest.erase(rest.begin());
      return PickleValue::Data(PickleDevice{type, std::move(rest)});
    }
    if (tag == "$object") {
      auto made = std::make_shared<PickleObject>();
      made->module = content.at(0).get<std::string>();
      made->name = content.at(1).get<std::string>();
      made->called = json.at("called").get<bool>();
      made->arguments = items(json.at("arguments"), depth);
      made->appended = items(json.at("appended"), depth);
      made->items = pairs(json.at("items"), depth);
      made->state = items(json.at("state"), depth);
      return PickleValue::Data(std::shared_ptr<const PickleObject>(std::move(made)));
    }
    fail("has the unknown tag '" + tag + "'");
  }

  const TensorFromJson& tensor_;
  const std::string& where_;
};

}  // namespace

TreeJson pickle_to_json(const PickleValue& root, const TensorToJson& tensor) { return Encoder(tensor).value(root, ""); }

PickleValue pickle_from_json(const TreeJson& json, const TensorFromJson& tensor, const std::string& where) {
  try {
    return Decoder(tensor, where).value(json, 0);
  } catch (const nlohmann::json::exception& error) {
    throw DataError(
        where, "the record of the original checkpoint in its metadata is damaged (" + std::string(error.what()) + ")");
  }
}

}  // namespace vicha

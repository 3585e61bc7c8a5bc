#include "checkpoint/files/convert.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "base/error.h"
#include "checkpoint/pickle/pickle_json.h"
#include "checkpoint/pickle/pth.h"
#include "checkpoint/safetensors/safetensors.h"
#include "checkpoint/tensors/dtypes.h"

namespace vicha {
namespace {

/// Storages are rebuilt from the tensors that view them; more room than this around them is not worth keeping.
std::int64_t largest_storage(std::int64_t elements_of_all_views) { return 2 * elements_of_all_views + 1024; }

/// One past the last element that the tensor reads, from its storage's start; nothing if that overflows.
std::optional<std::int64_t> extent(at::IntArrayRef sizes, at::IntArrayRef strides, std::int64_t offset) {
  std::int64_t last = offset;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    std::int64_t step = 0;
    if (sizes[i] == 0) return offset;
    if (strides[i] < 0 || __builtin_mul_overflow(sizes[i] - 1, strides[i], &step) ||
        __builtin_add_overflow(last, step, &last)) {
      return std::nullopt;
    }
  }
  return last == INT64_MAX ? std::nullopt : std::optional(last + 1);
}

bool same_bytes(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.contiguous(), y = b.contiguous();
  return x.nbytes() == y.nbytes() &&
         (x.nbytes() == 0 || std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0);
}

bool has_safetensors_type(const at::Tensor& tensor) {
  const DtypeNames* dtype = find_dtype(tensor.scalar_type());
  return dtype != nullptr && !dtype->safetensors.empty();
}

class ToSafetensors {
 public:
  ToSafetensors(const PickleValue& root, std::string where) : root_(root), where_(std::move(where)) {
    const auto model = try_locate_model_state(root);
    if (model) {
      model_path_ = model->key.empty() ? "" : model->key + ".";
      for (const auto& [key, value] : model->dict->items) {
        if (value.get_if<PickleTensor>()) weights_.insert(model_path_ + *key.get_if<std::string>());
      }
    }
    pickle_to_json(root_, [&](const PickleTensor& tensor, const std::string&) {
      group(tensor.value);
      return TreeJson();
    });
    std::int64_t number = 0;
    for (auto& [identity, group] : groups_) group.number = number++;
  }

  void write(const std::filesystem::path& to) {
    const TreeJson tree =
        pickle_to_json(root_, [&](const PickleTensor& t, const std::string& path) { return describe(t, path); });
    write_safetensors(to, tensors_, {{"format", "pt"}, {std::string(kTreeKey), tree.dump()}});
  }

 private:
  struct Group {
    std::int64_t tensors = 0, elements = 0, first = INT64_MAX, end = 0, number = 0;
    c10::ScalarType type;
    bool usable = true;  ///< one type, and no more room than worth keeping
  };

  void group(const at::Tensor& tensor) {
    if (tensor.numel() == 0) return;
    Group& group =
        groups_.try_emplace(tensor.storage().unsafeGetStorageImpl(), Group{.type = tensor.scalar_type()}).first->second;
    ++group.tensors;
    group.elements += tensor.numel();
    group.first = std::min(group.first, tensor.storage_offset());
    group.end = std::max(group.end, *extent(tensor.sizes(), tensor.strides(), tensor.storage_offset()));
    group.usable = group.usable && group.type == tensor.scalar_type();
  }

  TreeJson describe(const PickleTensor& tensor, const std::string& path) {
    const at::Tensor& value = tensor.value;
    const std::string name = name_for(path);
    const bool typed = has_safetensors_type(value);
    tensors_.set(name, typed ? value : at::view_as_real(value));
    TreeJson json = {{"$tensor", name}};
    if (!typed) json["dtype"] = find_dtype(value.scalar_type())->torch;
    if (tensor.parameter) json["parameter"] = true;
    if (tensor.requires_grad) json["requires_grad"] = true;
    if (value.numel() == 0) return json;
    const Group& group = groups_.at(value.storage().unsafeGetStorageImpl());
    if (!group.usable || group.end - group.first > largest_storage(group.elements)) return json;
    if (group.tensors > 1 || !value.is_contiguous()) {
      json["storage"] = group.number;
      json["offset"] = value.storage_offset() - group.first;
      json["stride"] = value.strides().vec();
    }
    return json;
  }

  std::string name_for(const std::string& path) {
    std::string name;
    if (weights_.count(path) != 0) {
      name = path.substr(model_path_.size());
      if (name != "__metadata__" && !name.starts_with(kExtraPrefix) && !tensors_.contains(name)) return name;
    }
    name = std::string(kExtraPrefix) + path;
    for (int n = 2; tensors_.contains(name); ++n) name = std::string(kExtraPrefix) + path + "#" + std::to_string(n);
    return name;
  }

  const PickleValue& root_;
  std::string where_, model_path_;
  std::set<std::string> weights_;  ///< paths
  std::map<const c10::StorageImpl*, Group> groups_;
  StateDict tensors_;
};

class FromSafetensors {
 public:
  FromSafetensors(StateDict tensors, std::string where) : tensors_(std::move(tensors)), where_(std::move(where)) {}

  PickleValue run(const std::string& text) {
    const TreeJson tree = TreeJson::parse(text, nullptr, false);
    if (tree.is_discarded()) fail("is no JSON");
    // First the storages that tensors share, then the tree.
    pickle_from_json(
        tree, [&](const TreeJson& json) { return collect(json); }, where_);
    for (auto& [number, views] : groups_) restore(views);
    PickleValue root = pickle_from_json(
        tree, [&](const TreeJson& json) { return tensor(json); }, where_);
    if (used_.size() != tensors_.size()) {
      for (const auto& [name, tensor] : tensors_) {
        if (used_.count(name) == 0) throw DataError(where_, "tensor '" + name + "' was not in the original checkpoint");
      }
    }
    return root;
  }

 private:
  struct View {
    std::string name;
    at::Tensor value;
    std::int64_t offset;
    std::vector<std::int64_t> strides;
  };

  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(where_, "the record of the original checkpoint in its metadata " + what);
  }

  at::Tensor stored(const TreeJson& json) {
    const auto name = json.at("$tensor").get<std::string>();
    const at::Tensor value = tensors_.at(name, where_);
    if (!json.contains("dtype")) return value;
    const bool pairs = value.is_floating_point() && value.dim() > 0 && value.sizes().back() == 2 &&
                       value.element_size() != 1 && value.scalar_type() != at::kBFloat16;
    if (!pairs) fail("says that '" + name + "' is complex, but it has no pairs of numbers");
    return at::view_as_complex(value);
  }

  PickleTensor collect(const TreeJson& json) {
    const at::Tensor value = stored(json);
    if (!used_.insert(json["$tensor"].get<std::string>()).second) fail("has a tensor twice");
    if (json.contains("storage")) {
      groups_[json["storage"].get<std::int64_t>()].push_back({json["$tensor"].get<std::string>(), value,
                                                              json.at("offset").get<std::int64_t>(),
                                                              json.at("stride").get<std::vector<std::int64_t>>()});
    }
    return {};
  }

  void restore(const std::vector<View>& views) {
    std::int64_t end = 0, elements = 0;
    for (const View& view : views) {
      const auto last = view.strides.size() == static_cast<std::size_t>(view.value.dim()) && view.offset >= 0
                            ? extent(view.value.sizes(), view.strides, view.offset)
                            : std::nullopt;
      if (!last || view.value.scalar_type() != views[0].value.scalar_type())
        fail("has an impossible layout for '" + view.name + "'");
      end = std::max(end, *last);
      elements += view.value.numel();
    }
    if (end > largest_storage(elements)) fail("has an impossible layout for '" + views[0].name + "'");
    const at::Tensor storage = at::zeros({end}, views[0].value.options());
    for (const View& view : views) {
      const at::Tensor target = at::as_strided(storage, view.value.sizes(), view.strides, view.offset);
      at::Tensor into = target, from = view.value;
      for (std::int64_t d = 0; d < into.dim(); ++d) {  // an expanded dimension is one place in memory
        if (into.stride(d) == 0 && into.size(d) > 1) {
          into = into.narrow(d, 0, 1);
          from = from.narrow(d, 0, 1);
        }
      }
      into.copy_(from);
      restored_[view.name] = target;
    }
    for (const View& view : views) {
      if (!same_bytes(restored_.at(view.name), view.value)) {
        throw DataError(where_,
                        "tensor '" + view.name +
                            "' shares its memory with others in the original checkpoint, but "
                            "no longer agrees with them",
                        "Give tied tensors the same values");
      }
    }
  }

  PickleTensor tensor(const TreeJson& json) {
    const auto found = restored_.find(json["$tensor"].get<std::string>());
    return {found != restored_.end() ? found->second : stored(json), json.value("parameter", false),
            json.value("requires_grad", false)};
  }

  StateDict tensors_;
  std::string where_;
  std::set<std::string> used_;
  std::map<std::int64_t, std::vector<View>> groups_;
  std::map<std::string, at::Tensor> restored_;
};

}  // namespace

void convert_pth_to_safetensors(const std::filesystem::path& from, const std::filesystem::path& to) {
  const PickleValue root = read_pth(from);
  ToSafetensors(root, from.string()).write(to);
}

void convert_safetensors_to_pth(const std::filesystem::path& from, const std::filesystem::path& to) {
  Metadata metadata;
  StateDict tensors = read_safetensors(from, &metadata);
  const auto tree = metadata.find(std::string(kTreeKey));
  if (tree == metadata.end()) {
    write_pth(to, tensors);
  } else {
    write_pth(to, FromSafetensors(std::move(tensors), from.string()).run(tree->second));
  }
}

StateDict without_extra(const StateDict& tensors) {
  StateDict weights;
  for (const auto& [name, tensor] : tensors) {
    if (!name.starts_with(kExtraPrefix)) weights.set(name, tensor);
  }
  return weights;
}

}  // namespace vicha

#include <ATen/Functions.h>

#include <bit>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/pickle/overloaded.h"
#include "checkpoint/pickle/pth.h"
#include "checkpoint/pickle/zip.h"
#include "checkpoint/tensors/dtypes.h"

namespace vicha {
namespace {

/// Protocol 2, as torch.save uses: its instructions are those that every reader of weights knows.
class PickleWriter {
 public:
  explicit PickleWriter(std::string where) : where_(std::move(where)) {}

  std::string run(const PickleValue& root) {
    text_ = "\x80\x02";
    value(root);
    text_ += '.';
    return std::move(text_);
  }

  /// Contiguous bytes of each storage, by number.
  const std::vector<at::Tensor>& storages() const { return storages_; }

 private:
  void value(const PickleValue& v) {
    std::visit(Overloaded{
                   [&](std::monostate) { text_ += 'N'; },
                   [&](bool b) { text_ += b ? '\x88' : '\x89'; },
                   [&](std::int64_t i) { integer(i); },
                   [&](double d) { real(d); },
                   [&](const std::complex<double>& c) {
                     global("__builtin__", "complex");
                     real(c.real());
                     real(c.imag());
                     text_ += "\x86R";
                   },
                   [&](const PickleBigInt& i) { big(i.bytes); },
                   [&](const std::string& s) { string(s); },
                   [&](const PickleBytes& b) { bytes(b); },
                   [&](const PickleSequence& s) { sequence(s); },
                   [&](const PickleDict& d) { dict(d); },
                   [&](const PickleTensor& t) { tensor(t); },
                   [&](const PickleDtype& d) { global("torch", dtype(d.type).torch); },
                   [&](const PickleDevice& d) {
                     global("torch", "device");
                     text_ += '(';
                     string(d.type);
                     for (const PickleValue& item : d.rest) value(item);
                     text_ += "tR";
                   },
                   [&](const std::shared_ptr<const PickleObject>& o) { object(*o); },
               },
               v.data());
  }

  const DtypeNames& dtype(c10::ScalarType type) const {
    const DtypeNames* found = find_dtype(type);
    if (found == nullptr) throw DataError(where_, std::string("cannot hold tensors of type ") + c10::toString(type));
    return *found;
  }

  template <class T>
  void raw(T number) {
    text_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }

  void integer(std::int64_t i) {
    if (i >= 0 && i < 256) {
      text_ += 'K';
      raw(static_cast<std::uint8_t>(i));
    } else if (i == static_cast<std::int32_t>(i)) {
      text_ += 'J';
      raw(static_cast<std::int32_t>(i));
    } else {
      text_ += "\x8a\x08";
      raw(i);
    }
  }

  void big(const std::string& number) {
    if (number.size() < 256) {
      text_ += '\x8a';
      raw(static_cast<std::uint8_t>(number.size()));
    } else {
      text_ += '\x8b';
      raw(static_cast<std::int32_t>(number.size()));
    }
    text_ += number;
  }

  void real(double d) {
    auto bits = std::bit_cast<std::uint64_t>(d);
    text_ += 'G';
    for (int shift = 56; shift >= 0; shift -= 8) text_ += static_cast<char>(bits >> shift);
  }

  void string(std::string_view s) {
    text_ += 'X';
    raw(static_cast<std::uint32_t>(s.size()));
    text_ += s;
  }

  void global(std::string_view module, std::string_view name) {
    const std::string line = std::string(module) + "\n" + std::string(name) + "\n";
    const auto [at, added] = memo_.try_emplace(line, static_cast<std::uint32_t>(memo_.size()));
    if (added) text_ += 'c' + line;
    text_ += added ? 'r' : 'j';
    raw(at->second);
  }

  void bytes(const PickleBytes& b) {
    if (b.is_mutable) global("__builtin__", "bytearray");
    global("_codecs", "encode");
    std::string latin1;
    for (const char byte : b.data) {
      const auto code = static_cast<unsigned char>(byte);
      if (code < 0x80) {
        latin1 += byte;
      } else {
        latin1 += static_cast<char>(0xc0 | code >> 6);
        latin1 += static_cast<char>(0x80 | (code & 0x3f));
      }
    }
    string(latin1);
    string("latin1");
    text_ += b.is_mutable ? "\x86R\x85R" : "\x86R";
  }

  void items(const PickleItems& list, const char* close) {
    text_ += '(';
    for (const PickleValue& item : list) value(item);
    text_ += close;
  }

  void pairs(const PicklePairs& list) {
    if (list.empty()) return;
    text_ += '(';
    for (const auto& [key, item] : list) {
      value(key);
      value(item);
    }
    text_ += 'u';
  }

  void list(const PickleItems& list) {
    text_ += ']';
    if (!list.empty()) items(list, "e");
  }

  void sequence(const PickleSequence& s) {
    using Kind = PickleSequence::Kind;
    if (s.kind == Kind::kList) {
      list(s.items);
    } else if (s.kind == Kind::kTuple) {
      items(s.items, "t");
    } else if (s.kind == Kind::kSize) {
      global("torch", "Size");
      items(s.items, "t\x85R");
    } else {
      global("__builtin__", s.kind == Kind::kSet ? "set" : "frozenset");
      list(s.items);
      text_ += "\x85R";
    }
  }

  void ordered_dict() {
    global("collections", "OrderedDict");
    text_ += ")R";
  }

  void dict(const PickleDict& d) {
    d.ordered ? ordered_dict() : void(text_ += '}');
    pairs(d.items);
    if (!d.attributes.empty()) {
      text_ += '}';
      pairs(d.attributes);
      text_ += 'b';
    }
  }

  void numbers(at::IntArrayRef list) {
    text_ += '(';
    for (const std::int64_t i : list) integer(i);
    text_ += 't';
  }

  void tensor(const PickleTensor& t) {
    if (!t.value.defined() || t.value.layout() != at::kStrided || !t.value.has_storage()) {
      throw DataError(where_, "cannot hold a tensor without plain storage");
    }
    const at::Tensor view = t.value.detach().resolve_conj().resolve_neg();
    const DtypeNames& type = dtype(view.scalar_type());
    const bool typed = !type.storage.empty();
    if (t.parameter) global("torch._utils", "_rebuild_parameter");
    if (t.parameter) text_ += '(';
    global("torch._utils", typed ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
    text_ += "((";
    string("storage");
    typed ? global("torch", type.storage) : global("torch.storage", "UntypedStorage");
    const std::size_t key = storage_of(view);
    string(std::to_string(key));
    string("cpu");
    const std::int64_t bytes = storages_[key].numel();
    integer(typed ? bytes / view.element_size() : bytes);
    text_ += "tQ";
    integer(view.storage_offset());
    numbers(view.sizes());
    numbers(view.strides());
    text_ += t.requires_grad && !t.parameter ? '\x88' : '\x89';
    ordered_dict();
    if (!typed) global("torch", type.torch);
    text_ += "tR";
    if (!t.parameter) return;
    text_ += t.requires_grad ? '\x88' : '\x89';
    ordered_dict();
    text_ += "tR";
  }

  /// One number per storage and type: PyTorch cannot save one storage as two types.
  std::size_t storage_of(const at::Tensor& view) {
    const c10::StorageImpl* identity = view.storage().unsafeGetStorageImpl();
    const auto [at, added] = index_.try_emplace({identity, view.scalar_type()}, storages_.size());
    if (added) {
      const auto item = static_cast<std::int64_t>(view.element_size());
      const std::int64_t elements = static_cast<std::int64_t>(view.storage().nbytes()) / item;
      keep_alive_.push_back(view);
      at::Tensor whole = at::as_strided(view, {elements}, {1}, 0).cpu();
      storages_.push_back(elements == 0 ? at::empty({0}, at::kByte) : whole.view(at::kByte));
    }
    return at->second;
  }

  void object(const PickleObject& o) {
    if (!is_placeholder_class(o.module, o.name)) {
      throw DataError(where_, "would hold an object of '" + o.module + "." + o.name + "', which is not plain data");
    }
    global(o.module, o.name);
    items(o.arguments, o.called ? "tR" : "t\x81");
    if (!o.appended.empty()) items(o.appended, "e");
    pairs(o.items);
    for (const PickleValue& state : o.state) {
      value(state);
      text_ += 'b';
    }
  }

  std::string where_, text_;
  std::map<std::string, std::uint32_t> memo_;
  std::map<std::pair<const c10::StorageImpl*, c10::ScalarType>, std::size_t> index_;
  std::vector<at::Tensor> storages_, keep_alive_;
};

std::span<const char> chars(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

void write_pth(const std::filesystem::path& path, const PickleValue& value) {
  PickleWriter pickle(path.string());
  const std::string data = pickle.run(value);
  write_file_atomic(path, [&](const std::function<void(std::string_view)>& out) {
    ZipWriter zip(out);
    zip.add("archive/data.pkl", chars(data));
    zip.add("archive/.format_version", chars("1"));
    zip.add("archive/.storage_alignment", chars("64"));
    zip.add("archive/byteorder", chars("little"));
    for (std::size_t i = 0; i < pickle.storages().size(); ++i) {
      const at::Tensor& bytes = pickle.storages()[i];
      zip.add("archive/data/" + std::to_string(i),
              {static_cast<const char*>(bytes.const_data_ptr()), static_cast<std::size_t>(bytes.numel())});
    }
    zip.add("archive/version", chars("3\n"));
    zip.finish();
  });
}

void write_pth(const std::filesystem::path& path, const StateDict& tensors) {
  PickleDict dict{true, {}, {}};
  for (const auto& [name, tensor] : tensors) {
    dict.items.emplace_back(PickleValue::Data(name), PickleValue::Data(PickleTensor{tensor}));
  }
  write_pth(path, PickleValue(PickleValue::Data(std::move(dict))));
}

}  // namespace vicha

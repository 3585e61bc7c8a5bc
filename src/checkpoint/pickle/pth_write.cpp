// The one pickle that this program writes: an OrderedDict of tensors. Whoever loads a pickle runs what its globals
// name, so none of them comes from a file or an argument: two functions stand here, the types in the table of dtypes.
#include <algorithm>
#include <span>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/pickle/pth.h"
#include "checkpoint/pickle/zip.h"
#include "checkpoint/tensors/dtypes.h"
#include "checkpoint/tensors/in_quotes.h"
#include "checkpoint/tensors/pieces.h"

namespace vicha {
namespace {

/// Protocol 2, as torch.save uses: its instructions are those that every reader of weights knows.
class PickleWriter {
 public:
  explicit PickleWriter(std::string where) : where_(std::move(where)) {}

  std::string run(const StateDict& tensors) {
    text_ = "\x80\x02";
    ordered_dict();
    text_ += '(';
    std::size_t key = 0;
    for (const auto& [name, tensor] : tensors) {
      string(name);
      this->tensor(name, tensor, key++);
    }
    text_ += "u.";
    return std::move(text_);
  }

 private:
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

  /// With its length before it: no name can end its own text and go on as instructions.
  void string(std::string_view s) {
    text_ += 'X';
    raw(static_cast<std::uint32_t>(s.size()));
    text_ += s;
  }

  /// The arguments are constants: see the head of this file.
  void global(std::string_view module, std::string_view name) {
    text_ += 'c';
    text_ += module;
    text_ += '\n';
    text_ += name;
    text_ += '\n';
  }

  void ordered_dict() {
    global("collections", "OrderedDict");
    text_ += ")R";
  }

  void numbers(at::IntArrayRef list) {
    text_ += '(';
    for (const std::int64_t i : list) integer(i);
    text_ += 't';
  }

  /// Strides of a contiguous tensor of these sizes; the data are written so, whatever the tensor's own.
  static std::vector<std::int64_t> strides(at::IntArrayRef sizes) {
    std::vector<std::int64_t> result(sizes.size(), 1);
    for (std::size_t i = sizes.size(); i-- > 1;) result[i - 1] = result[i] * std::max<std::int64_t>(sizes[i], 1);
    return result;
  }

  void tensor(const std::string& name, const at::Tensor& tensor, std::size_t key) {
    const DtypeNames* type = tensor.defined() ? find_dtype(tensor.scalar_type()) : nullptr;
    if (type == nullptr || tensor.layout() != at::kStrided) {
      throw DataError(where_, "tensor " + in_quotes(name) + " has a type that a .pth of ours cannot hold");
    }
    const bool typed = !type->storage.empty();
    global("torch._utils", typed ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
    text_ += "((";
    string("storage");
    typed ? global("torch", type->storage) : global("torch.storage", "UntypedStorage");
    string(std::to_string(key));
    string("cpu");
    integer(typed ? tensor.numel() : static_cast<std::int64_t>(tensor.nbytes()));
    text_ += "tQ";
    integer(0);
    numbers(tensor.sizes());
    numbers(strides(tensor.sizes()));
    text_ += '\x89';
    ordered_dict();
    if (!typed) global("torch", type->torch);
    text_ += "tR";
  }

  std::string where_, text_;
};

std::span<const char> chars(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

void write_pth(const std::filesystem::path& path, const StateDict& tensors) {
  const std::string pickle = PickleWriter(path.string()).run(tensors);
  AtomicFile file(path);
  PieceCollector pieces([&](std::string_view piece) { file.append(piece); });
  ZipWriter zip([&](std::string_view piece) { pieces.append(piece); });
  zip.add("archive/data.pkl", chars(pickle));
  zip.add("archive/.format_version", chars("1"));
  zip.add("archive/.storage_alignment", chars("64"));
  zip.add("archive/byteorder", chars("little"));
  std::size_t key = 0;
  for (const auto& [name, tensor] : tensors) {
    zip.add("archive/data/" + std::to_string(key++), chars(bytes_of(as_written(tensor))));
  }
  zip.add("archive/version", chars("3\n"));
  zip.finish();
  pieces.flush();
  file.commit();
}

}  // namespace vicha

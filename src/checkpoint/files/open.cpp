#include "checkpoint/files/open.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <unordered_map>

#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"
#include "base/log.h"
#include "checkpoint/files/convert.h"
#include "checkpoint/files/lookalike.h"
#include "checkpoint/files/shard_index.h"
#include "checkpoint/pickle/model_state.h"
#include "checkpoint/pickle/pth.h"
#include "checkpoint/tensors/dtypes.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {
namespace {

constexpr std::uint64_t kLongestHeader = 100'000'000;  // of a safetensors file

Weights open_pth(const fs::path& path) {
  PthFormat format{};
  const PickleValue root = read_pth(path, &format);
  const ModelState found = locate_model_state(root, path.string());
  Weights weights;
  weights.tensors = model_tensors(found);
  weights.kind = WeightsKind::kPth;
  weights.what = format == PthFormat::kTorchScript ? "TorchScript archive"
                 : found.key.empty()               ? "PyTorch state dict"
                                                   : "PyTorch checkpoint, its " + in_quotes(found.key);
  std::string others;
  for (const std::string& other : found.others) others += ", not its " + in_quotes(other);
  if (!others.empty()) {
    log::warning(
        "{}: holds several sets of weights; its {} is taken{}. Where another is meant, load the file in Python "
        "and save it alone, as 'model'",
        path.string(), found.key.empty() ? "top level" : in_quotes(found.key), others);
  }
  weights.what += others;
  weights.files = {path};
  return weights;
}

std::string first_bytes_of(const fs::path& path) {
  require_regular_file(path);
  std::string head(kFileHead, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) throw DataError(path.string(), "cannot open", "Check who may read it");
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return head;
}

/// A header's length, then a JSON object. A file that is cut off begins so, too.
bool looks_like_safetensors(std::string_view head) {
  std::uint64_t length = 0;
  if (head.size() < 10 || head[8] != '{') return false;
  std::memcpy(&length, head.data(), sizeof length);
  return length <= kLongestHeader;
}

bool looks_like_json(std::string_view head) {
  if (head.starts_with("\xef\xbb\xbf")) head.remove_prefix(3);
  const std::size_t at = head.find_first_not_of(" \t\r\n");
  return at != std::string_view::npos && head[at] == '{' && head.substr(0, 10).find('\0') == std::string_view::npos;
}

Weights open_file(const fs::path& path, bool map) {
  if (is_pth_file(path)) return open_pth(path);
  Weights weights;
  weights.tensors = without_extra(read_safetensors(path, &weights.metadata, map));
  weights.what = "safetensors file";
  weights.files = {path};
  return weights;
}

Weights open_shards(const fs::path& path, bool map) {
  const ShardIndex index = read_shard_index(path);
  Weights weights;
  std::unordered_map<std::string, StateDict> shards;
  for (const auto& [name, file] : index) {
    if (shards.contains(file)) continue;
    const fs::path shard_path = path.parent_path() / file;
    std::error_code none;
    if (!fs::exists(shard_path, none)) {
      throw DataError(path.string(), "names the shard " + in_quotes(file) + ", which is not there",
                      "Download all files that the index names");
    }
    Weights shard = open_file(shard_path, map);
    if (weights.metadata.empty()) weights.metadata = std::move(shard.metadata);
    weights.files.push_back(shard_path);
    shards.emplace(file, std::move(shard.tensors));
  }
  std::size_t held = 0;
  for (const auto& [file, shard] : shards) held += shard.size();
  for (const auto& [name, file] : index) {
    weights.tensors.set(name, shards.at(file).at(name, (path.parent_path() / file).string()));
  }
  if (held > index.size()) {
    log::warning("{}: the shards hold {} tensors that the index does not take from them; they are left aside",
                 path.string(), held - index.size());
  }
  weights.what = "Hugging Face folder, " + std::to_string(shards.size()) + " shards";
  weights.kind = WeightsKind::kHuggingFace;
  return weights;
}

Weights open_folder(const fs::path& path, bool map) {
  const bool own = fs::exists(path / "recipe.toml");
  for (const char* name : {"model.safetensors", "pytorch_model.bin"}) {
    if (!fs::exists(path / name)) continue;
    Weights weights = open_file(path / name, map);
    weights.kind = own ? WeightsKind::kVichaCheckpoint : WeightsKind::kHuggingFace;
    weights.what = own ? "ViCHA checkpoint" : "Hugging Face folder (" + std::string(name) + ")";
    return weights;
  }
  for (const char* name : {"model.safetensors.index.json", "pytorch_model.bin.index.json"}) {
    if (fs::exists(path / name)) return open_shards(path / name, map);
  }
  refuse_folder(path);
}

Weights open_any(const fs::path& path, bool map) {
  if (fs::is_directory(path)) return open_folder(path, map);
  return is_shard_index(path) ? open_shards(path, map) : open_file(path, map);
}

}  // namespace

void require_there(const fs::path& path) {
  std::error_code failed;
  if (fs::exists(path, failed)) return;
  const bool odd = failed && failed != std::errc::no_such_file_or_directory && failed != std::errc::not_a_directory;
  throw DataError(path.string(), odd ? "cannot be opened (" + failed.message() + ")" : "is not there",
                  "Check the path");
}

bool is_shard_index(const fs::path& path) { return looks_like_json(first_bytes_of(path)); }

bool is_pth_file(const fs::path& path) {
  const std::string head = first_bytes_of(path);
  if (looks_like_pth(path)) return true;
  if (looks_like_safetensors(head)) return false;
  refuse_lookalike(path, head, fs::file_size(path));
  throw DataError(path.string(), "is neither a safetensors file nor one of torch.save",
                  "It is damaged or of another format: copy or download it again");
}

void require_usable(const StateDict& tensors, const fs::path& path) {
  // Tied weights and their like stay far below this; a thousand views of one large tensor do not.
  const std::uint64_t size = fs::is_regular_file(path) ? fs::file_size(path) : UINT64_MAX / 8;
  const std::uint64_t most = (16 << 20) + 4 * size;
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) {
    const DtypeNames* type = find_dtype(tensor.scalar_type());
    if (type == nullptr || c10::isFloat8Type(tensor.scalar_type())) {
      throw DataError(path.string(),
                      "tensor " + in_quotes(name) + " has the type " +
                          (type == nullptr ? c10::toString(tensor.scalar_type()) : std::string(type->torch)) +
                          ", of which no model here can be made",
                      "It is a copy made small for inference: take the weights in float32, float16 or bfloat16");
    }
    bytes += static_cast<std::uint64_t>(tensor.numel()) * tensor.element_size();
    if (bytes > most) {
      throw DataError(path.string(),
                      "holds many views of the same data: up to " + in_quotes(name) + " they would take " +
                          std::to_string(bytes) + " bytes, far more than the file",
                      "Load it in Python and save what the model needs alone");
    }
  }
}

void rethrow_named(const fs::path& path) {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    throw DataError(path.string(), "needs more memory than there is", "Free memory, or raise its limit");
  } catch (const c10::Error& error) {
    const std::string_view what = error.what_without_backtrace();
    const bool memory = what.find("not enough memory") != what.npos || what.find("allocate memory") != what.npos;
    if (memory) throw DataError(path.string(), "needs more memory than there is", "Free memory, or raise its limit");
    throw DataError(path.string(), "cannot be read: " + std::string(what));
  }
}

Weights open_weights(const fs::path& path, bool map) {
  require_there(path);
  try {
    Weights weights = open_any(path, map);
    require_usable(weights.tensors, path);
    return weights;
  } catch (...) {
    rethrow_named(path);
  }
}

}  // namespace vicha

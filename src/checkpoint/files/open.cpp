#include "checkpoint/files/open.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/files/convert.h"
#include "checkpoint/pickle/pth.h"

namespace vicha {
namespace {

constexpr std::uint64_t kMaxIndex = 64 << 20;  // that of 200,000 tensors takes 20 MB

Weights open_pth(const fs::path& path) {
  PthFormat format{};
  const PickleValue root = read_pth(path, &format);
  const ModelState found = locate_model_state(root, path.string());
  Weights weights;
  weights.tensors = find_model_state(root, path.string());
  weights.kind = WeightsKind::kPth;
  weights.what = format == PthFormat::kTorchScript ? "TorchScript archive"
                 : found.key.empty()               ? "PyTorch state dict"
                                                   : "PyTorch checkpoint, its '" + found.key + "'";
  weights.files = {path};
  return weights;
}

std::string first_bytes_of(const fs::path& path) {
  require_regular_file(path);
  std::string head(64, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return head;
}

/// A header's length that the file has room for, then a JSON object.
bool looks_like_safetensors(std::string_view head, std::uint64_t size) {
  std::uint64_t length = 0;
  if (head.size() < 10 || head[8] != '{') return false;
  std::memcpy(&length, head.data(), sizeof length);
  return length <= size - 8;
}

bool looks_like_json(std::string_view head) {
  const std::size_t at = head.find_first_not_of(" \t\r\n");
  return at != std::string_view::npos && head[at] == '{' && head.substr(0, 10).find('\0') == std::string_view::npos;
}

/// Things that lie where weights should, by what they are.
void refuse_lookalikes(const fs::path& path, std::string_view head) {
  if (head.empty()) throw DataError(path.string(), "is empty");
  if (head.starts_with("version https://git-lfs")) {
    throw DataError(path.string(), "is a Git LFS pointer, not the file it points to", "Fetch it with 'git lfs pull'");
  }
  if (head.find_first_not_of(" \t\r\n") != std::string_view::npos && head[head.find_first_not_of(" \t\r\n")] == '<') {
    throw DataError(path.string(), "is a web page, not weights", "Download the file itself; a site may ask to log in");
  }
}

Weights open_file(const fs::path& path, bool map) {
  const std::string head = first_bytes_of(path);
  refuse_lookalikes(path, head);
  if (looks_like_pth(path)) return open_pth(path);
  const std::string ending = path.extension().string();
  // Ask the reader whose message will help: a damaged .pth should not be called a bad safetensors file.
  const bool named_pth = ending == ".pth" || ending == ".pt" || ending == ".bin";
  if (named_pth && !looks_like_safetensors(head, fs::file_size(path))) return open_pth(path);
  Weights weights;
  weights.tensors = without_extra(read_safetensors(path, &weights.metadata, map));
  weights.what = "safetensors file";
  weights.files = {path};
  return weights;
}

/// {"weight_map": {tensor: file, …}}; every file lies beside the index.
Weights open_shards(const fs::path& index, bool map) {
  const std::string where = index.string();
  std::map<std::string, std::string> file_of;
  const std::string text = read_file(index, kMaxIndex);
  refuse_lookalikes(index, std::string_view(text).substr(0, 64));
  try {
    file_of = nlohmann::json::parse(text).at("weight_map").get<std::map<std::string, std::string>>();
  } catch (const nlohmann::json::exception&) {
    throw DataError(where, "is not an index of shards: no object 'weight_map' of tensor names to file names");
  }
  if (file_of.empty()) throw DataError(where, "is an index of shards that names no tensor");
  Weights weights;
  std::map<std::string, StateDict> shards;
  for (const auto& [name, file] : file_of) {
    if (file.empty() || file.front() == '.' || file.find('/') != std::string::npos ||
        file.find('\0') != std::string::npos) {
      throw DataError(where, "names the shard '" + file.substr(0, file.find('\0')) + "', which does not lie beside it");
    }
    if (shards.count(file) != 0) continue;
    Weights shard = open_file(index.parent_path() / file, map);
    if (weights.metadata.empty()) weights.metadata = std::move(shard.metadata);
    weights.files.push_back(index.parent_path() / file);
    shards[file] = std::move(shard.tensors);
  }
  for (const auto& [name, file] : file_of) {
    weights.tensors.set(name, shards.at(file).at(name, (index.parent_path() / file).string()));
  }
  weights.what = "Hugging Face folder, " + std::to_string(shards.size()) + " shards";
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
    if (!fs::exists(path / name)) continue;
    Weights weights = open_shards(path / name, map);
    weights.kind = WeightsKind::kHuggingFace;
    return weights;
  }
  throw DataError(path.string(), "is a folder without weights",
                  "Looked for model.safetensors, pytorch_model.bin and an index.json of either");
}

}  // namespace

Weights open_weights(const fs::path& path, bool map) {
  if (!fs::exists(path)) throw DataError(path.string(), "is not there");
  try {
    if (fs::is_directory(path)) return open_folder(path, map);
    if (!looks_like_json(first_bytes_of(path))) return open_file(path, map);
    Weights weights = open_shards(path, map);
    weights.kind = WeightsKind::kHuggingFace;
    return weights;
  } catch (const std::bad_alloc&) {
    throw DataError(path.string(), "needs more memory than there is");
  } catch (const c10::Error& error) {  // its allocator's, too
    throw DataError(path.string(), std::string("cannot be read: ") + error.what_without_backtrace());
  }
}

}  // namespace vicha

#include "checkpoint/files/open.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/files/convert.h"
#include "checkpoint/pickle/pth.h"

namespace vicha {
namespace {

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

Weights open_file(const fs::path& path, bool map) {
  if (looks_like_pth(path)) return open_pth(path);
  const std::string ending = path.extension().string();
  // Ask the reader whose message will help: a damaged .pth should not be called a bad safetensors file.
  if (ending == ".pth" || ending == ".pt" || ending == ".bin" || fs::file_size(path) == 0) return open_pth(path);
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
  try {
    file_of = nlohmann::json::parse(read_file(index)).at("weight_map").get<std::map<std::string, std::string>>();
  } catch (const nlohmann::json::exception&) {
    throw DataError(where, "is not an index of shards: no object 'weight_map' of tensor names to file names");
  }
  Weights weights;
  std::map<std::string, StateDict> shards;
  for (const auto& [name, file] : file_of) {
    if (file.empty() || file.front() == '.' || file.find('/') != std::string::npos) {
      throw DataError(where, "names the shard '" + file + "', which does not lie beside it");
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
  return fs::is_directory(path) ? open_folder(path, map) : open_file(path, map);
}

}  // namespace vicha

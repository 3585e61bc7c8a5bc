#include "checkpoint/pickle/foreign_zip.h"

#include <algorithm>

#include "base/error.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {

void refuse_foreign_zip(const ZipReader& zip, const std::string& where) {
  const auto& entries = zip.entries();
  const auto first = [&](auto... endings) -> const ZipReader::Entry* {
    const auto at =
        std::ranges::find_if(entries, [&](const auto& entry) { return (entry.name.ends_with(endings) || ...); });
    return at == entries.end() ? nullptr : &*at;
  };
  if (const auto* weights = first(".pth", ".pt", ".bin", ".ckpt", ".safetensors")) {
    throw DataError(where, "is a zip archive with " + in_quotes(weights->name) + " in it",
                    "Unpack it ('unzip') and name that file");
  }
  if (first(".npy") != nullptr) {
    throw DataError(where, "is an archive of NumPy's arrays (.npz), not a checkpoint",
                    "Load it in Python with numpy.load and save the weights with safetensors or torch.save");
  }
  if (first(".weights.h5", ".h5") != nullptr) {
    throw DataError(where, "is a Keras model (.keras), not a checkpoint of PyTorch",
                    "Convert it in Python and save the weights with safetensors or torch.save");
  }
  if (first("[Content_Types].xml", "META-INF/MANIFEST.MF", "mimetype") != nullptr) {
    throw DataError(where, "is a document or a program packed as a zip archive, not weights", "Give a file of weights");
  }
  const std::string content = entries.empty() ? "" : ", the first " + in_quotes(entries.front().name.substr(0, 100));
  throw DataError(where,
                  "is a zip archive of " + std::to_string(entries.size()) + " entries" + content +
                      ", but not one of torch.save: it has no data.pkl",
                  "If weights are in it, unpack it and name their file");
}

}  // namespace vicha

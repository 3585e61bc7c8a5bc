// What sentence-transformers' files say follows a BERT: modules.json, 1_Pooling/config.json, 2_Dense. Used inside this
// room only.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vicha::towers {

enum class TextPooling {
  kClass,  ///< the first token's last state
  kMean,   ///< the mean of all tokens' last states, [CLS] and [SEP] included
};

struct DenseFiles {
  std::filesystem::path folder;  ///< config.json and weights
  bool tanh = false;
};

struct SentenceModules {
  TextPooling pooling = TextPooling::kClass;
  std::vector<DenseFiles> dense;  ///< in their order
  bool normalize = false;
  std::optional<std::int64_t> max_tokens;
  std::optional<bool> lower_case;
  bool found = false;  ///< modules.json, or a pooling's configuration, was there

  /// "mean, normalised".
  std::string describe() const;
};

/// Of a folder: without modules.json, 1_Pooling/config.json if there is one, else the class token. Throws DataError
/// naming the file and a module or pooling that is not built.
SentenceModules read_sentence_modules(const std::filesystem::path& folder);

}  // namespace vicha::towers

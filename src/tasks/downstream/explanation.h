// Why a model answers as it does: for each picture a map for each word of what it looks at, and boxes; drawn over the
// picture, as a PNG. H x W patches.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "data/manifest/column.h"
#include "nn/position.h"

namespace vicha {

struct WordMap {
  std::string word;
  at::Tensor map_HW;  ///< fp32 on the CPU, not negative, in any unit; row by row as the patches lie in the picture
};

/// Maps of a text's words from those of its tokens (T, N) over `grid` (map_grid), which maps of attention give
/// (network/attention_maps.h):
/// first their mean, of the whole text (its word is ""), then each word's, the greater where it has several pieces.
/// `pieces`: of the tokens, [CLS] first, as PredictInput::Item has them.
std::vector<WordMap> maps_of_words(const std::vector<std::string>& pieces, const at::Tensor& maps_TN,
                                   const PatchGrid& grid);

struct DrawnBox {
  FloatBox box;  ///< in the picture's pixels
  std::string label = {};
  bool chosen = true;  ///< otherwise it is one that was not
};

struct Explanation {
  struct Picture {
    std::filesystem::path file;  ///< as the user named it
    std::vector<WordMap> maps;   ///< the first one is of the whole text, where there is such
    std::vector<DrawnBox> boxes;
  };
  std::vector<Picture> pictures;
  std::string title = {};  ///< the text and the answer
};

/// A PNG at `file` (GuardedOutput): every map over its picture, beside it the word and its share of the sum of all
/// words' maps of that picture, boxes drawn. Throws DataError for a
/// picture that cannot be read.
void write_explanation(const std::filesystem::path& file, const Explanation& explanation);

}  // namespace vicha

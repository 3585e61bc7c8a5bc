// How like a text's words and a picture's patches are, as the fusion layers are told before they begin
// (model.fusion.similarity; method, section 2).
// I pictures of S tokens, N of them patches; T rows of texts, G sequences of at most L rows, D widths, E common
// embedding.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/model_options.h"
#include "nn/linear.h"
#include "nn/parameters.h"

namespace vicha {

/// The maps of words and patches into one space, and what the fusion's input gains where they agree.
class WordPatchSimilarity {
 public:
  /// `suffix` "" or "_m". Registers "word_proj", "patch_proj", "word_similarity" and "patch_similarity" in the scopes
  /// "heads" (a file that a model starts from may lack them) and "similarity".
  WordPatchSimilarity(ParameterStore& store, const ModelOptions& options, const std::string& suffix);

  /// States of words (T, D_text) -> rows of length 1 (T, E).
  at::Tensor words(const at::Tensor& text_TD) const;
  /// States of pictures (I * S, D_image), `tokens` each -> their patches, rows of length 1 (I, N, E).
  at::Tensor patches(const at::Tensor& image_SD, std::int64_t tokens) const;

  /// What a text's token gains at similarity 1 (D_text). They start at 0: a model that is given them is at first the
  /// model that it was.
  const at::Tensor& word_vector() const { return word_vector_; }
  /// What a patch's state gains at similarity 1 (D_image).
  const at::Tensor& patch_vector() const { return patch_vector_; }

 private:
  std::int64_t patches_;  ///< N
  Linear word_proj_, patch_proj_;
  at::Tensor word_vector_, patch_vector_;
};

/// Sequences of text rows, each compared with one picture.
struct ComparedSequence {
  std::int64_t begin, rows, real;  ///< rows of the words' matrix; the first is [CLS], those beyond `real` are padding
  std::int64_t image;
};

/// Similarities of sequences with their pictures.
struct Similarities {
  at::Tensor rows_T;      ///< of each row in turn: its best patch's; of [CLS]: the words' mean; of padding: 0
  at::Tensor patches_GN;  ///< of each patch: its best word's; 0 where there is no word
};

/// The cosine of every word (of rows `words_TE`) with every patch (I, N, E) of its sequence's picture, and of these the
/// largest for each word and for each patch. [CLS] is no word.
Similarities compare(const at::Tensor& words_TE, const at::Tensor& patches_INE,
                     const std::vector<ComparedSequence>& sequences);

}  // namespace vicha

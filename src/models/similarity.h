// How like a text's words and a picture's patches are, as the fusion layers are told before they begin
// (model.fusion.similarity; method, section 2). With joint fusion, which reads regions, they are compared in the
// patches' place.
// I pictures of S tokens that the fusion reads, N of them patches (or regions); T rows of texts, G sequences of at most
// L rows, D widths, E common embedding.
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
  /// `suffix` "" or "_m". Registers "word_proj", "patch_proj", "patch_similarity" and "word_similarity", of further
  /// pictures "word_similarity_1" …, in the scopes "heads" (a file that a model starts from may lack them) and
  /// "similarity".
  WordPatchSimilarity(ParameterStore& store, const ModelOptions& options, const std::string& suffix);

  /// States of words (T, D_text) -> rows of length 1 (T, E).
  at::Tensor words(const at::Tensor& text_TD) const;
  /// What the fusion reads of pictures (ImageStates::fusion_rows; I * S, D_image), `tokens` each -> their patches, rows
  /// of length 1 (I, N, E).
  at::Tensor patches(const at::Tensor& image_SD, std::int64_t tokens) const;
  /// States of any parts of pictures (T, D_image) by the same map -> rows of length 1 (T, E).
  at::Tensor image_rows(const at::Tensor& image_TD) const;

  /// What a text's token gains at similarity 1 with picture `image` of the text (D_text). They start at 0: a model that
  /// is given them is at first the model that it was.
  const at::Tensor& word_vector(std::size_t image) const { return word_vectors_.at(image); }
  /// What a patch's state gains at similarity 1 (D_image).
  const at::Tensor& patch_vector() const { return patch_vector_; }

 private:
  std::int64_t patches_;  ///< N, behind a picture's class token
  Linear word_proj_, patch_proj_;
  std::vector<at::Tensor> word_vectors_;  ///< for each picture that a text is read with
  at::Tensor patch_vector_;
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

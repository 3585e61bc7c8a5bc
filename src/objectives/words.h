// Contrast of words and patches by late interaction: a text fits a picture as well as its words, in the mean, find a
// patch there (method, section 3, Words). It teaches the maps that model.fusion.similarity reads.
// B pairs, T words, N patches, E common embedding.
#pragma once

#include <optional>

#include "objectives/objective.h"

namespace vicha {

struct WordsOptions : ObjectiveOptions {
  double temperature = 0.07;

  WordsOptions() { enabled = false; }
  void describe(Visitor& v);
  void check(const ModelOptions& model) const override;
};

/// How well texts fit pictures: words (T, E), rows of length 1, text after text; patches (I, N, E); -> (I, X) of the
/// mean over a text's words of the cosine with the best patch. 0 for a text without words.
at::Tensor word_patch_fit(const at::Tensor& words_TE, const std::vector<std::int64_t>& words_of_text,
                          const at::Tensor& patches_INE);

class WordsObjective : public Objective {
 public:
  /// Registers "words_temp".
  WordsObjective(const WordsOptions& options, Vicha& model);
  const ObjectiveOptions& options() const override { return options_; }
  std::string_view heads() const override { return "words_temp"; }
  std::unique_ptr<ObjectiveStep> begin(Encodings& encodings, const Distillation& distillation) const override;

  /// 0-D
  const at::Tensor& temperature() const { return temperature_; }

 private:
  WordsOptions options_;
  at::Tensor temperature_;
};

/// "words".
ObjectiveKind words_kind();

}  // namespace vicha

// Visual question answering on a model's encoders: its decoder of answers, and a step of training (method, section
// 5.2). B questions, T rows of their answers, V vocabulary.
#pragma once

#include <optional>
#include <string>
#include <unordered_set>

#include "models/vicha.h"
#include "tasks/vqa/network/answer_loss.h"
#include "tasks/vqa/network/answer_similarity.h"

namespace vicha {

class VqaNet {
 public:
  /// Registers the decoder and its momentum copy in the model, which outlives this, and with `similarity` what an
  /// AnswerSimilarity has. Throws UsageError as that does.
  explicit VqaNet(Vicha& model, bool similarity = false)
      : model_(model), decoders_(add_answer_decoder(model.parameters(), model.options().text)) {
    if (similarity) similarity_.emplace(model);
  }

  /// Where the decoder's weights are among the missing, it starts as the fusion layers; says whether it did.
  bool start_missing(const std::unordered_set<std::string>& missing);

  struct Questions {
    at::Tensor pictures;  ///< as patch_rows takes them
    Tokens concepts;      ///< undefined where the model has none
    Tokens texts;
  };
  /// Online.
  QuestionStates encode(const Questions& questions, const Dropout& dropout) const;
  /// What the momentum model says of the answers' rows: (T, V), without gradient.
  at::Tensor teacher_logits(const Questions& questions, const AnswerRows& rows, const Dropout& dropout) const;

  struct Step {
    AnswerRows rows;
    QuestionStates questions;
    at::Tensor logits;  ///< (T, V)
    at::Tensor losses;  ///< (T)
    at::Tensor loss;
    /// Of the similarity's gains among the batch's distinct answers, whose likelihood is that of their first token;
    /// undefined without it.
    at::Tensor gain_loss;
  };
  /// With a share `alpha` of soft targets. The momentum model has been moved on by then (Vicha::update_momentum).
  Step step(const Questions& questions, const GivenAnswers& answers, double alpha, const Dropout& dropout) const;

  const AnswerDecoder& decoder() const { return decoders_.online; }
  /// Null where there is none.
  const AnswerSimilarity* similarity() const { return similarity_ ? &*similarity_ : nullptr; }

 private:
  at::Tensor gain_loss(const PairStates& pairs, const GivenAnswers& answers, const Step& step) const;

  Vicha& model_;
  Twins<AnswerDecoder> decoders_;
  std::optional<AnswerSimilarity> similarity_;
};

}  // namespace vicha

// The decoder of visual question answering (method, section 5.2): layers of causal self-attention over an answer,
// cross-attention to all fused states of its question, MLP; its head reads words with its own word embeddings.
// Q questions, A answers, T their rows (packed, no padding), S rows of the questions, D width, V vocabulary, F layers.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "models/bert.h"
#include "models/vocabulary_head.h"

namespace vicha {

/// Fused states of questions, one after the other: what every answer to them attends to.
struct QuestionStates {
  at::Tensor states;                  ///< (S, D)
  std::vector<std::int64_t> lengths;  ///< rows of each question

  std::int64_t size() const { return static_cast<std::int64_t>(lengths.size()); }
};

class AnswerDecoder {
 public:
  /// As many layers as the model has fusion layers. Registers "<prefix>bert.…" and "<prefix>cls.predictions.…" in the
  /// scopes that are open. Throws UsageError naming the key if there are no fusion layers.
  AnswerDecoder(ParameterStore& store, const std::string& prefix, const TextOptions& options);

  /// Keys and values of questions, made once for all their answers: (S, D) -> F x (S, 2 D).
  std::vector<at::Tensor> question_kv(const at::Tensor& states_SD) const;
  /// Tokens at their positions (T), both int64 -> (T, D). `self` joins each answer's tokens, `cross` answers and
  /// questions.
  at::Tensor operator()(const at::Tensor& ids, const at::Tensor& positions, const SegmentsPtr& self,
                        const std::vector<at::Tensor>& kv, const SegmentsPtr& cross, const Dropout& dropout) const;
  /// What the next token is: (M, D) -> (M, V), fp32.
  at::Tensor logits(const at::Tensor& states_MD) const { return head_(states_MD); }

  const TextOptions& options() const { return options_; }
  const BertEmbeddings& embeddings() const { return embeddings_; }
  const std::vector<BertLayer>& layers() const { return layers_; }
  at::Device device() const { return embeddings_.word.device(); }

 private:
  TextOptions options_;
  BertEmbeddings embeddings_;
  std::vector<BertLayer> layers_;
  VocabularyHead head_;
};

/// "text_decoder." and its momentum copy, in the scopes "heads", "fusion_heads" and "answer_decoder".
Twins<AnswerDecoder> add_answer_decoder(ParameterStore& store, const TextOptions& options);

/// Whether such a name is of the decoder or its copy.
bool is_answer_decoder(std::string_view name);

/// The decoder becomes a copy of the fusion layers, the embeddings and the head for masked words, its momentum copy of
/// theirs. Where the widths of picture and text differ, keys and values of its cross-attention keep what they have,
/// with joint fusion, whose layers have none, all of its cross-attention does; the momentum copy takes it over.
void start_answer_decoder(ParameterStore& store, const TextOptions& options);

}  // namespace vicha

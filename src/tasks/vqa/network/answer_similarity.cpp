#include "tasks/vqa/network/answer_similarity.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "nn/host_copy.h"
#include "nn/norm.h"
#include "nn/vit_block.h"

namespace vicha {
namespace {

/// Of similarities among logits: cosines alone hardly tell patches or answers apart.
constexpr double kSharpness = 10.0;

std::vector<ComparedSequence> sequences_of(const AskedQuestions& asked) {
  std::vector<ComparedSequence> sequences;
  const PackedText& pack = asked.text.pack;
  for (std::size_t q = 0; q < asked.image_of.size(); ++q) {
    sequences.push_back({pack.begin[q], pack.strides[q], pack.lengths[q], asked.image_of[q]});
  }
  return sequences;
}

/// Fused [CLS] of each question: (Q, D).
at::Tensor fused_cls(const QuestionStates& fused) {
  std::vector<std::int64_t> rows;
  std::int64_t row = 0;
  for (const std::int64_t length : fused.lengths) {
    rows.push_back(row);
    row += length;
  }
  return fused.states.index_select(0, row_indices(rows, fused.states.device()));
}

}  // namespace

AnswerSimilarity::AnswerSimilarity(Vicha& model) : model_(model) {
  const ModelOptions& options = model.options();
  if (!options.fusion.similarity) {
    throw UsageError(
        "vqa.similarity = true compares answers with patches by the maps of words and patches, and the model has none; "
        "set model.fusion.similarity=true");
  }
  ParameterStore& store = model.parameters();
  const ParameterStore::Scope heads(store, "heads"), fusion(store, "fusion_heads"), scope(store, "answer_similarity");
  query_ = add_linear(store, "answer_query.", options.text.width, options.embed_dim, Init::kLinearDefault);
  key_ = add_linear(store, "answer_key.", options.vit.width, options.embed_dim, Init::kLinearDefault);
  scale_ = add_linear(store, "answer_scale.", options.text.width, 1, Init::kZeros);
  flag_ = store.add("answer_flag", {1}, Init::kOnes);
}

at::Tensor AnswerSimilarity::answers(const Tokens& tokens) const {
  const Encoders& encoders = model_.online();
  const TextOptions& text = encoders.text.options();
  // Texts end without [SEP] wherever else they are read.
  const at::Tensor ids = tokens.ids.cpu().contiguous();
  Tokens read{ids, tokens.lengths};
  for (std::size_t a = 0; a < read.lengths.size(); ++a) {
    const std::int64_t last = read.lengths[a] - 1;
    if (last > 0 && ids[static_cast<std::int64_t>(a)][last].item<std::int64_t>() == text.sep_id) --read.lengths[a];
  }
  const TextStates states = encoders.encode_text(PackedText::packed(read, model_.device()), Dropout());
  const at::Tensor words_TE = encoders.similarity->words(states.states).to(at::kFloat);
  std::vector<std::int64_t> answer_of;
  std::vector<float> share;
  for (std::size_t a = 0; a < read.lengths.size(); ++a) {
    for (std::int64_t j = 0; j < read.lengths[a]; ++j) {
      answer_of.push_back(static_cast<std::int64_t>(a));
      share.push_back(j == 0 ? 0.0F : 1.0F / static_cast<float>(read.lengths[a] - 1));
    }
  }
  const at::Device device = words_TE.device();
  const at::Tensor weighted = words_TE * to_device(at::tensor(share), device).unsqueeze(1);
  return at::zeros({read.size(), words_TE.size(1)}, weighted.options())
      .index_add(0, row_indices(answer_of, device), weighted);
}

at::Tensor AnswerSimilarity::looks(const AskedQuestions& asked) const {
  const Encoders& encoders = model_.online();
  const std::int64_t patches = asked.image.patches.size(1), tokens = asked.image.fusion_tokens();
  VICHA_ASSERT(patches < tokens);
  const at::Tensor shown = asked.image.fusion_rows();
  const std::int64_t width = shown.size(1);
  // Behind the class token; concepts follow them. With joint fusion they are regions.
  const at::Tensor states = shown.view({-1, tokens, width}).narrow(1, 1, patches).reshape({-1, width});
  const at::Tensor keys = key_(states).to(at::kFloat), keys_INE = keys.view({-1, patches, keys.size(1)});
  const at::Tensor of_images = row_indices(asked.image_of, keys_INE.device());
  const at::Tensor query_QE = query_(fused_cls(asked.fused)).to(at::kFloat);
  const at::Tensor scores_QN = at::bmm(keys_INE.index_select(0, of_images), query_QE.unsqueeze(2)).squeeze(2) /
                               std::sqrt(static_cast<double>(query_QE.size(1)));
  const at::Tensor named_QN =
      compare(encoders.similarity->words(asked.text.states), asked.image.patches, sequences_of(asked)).patches_GN;
  return (scores_QN + named_QN.to(at::kFloat) * flag_ * kSharpness).softmax(1);
}

at::Tensor AnswerSimilarity::gains(const AskedQuestions& asked, const at::Tensor& answers_AE) const {
  const at::Tensor of_images = row_indices(asked.image_of, answers_AE.device());
  const at::Tensor patches_QNE = asked.image.patches.to(at::kFloat).index_select(0, of_images);
  const at::Tensor attended_QE = at::bmm(looks(asked).unsqueeze(1), patches_QNE).squeeze(1);
  const at::Tensor cosine_QA = at::mm(unit_rows(attended_QE), unit_rows(answers_AE).t());
  return scale_(fused_cls(asked.fused)).to(at::kFloat) * cosine_QA * kSharpness;
}

void add_gains(RankedAnswers& ranked, const float* gains) {
  if (!ranked.finite()) return;
  std::vector<std::pair<double, std::int64_t>> both;  // logit, answer
  for (std::size_t i = 0; i < ranked.answers.size(); ++i) {
    both.emplace_back(ranked.log_probs[i] + static_cast<double>(gains[ranked.answers[i]]), ranked.answers[i]);
  }
  if (std::ranges::any_of(both, [](const auto& one) { return !std::isfinite(one.first); })) {
    std::ranges::fill(ranked.log_probs, std::numeric_limits<double>::quiet_NaN());
    ranked.probabilities = ranked.log_probs;
    return;
  }
  std::ranges::sort(
      both, [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
  double sum = 0;
  for (const auto& [logit, answer] : both) sum += std::exp(logit - both.front().first);
  for (std::size_t i = 0; i < both.size(); ++i) {
    ranked.answers[i] = both[i].second;
    ranked.log_probs[i] = both[i].first;
    ranked.probabilities[i] = std::exp(both[i].first - both.front().first) / sum;
  }
}

at::Tensor answer_gain_loss(const at::Tensor& log_probs_QA, const at::Tensor& gains_QA, const at::Tensor& wanted_QA) {
  const at::Tensor logp = (log_probs_QA.detach() + gains_QA).log_softmax(1);
  return -(wanted_QA * logp).sum() / static_cast<double>(logp.size(0));
}

}  // namespace vicha

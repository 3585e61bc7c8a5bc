#include "tasks/vqa/network/answer_prefixes.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/error.h"
#include "nn/host_copy.h"

namespace vicha {
namespace {

/// Rows whose logits over the whole vocabulary are in memory at a time: 60 MB with BERT's.
constexpr std::int64_t kAnswerHeadRows = 512;

}  // namespace

AnswerPrefixes::AnswerPrefixes(const AnswerDecoder& decoder, const QuestionStates& questions)
    : decoder_(decoder), question_length_(questions.lengths) {
  const at::NoGradGuard guard;
  std::int64_t at = 0;
  for (const std::int64_t length : question_length_) {
    question_begin_.push_back(at);
    at += length;
  }
  question_kv_ = decoder.question_kv(questions.states);
  kept_.resize(question_kv_.size());
}

at::Tensor AnswerPrefixes::extend(const std::vector<Token>& tokens) {
  const at::NoGradGuard guard;
  std::vector<std::int64_t> ids, positions, read;
  auto self = std::make_shared<Segments>(), cross = std::make_shared<Segments>();
  for (const Token& token : tokens) {
    const std::int64_t number = count(), row = static_cast<std::int64_t>(ids.size());
    const std::int64_t position = token.before < 0 ? 0 : position_[static_cast<std::size_t>(token.before)] + 1;
    ids.push_back(token.id);
    positions.push_back(position);
    before_.push_back(token.before);
    position_.push_back(position);
    const auto begin = static_cast<std::int64_t>(read.size());
    for (std::int64_t at = number; at >= 0; at = before_[static_cast<std::size_t>(at)]) read.push_back(at);
    self->list.push_back({row, 1, begin, static_cast<std::int64_t>(read.size()) - begin});
    const auto question = static_cast<std::size_t>(token.question);
    if (cross->list.empty() || cross->list.back().k_begin != question_begin_[question]) {
      VICHA_ASSERT(cross->list.empty() || cross->list.back().k_begin < question_begin_[question]);
      cross->list.push_back({row, 0, question_begin_[question], question_length_[question]});
    }
    ++cross->list.back().q_len;
  }
  self->q_rows = cross->q_rows = static_cast<std::int64_t>(ids.size());
  self->k_rows = static_cast<std::int64_t>(read.size());
  cross->k_rows = question_kv_.front().size(0);

  const at::Device device = decoder_.device();
  const auto indices = [&](const std::vector<std::int64_t>& rows) {
    return to_device(at::tensor(rows, at::kLong), device);
  };
  const at::Tensor seen = indices(read);
  at::Tensor x = decoder_.embeddings()(indices(ids), indices(positions), Dropout());
  const std::int64_t width = x.size(1);
  for (std::size_t i = 0; i < question_kv_.size(); ++i) {
    const BertLayer& layer = decoder_.layers()[i];
    const at::Tensor qkv = layer.qkv(x), kv = qkv.narrow(1, width, 2 * width);
    kept_[i] = kept_[i].defined() ? at::cat({kept_[i], kv}) : kv.contiguous();
    const at::Tensor attended =
        cross_attention(qkv.narrow(1, 0, width).contiguous(), kept_[i].index_select(0, seen), layer.heads, self);
    x = residual_layer_norm(x, matmul_nt(attended, layer.proj.weight), layer.proj.bias, layer.attention_norm).out;
    x = layer.mlp(layer.attend_image(x, question_kv_[i], cross, Dropout()), Dropout());
  }
  return x;
}

std::vector<float> AnswerPrefixes::next_log_probs(
    const at::Tensor& states_nD, const std::vector<std::pair<std::int64_t, std::int64_t>>& wanted) const {
  const at::NoGradGuard guard;
  std::vector<std::int64_t> order(wanted.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return wanted[static_cast<std::size_t>(a)].first < wanted[static_cast<std::size_t>(b)].first;
  });
  std::vector<float> result(wanted.size());
  std::size_t next = 0;
  for (std::int64_t begin = 0; begin < states_nD.size(0); begin += kAnswerHeadRows) {
    const std::int64_t end = std::min(begin + kAnswerHeadRows, states_nD.size(0));
    const std::size_t first = next;
    std::vector<std::int64_t> rows, ids;
    for (; next < order.size() && wanted[static_cast<std::size_t>(order[next])].first < end; ++next) {
      const auto& [row, id] = wanted[static_cast<std::size_t>(order[next])];
      rows.push_back(row - begin);
      ids.push_back(id);
    }
    if (rows.empty()) continue;
    const at::Tensor at = to_device(at::tensor(rows, at::kLong), decoder_.device());
    const at::Tensor logits = decoder_.logits(states_nD.slice(0, begin, end));
    const at::Tensor chosen = logits.index({at, to_device(at::tensor(ids, at::kLong), decoder_.device())});
    const at::Tensor logp = (chosen - logits.logsumexp(1).index_select(0, at)).cpu();
    const float* p = logp.const_data_ptr<float>();
    for (std::size_t i = first; i < next; ++i) result[static_cast<std::size_t>(order[i])] = p[i - first];
  }
  return result;
}

}  // namespace vicha

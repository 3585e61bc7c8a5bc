#include "nn/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "nn/dispatch.h"
#include "nn/gemm.h"
#include "nn/kernels.h"
#include "nn/operations.h"

namespace vicha {
namespace {

#ifdef VICHA_HAVE_SGEMM

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/// Query rows handled at a time: the block of scores stays in the second-level cache up to a few thousand keys.
constexpr std::int64_t kQueryBlock = 96;

/// A (rows, width) matrix inside a wider one; `stride` elements from row to row.
template <class T>
struct View {
  T* data;
  std::int64_t stride;
  T* at(std::int64_t row, std::int64_t column) const { return data + row * stride + column; }
};

/// Rows of one head as fp32: in place where they are, converted into `scratch` otherwise.
struct Rows {
  const float* data;
  std::int64_t stride;
};
Rows as_float(View<const float> x, std::int64_t row, std::int64_t column, std::int64_t, std::int64_t,
              std::vector<float>&) {
  return {x.at(row, column), x.stride};
}
Rows as_float(View<const c10::BFloat16> x, std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t width,
              std::vector<float>& scratch) {
  scratch.resize(static_cast<std::size_t>(rows * width));
  for (std::int64_t i = 0; i < rows; ++i) {
    kernels::copy_to_float(x.at(row + i, column), scratch.data() + i * width, width);
  }
  return {scratch.data(), width};
}

/// Where a product of fp32 rows goes: straight into an fp32 result, through `scratch` into a bf16 one.
template <class T>
class Sink {
 public:
  Sink(View<T> to, std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t width,
       std::vector<float>& scratch)
      : to_(to), row_(row), column_(column), rows_(rows), width_(width), scratch_(scratch) {
    if constexpr (!std::is_same_v<T, float>) scratch_.resize(static_cast<std::size_t>(rows * width));
  }
  float* data() const {
    if constexpr (std::is_same_v<T, float>) return to_.at(row_, column_);
    return scratch_.data();
  }
  std::int64_t stride() const {
    if constexpr (std::is_same_v<T, float>) return to_.stride;
    return width_;
  }
  void flush() const {
    if constexpr (!std::is_same_v<T, float>) {
      for (std::int64_t i = 0; i < rows_; ++i) {
        kernels::copy_from_float(scratch_.data() + i * width_, to_.at(row_ + i, column_), width_);
      }
    }
  }

 private:
  View<T> to_;
  std::int64_t row_, column_, rows_, width_;
  std::vector<float>& scratch_;
};

struct Problem {
  const Segments& segments;
  std::int64_t heads, width;  ///< width of one head
  float scale;
  DropoutDraw drop;
  std::uint32_t row_seed(std::int64_t row, std::int64_t head) const {
    return drop.row_seed(head * segments.q_rows + row);
  }
};

/// `products` of (queries, keys, width) for every segment and head.
void count_attention(const Problem& p, int products) {
  for (const Segment& s : p.segments.list) count_product(products * p.heads * s.q_len, s.k_len, p.width);
}

template <class T>
void forward_kernel(const Problem& p, View<const T> q, View<const T> k, View<const T> v, View<T> out, float* lse) {
  const std::int64_t count = static_cast<std::int64_t>(p.segments.list.size());
  count_attention(p, 2);
  at::parallel_for(0, count * p.heads, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> scores, qs, ks, vs, os;
    for (std::int64_t item = begin; item < end; ++item) {
      const Segment& s = p.segments.list[static_cast<std::size_t>(item / p.heads)];
      const std::int64_t head = item % p.heads, column = head * p.width;
      const Rows key = as_float(k, s.k_begin, column, s.k_len, p.width, ks);
      const Rows value = as_float(v, s.k_begin, column, s.k_len, p.width, vs);
      scores.resize(static_cast<std::size_t>(std::min(kQueryBlock, s.q_len) * s.k_len));
      for (std::int64_t at = 0; at < s.q_len; at += kQueryBlock) {
        const std::int64_t rows = std::min(kQueryBlock, s.q_len - at), row = s.q_begin + at;
        const Rows query = as_float(q, row, column, rows, p.width, qs);
        gemm(false, true, rows, s.k_len, p.width, 1.0f, query.data, query.stride, key.data, key.stride, 0.0f,
             scores.data(), s.k_len);
        for (std::int64_t i = 0; i < rows; ++i) {
          float* line = scores.data() + i * s.k_len;
          const std::int64_t seen = p.segments.keys_seen(s, at + i);
          lse[head * p.segments.q_rows + row + i] = kernels::softmax_row(line, p.scale, seen);
          std::fill(line + seen, line + s.k_len, 0.0f);
          if (p.drop.threshold() != 0) {
            kernels::drop_row(line, p.drop.threshold(), p.row_seed(row + i, head), p.drop.scale(), s.k_len);
          }
        }
        const Sink<T> sink(out, row, column, rows, p.width, os);
        gemm(false, false, rows, p.width, s.k_len, 1.0f, scores.data(), s.k_len, value.data, value.stride, 0.0f,
             sink.data(), sink.stride());
        sink.flush();
      }
    }
  });
}

/// Runs of segments that share their keys: [first, last) into the list.
std::vector<std::pair<std::size_t, std::size_t>> groups_of(const Segments& segments) {
  std::vector<std::pair<std::size_t, std::size_t>> groups;
  for (std::size_t i = 0; i < segments.list.size(); ++i) {
    if (i == 0 || segments.list[i].k_begin != segments.list[i - 1].k_begin) groups.emplace_back(i, i);
    groups.back().second = i + 1;
  }
  return groups;
}

template <class T>
void backward_kernel(const Problem& p, View<const T> q, View<const T> k, View<const T> v, View<const T> out,
                     const float* lse, View<const T> grad_out, View<T> grad_q, View<T> grad_k, View<T> grad_v) {
  const auto groups = groups_of(p.segments);
  count_attention(p, 5);
  const std::uint32_t threshold = p.drop.threshold();
  at::parallel_for(0, static_cast<std::int64_t>(groups.size()) * p.heads, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> probabilities, dropped, grad_scores, qs, ks, vs, os, gs, dq, dk, dv;
    for (std::int64_t item = begin; item < end; ++item) {
      const auto [first, last] = groups[static_cast<std::size_t>(item / p.heads)];
      const std::int64_t head = item % p.heads, column = head * p.width;
      const std::int64_t k_begin = p.segments.list[first].k_begin, k_len = p.segments.list[first].k_len;
      const Rows key = as_float(k, k_begin, column, k_len, p.width, ks);
      const Rows value = as_float(v, k_begin, column, k_len, p.width, vs);
      const Sink<T> key_sink(grad_k, k_begin, column, k_len, p.width, dk),
          value_sink(grad_v, k_begin, column, k_len, p.width, dv);
      float beta = 0.0f;  // the first product overwrites, the others add
      for (std::size_t j = first; j < last; ++j) {
        const Segment& s = p.segments.list[j];
        const std::size_t block = static_cast<std::size_t>(std::min(kQueryBlock, s.q_len) * k_len);
        probabilities.resize(std::max(probabilities.size(), block));
        grad_scores.resize(std::max(grad_scores.size(), block));
        if (threshold != 0) dropped.resize(std::max(dropped.size(), block));
        for (std::int64_t at = 0; at < s.q_len; at += kQueryBlock) {
          const std::int64_t rows = std::min(kQueryBlock, s.q_len - at), row = s.q_begin + at;
          const Rows query = as_float(q, row, column, rows, p.width, qs);
          const Rows grad = as_float(grad_out, row, column, rows, p.width, gs);
          const Rows result = as_float(out, row, column, rows, p.width, os);
          gemm(false, true, rows, k_len, p.width, 1.0f, query.data, query.stride, key.data, key.stride, 0.0f,
               probabilities.data(), k_len);
          gemm(false, true, rows, k_len, p.width, 1.0f, grad.data, grad.stride, value.data, value.stride, 0.0f,
               grad_scores.data(), k_len);
          for (std::int64_t i = 0; i < rows; ++i) {
            float* line = probabilities.data() + i * k_len;
            const std::uint32_t seed = p.row_seed(row + i, head);
            const std::int64_t seen = p.segments.keys_seen(s, at + i);
            kernels::exp_row(line, p.scale, lse[head * p.segments.q_rows + row + i], seen);
            std::fill(line + seen, line + k_len, 0.0f);
            const float dot = kernels::dot_row(grad.data + i * grad.stride, result.data + i * result.stride, p.width);
            kernels::softmax_backward_row(line, grad_scores.data() + i * k_len, dot, p.scale, threshold, seed,
                                          p.drop.scale(), k_len);
            if (threshold != 0) {
              std::copy_n(line, k_len, dropped.data() + i * k_len);
              kernels::drop_row(dropped.data() + i * k_len, threshold, seed, p.drop.scale(), k_len);
            }
          }
          const float* used = threshold != 0 ? dropped.data() : probabilities.data();
          gemm(true, false, k_len, p.width, rows, 1.0f, used, k_len, grad.data, grad.stride, beta, value_sink.data(),
               value_sink.stride());
          gemm(true, false, k_len, p.width, rows, 1.0f, grad_scores.data(), k_len, query.data, query.stride, beta,
               key_sink.data(), key_sink.stride());
          const Sink<T> query_sink(grad_q, row, column, rows, p.width, dq);
          gemm(false, false, rows, p.width, k_len, 1.0f, grad_scores.data(), k_len, key.data, key.stride, 0.0f,
               query_sink.data(), query_sink.stride());
          query_sink.flush();
          beta = 1.0f;
        }
      }
      key_sink.flush();
      value_sink.flush();
    }
  });
}

/// True if some query attends to every row of keys, so that each gets its gradient written.
bool covers_keys(const Segments& segments) {
  std::int64_t covered = 0, last = -1;
  for (const Segment& s : segments.list) {
    if (s.k_begin != last && s.q_len > 0) covered += s.k_len;
    last = s.k_begin;
  }
  return covered == segments.k_rows;
}

/// q_source holds queries in its first `width` columns; kv_source holds keys and values in its last 2 * width ones. For
/// self-attention both are the same tensor.
struct AttentionFunction : torch::autograd::Function<AttentionFunction> {
  static Variable forward(AutogradContext* ctx, const Variable& q_source, const std::optional<at::Tensor>& kv_source,
                          std::int64_t heads, const SegmentsPtr& segments, const DropoutDraw& drop) {
    const at::Tensor q = q_source.contiguous(), kv = kv_source ? kv_source->contiguous() : at::Tensor();
    const std::int64_t width = kv.defined() ? q.size(1) : q.size(1) / 3;
    at::Tensor out = at::empty({q.size(0), width}, q.options());
    at::Tensor lse = at::empty({heads, segments->q_rows}, q.options().dtype(at::kFloat));
    const Problem problem{*segments, heads, width / heads, 1.0f / std::sqrt(static_cast<float>(width / heads)), drop};
    dispatch_type(q.scalar_type(), [&]<class T>() {
      const at::Tensor& other = kv.defined() ? kv : q;
      const T* keys = other.data_ptr<T>() + other.size(1) - 2 * width;
      forward_kernel<T>(problem, {q.data_ptr<T>(), q.size(1)}, {keys, other.size(1)}, {keys + width, other.size(1)},
                        {out.data_ptr<T>(), width}, lse.data_ptr<float>());
    });
    ctx->save_for_backward({q, kv, out, lse});
    ctx->saved_data["heads"] = heads;
    ctx->saved_data["probability"] = drop.probability;
    ctx->saved_data["seed"] = static_cast<std::int64_t>(drop.seed);
    ctx->saved_data["segments"] = c10::IValue::make_capsule(c10::make_intrusive<Holder>(segments));
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &q = saved[0], &kv = saved[1], &out = saved[2], &lse = saved[3];
    const auto capsule = ctx->saved_data["segments"].toCapsule();
    const Segments& segments = *static_cast<Holder&>(*capsule).segments;
    const std::int64_t heads = ctx->saved_data["heads"].toInt(), width = out.size(1);
    const DropoutDraw drop{ctx->saved_data["probability"].toDouble(),
                           static_cast<std::uint64_t>(ctx->saved_data["seed"].toInt())};
    const Problem problem{segments, heads, width / heads, 1.0f / std::sqrt(static_cast<float>(width / heads)), drop};
    const at::Tensor grad = grads[0].contiguous();
    const bool whole = covers_keys(segments);
    const auto like = [&](const at::Tensor& x) { return whole ? at::empty_like(x) : at::zeros_like(x); };
    at::Tensor grad_q = like(q), grad_kv = kv.defined() ? like(kv) : at::Tensor();
    dispatch_type(q.scalar_type(), [&]<class T>() {
      const at::Tensor &other = kv.defined() ? kv : q, &grad_other = kv.defined() ? grad_kv : grad_q;
      const std::int64_t first = other.size(1) - 2 * width, stride = other.size(1);
      const T* keys = other.data_ptr<T>() + first;
      T* grad_keys = grad_other.data_ptr<T>() + first;
      backward_kernel<T>(problem, {q.data_ptr<T>(), q.size(1)}, {keys, stride}, {keys + width, stride},
                         {out.data_ptr<T>(), width}, lse.data_ptr<float>(), {grad.data_ptr<T>(), width},
                         {grad_q.data_ptr<T>(), q.size(1)}, {grad_keys, stride}, {grad_keys + width, stride});
    });
    return {grad_q, grad_kv, Variable(), Variable(), Variable()};
  }

 private:
  struct Holder : torch::CustomClassHolder {
    explicit Holder(SegmentsPtr s) : segments(std::move(s)) {}
    SegmentsPtr segments;
  };
};

#endif  // VICHA_HAVE_SGEMM

}  // namespace

at::Tensor self_attention(const at::Tensor& qkv_T3D, std::int64_t heads, const SegmentsPtr& segments,
                          const DropoutDraw& dropout) {
  VICHA_ASSERT(qkv_T3D.size(0) == segments->q_rows && segments->q_rows == segments->k_rows);
#ifdef VICHA_HAVE_SGEMM
  if (qkv_T3D.is_cpu()) return AttentionFunction::apply(qkv_T3D, std::nullopt, heads, segments, dropout);
#endif
  const auto parts = qkv_T3D.chunk(3, 1);
  return attention_reference(parts[0], parts[1], parts[2], heads, segments, dropout.probability);
}

at::Tensor cross_attention(const at::Tensor& q_TD, const at::Tensor& kv_S2D, std::int64_t heads,
                           const SegmentsPtr& segments, const DropoutDraw& dropout) {
  VICHA_ASSERT(q_TD.size(0) == segments->q_rows && kv_S2D.size(0) == segments->k_rows);
#ifdef VICHA_HAVE_SGEMM
  if (q_TD.is_cpu()) return AttentionFunction::apply(q_TD, std::optional<at::Tensor>(kv_S2D), heads, segments, dropout);
#endif
  const auto parts = kv_S2D.chunk(2, 1);
  return attention_reference(q_TD, parts[0], parts[1], heads, segments, dropout.probability);
}

at::Tensor attention_reference(const at::Tensor& q_TD, const at::Tensor& k_SD, const at::Tensor& v_SD,
                               std::int64_t heads, const SegmentsPtr& segments, double dropout_probability) {
  const std::int64_t count = static_cast<std::int64_t>(segments->list.size()), width = q_TD.size(1) / heads;
  const SegmentIndex& index = segments->index_on(q_TD.device());
  const auto heads_of = [&](const at::Tensor& x, const at::Tensor& at) {
    return x.index({at}).view({count, at.size(1), heads, width}).transpose(1, 2);
  };
  const at::Tensor out = at::scaled_dot_product_attention(heads_of(q_TD, index.q_NQ), heads_of(k_SD, index.k_NK),
                                                          heads_of(v_SD, index.k_NK), index.seen, dropout_probability);
  return out.transpose(1, 2).reshape({count * index.q_NQ.size(1), heads * width}).index_select(0, index.back_T);
}

}  // namespace vicha

#include "align/contrast_tiles.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "align/contrast_kernels.h"
#include "nn/dispatch.h"
#include "nn/parallel.h"

namespace vicha {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
/// Rows that a thread looks at before it goes on: few enough to be in its cache when columns take their second look.
constexpr std::int64_t kStrip = 64;

at::Tensor slice(const at::Tensor& whole, Span span) { return whole.slice(0, span.begin, span.end); }

at::Tensor same_group(const Tile& tile) { return tile.row_labels.unsqueeze(1).eq(tile.column_labels.unsqueeze(0)); }

bool by_kernels(const Tile& tile, const at::Tensor& similarity) { return tile.own_kernels && similarity.is_cpu(); }

TileSides look_composite(const Tile& tile, const at::Tensor& similarity, bool want_lse) {
  const at::Tensor same = same_group(tile);
  const at::Tensor positive = similarity.masked_fill(same.logical_not(), kMinusInfinity),
                   negative = similarity.masked_fill(same, kMinusInfinity);
  TileSides sides{
      {.positive = positive.amax(1), .negative = negative.amax(1), .positive_sum = (similarity * same).sum(1)},
      {.positive = positive.amax(0), .negative = negative.amax(0)}};
  if (want_lse) {
    sides.rows.lse = similarity.logsumexp({1});
    sides.columns.lse = similarity.logsumexp({0});
  }
  return sides;
}

/// The columns of each strip of rows: (strips, c).
struct StripColumns {
  at::Tensor positive, negative, largest, sums;

  StripColumns(std::int64_t strips, const at::Tensor& like) {
    const std::int64_t c = like.size(1);
    positive = at::full({strips, c}, kMinusInfinity, like.options());
    negative = positive.clone();
    largest = at::empty_like(positive);
    sums = at::zeros_like(positive);
  }
  TileSide joined(bool want_lse) const {
    TileSide side{.positive = positive.amax(0), .negative = negative.amax(0)};
    if (want_lse) {
      const at::Tensor most = largest.amax(0);
      side.lse = (sums * (largest - most).exp_()).sum(0).log_().add_(most);
    }
    return side;
  }
};

}  // namespace

TileSides look_at_tile(const Tile& tile, const at::Tensor& similarity_RC, bool want_lse) {
  if (!by_kernels(tile, similarity_RC)) return look_composite(tile, similarity_RC, want_lse);
  const at::Tensor similarity = similarity_RC.contiguous();
  const std::int64_t r = similarity.size(0), c = similarity.size(1), strips = (r + kStrip - 1) / kStrip;
  StripColumns columns(strips, similarity);
  TileSide rows{.positive = at::empty({r}, similarity.options()), .negative = at::empty({r}, similarity.options())};
  rows.positive_sum = at::empty({r}, similarity.options());
  if (want_lse) rows.lse = at::empty({r}, similarity.options());
  const float* s = similarity.data_ptr<float>();
  const std::int32_t *row_labels = tile.row_labels.data_ptr<std::int32_t>(),
                     *column_labels = tile.column_labels.data_ptr<std::int32_t>();
  float *row_positive = rows.positive.data_ptr<float>(), *row_negative = rows.negative.data_ptr<float>(),
        *row_sum = rows.positive_sum.data_ptr<float>(), *row_lse = want_lse ? rows.lse.data_ptr<float>() : nullptr,
        *positive = columns.positive.data_ptr<float>(), *negative = columns.negative.data_ptr<float>(),
        *largest = columns.largest.data_ptr<float>(), *sums = columns.sums.data_ptr<float>();
  at::parallel_for(0, strips, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t strip = first; strip < last; ++strip) {
      const std::int64_t begin = strip * kStrip, end = std::min(r, begin + kStrip), at = strip * c;
      for (std::int64_t i = begin; i < end; ++i) {
        const kernels::Peaks peaks = kernels::peaks_row(s + i * c, column_labels, row_labels[i], c);
        row_positive[i] = peaks.positive;
        row_negative[i] = peaks.negative;
        row_sum[i] = peaks.positive_sum;
        if (want_lse) {
          const float most = std::max(peaks.positive, peaks.negative);
          row_lse[i] = most + std::log(kernels::exp_sum_row(s + i * c, most, c));
        }
        kernels::column_peaks_row(s + i * c, column_labels, row_labels[i], positive + at, negative + at, c);
      }
      if (!want_lse) continue;
      for (std::int64_t j = at; j < at + c; ++j) largest[j] = std::max(positive[j], negative[j]);
      for (std::int64_t i = begin; i < end; ++i) {
        kernels::column_exp_sums_row(s + i * c, largest + at, sums + at, c);
      }
    }
  });
  return {rows, columns.joined(want_lse)};
}

at::Tensor info_nce_tile(const InfoNceTile& about, const at::Tensor& similarity_RC, at::ScalarType type) {
  const Tile& tile = about.tile;
  const at::Tensor row_lse = slice(about.row_lse_B, tile.rows), column_lse = slice(about.column_lse_B, tile.columns),
                   target = slice(about.target_B, tile.rows);
  if (!by_kernels(tile, similarity_RC)) {
    const at::Tensor expected = ((similarity_RC - row_lse.unsqueeze(1)).exp_() + (similarity_RC - column_lse).exp_());
    return (expected * about.share - same_group(tile) * target.unsqueeze(1)).to(type);
  }
  const at::Tensor similarity = similarity_RC.contiguous();
  const at::Tensor grad =
      type == at::kFloat ? similarity : at::empty(similarity.sizes(), similarity.options().dtype(type));
  const std::int64_t r = similarity.size(0), c = similarity.size(1);
  const float *s = similarity.data_ptr<float>(), *rows = row_lse.data_ptr<float>(),
              *columns = column_lse.data_ptr<float>(), *targets = target.data_ptr<float>();
  const std::int32_t *row_labels = tile.row_labels.data_ptr<std::int32_t>(),
                     *column_labels = tile.column_labels.data_ptr<std::int32_t>();
  dispatch_type(type, [&]<class T>() {
    T* g = grad.data_ptr<T>();
    parallel_rows(r, c, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        kernels::info_nce_gradient_row<T>(s + i * c, g + i * c, rows[i], columns, static_cast<float>(about.share),
                                          column_labels, row_labels[i], targets[i], c);
      }
    });
  });
  return grad;
}

SigmoidTileResult sigmoid_tile(const Tile& tile, const at::Tensor& similarity_RC, const at::Tensor& bias, double share,
                               at::ScalarType type) {
  if (!by_kernels(tile, similarity_RC)) {
    const at::Tensor same = same_group(tile), logit = similarity_RC + bias;
    const at::Tensor against = at::where(same, -logit, logit), grad = (logit.sigmoid() - same.to(at::kFloat)) * share;
    return {at::softplus(against).sum(at::kDouble), grad.to(type), grad.sum(at::kDouble)};
  }
  const at::Tensor similarity = similarity_RC.contiguous();
  const at::Tensor grad =
      type == at::kFloat ? similarity : at::empty(similarity.sizes(), similarity.options().dtype(type));
  const std::int64_t r = similarity.size(0), c = similarity.size(1);
  const at::Tensor sums = at::empty({r, 2}, similarity.options());  // of rows: loss, gradient
  const float *s = similarity.data_ptr<float>(), shift = bias.item<float>();
  float* row_sums = sums.data_ptr<float>();
  const std::int32_t *row_labels = tile.row_labels.data_ptr<std::int32_t>(),
                     *column_labels = tile.column_labels.data_ptr<std::int32_t>();
  dispatch_type(type, [&]<class T>() {
    T* g = grad.data_ptr<T>();
    parallel_rows(r, c, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const kernels::SigmoidSums row = kernels::sigmoid_row<T>(s + i * c, g + i * c, shift, static_cast<float>(share),
                                                                 column_labels, row_labels[i], c);
        row_sums[2 * i] = row.loss;
        row_sums[2 * i + 1] = row.gradient;
      }
    });
  });
  const at::Tensor totals = sums.sum(at::IntArrayRef{0}, false, at::kDouble);
  return {totals[0], grad, totals[1]};
}

}  // namespace vicha

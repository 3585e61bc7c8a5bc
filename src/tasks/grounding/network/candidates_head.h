// Candidate boxes judged by a head that has learnt from right boxes (`grounding.supervised`; ours, neither the paper
// nor the public code has it). B pictures with a text each, C candidates of a picture (padded), N patches, D_image and
// D_text widths, H width of the head.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/linear.h"
#include "nn/parameters.h"

namespace vicha {

/// Share of each patch in each box, by area, a row sums to 1: boxes [x, y, w, h] as shares of the picture's sides
/// (B, C, 4) -> (B, C, N), patches row by row. What lies outside of the picture counts for nothing; a box without any
/// area inside gets equal shares.
at::Tensor patch_shares(const at::Tensor& boxes_BC4, std::int64_t rows, std::int64_t columns);

/// [x, y, right, bottom, w, h, sqrt(w h), log(w / h)], all of them also less the mean over the picture's candidates:
/// (B, C, kBoxNumbers). `real` (B, C) bool says which candidates there are.
at::Tensor box_numbers(const at::Tensor& boxes_BC4, const at::Tensor& real_BC);
inline constexpr std::int64_t kBoxNumbers = 16;

struct CandidatesHead {
  Linear patches, text, box, one, own, all, score;

  /// Registers "<prefix>patches.", "<prefix>text.", …
  CandidatesHead(ParameterStore& store, const std::string& prefix, std::int64_t image_width, std::int64_t text_width,
                 std::int64_t width);

  /// Of the image's patch states pooled over each box (B, C, D_image), the fused [CLS] (B, D_text) and box_numbers:
  /// logits (B, C), fp32, kNoCandidate where there is none. A candidate sees, beside itself, the highest of each number
  /// over all candidates of its picture ("the larger one").
  at::Tensor operator()(const at::Tensor& pooled_BCD, const at::Tensor& cls_BD, const at::Tensor& box_BCG,
                        const at::Tensor& real_BC) const;
};
inline constexpr double kNoCandidate = -1e4;

/// Cross-entropy of the softmax over the candidates with the right ones (B, C) bool, all alike; mean over the pictures
/// that have a right one, 0 where none has.
at::Tensor candidates_loss(const at::Tensor& logits_BC, const at::Tensor& right_BC);

}  // namespace vicha

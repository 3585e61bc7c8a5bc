// The contrast of images with texts over a whole batch, exactly and in bounded memory: similarities exist only in
// tiles, never as a matrix of the batch's size (docs/method.md, section 8). B pairs, E embedding.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "distributed/group.h"

namespace vicha {

/// How the batch is cut. None of it changes what is computed, but for the order of sums.
struct ContrastTiles {
  std::int64_t side = 2048;  ///< rows and columns of a tile, at most
  /// Similarities that are kept from the first look to the second, if a batch has no more; computed twice otherwise.
  std::int64_t kept = std::int64_t{1} << 24;
  bool own_kernels = true;  ///< on the host; false: LibTorch's operations as on other devices (to compare)
};

struct ContrastResult {
  at::Tensor loss;  ///< 0-D; gradients reach both embeddings, the scale and the bias
  /// Shares of the images (texts) whose most similar text (image) of the batch is one of their own.
  at::Tensor image_accuracy, text_accuracy;
};

/// Cross-entropy (InfoNCE) of scale * image . text, mean of both directions. Pairs of equal `groups_B` (int64) are
/// positives of each other: a row's target is spread evenly over its positives. Undefined groups: only the pair itself
/// is. `image_BE`, `text_BE`: unit rows, fp32; `scale`: one element, above 0.
///
/// In a group of processes the pairs of all ranks contrast with each other, as one batch in the order of ranks: loss
/// and accuracies are the whole batch's, and gradients such that their mean over ranks is that of the whole batch.
ContrastResult info_nce(const at::Tensor& image_BE, const at::Tensor& text_BE, const at::Tensor& scale,
                        const at::Tensor& groups_B, const Group& group = Group::alone(),
                        const ContrastTiles& tiles = {});

/// SigLIP's loss (Zhai et al. 2023, arXiv 2303.15343): each of the B * B pairs by itself is told to be positive or
/// negative by the sign of scale * image . text + bias; summed, divided by B. Otherwise as above.
ContrastResult sigmoid_contrast(const at::Tensor& image_BE, const at::Tensor& text_BE, const at::Tensor& scale,
                                const at::Tensor& bias, const at::Tensor& groups_B, const Group& group = Group::alone(),
                                const ContrastTiles& tiles = {});

/// Numbers below B, equal where the ids are equal: (B) int64 -> (B) int32. Makes no device wait.
at::Tensor group_labels(const at::Tensor& groups_B);

}  // namespace vicha

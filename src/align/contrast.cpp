#include "align/contrast.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "align/contrast_tiles.h"
#include "base/error.h"
#include "nn/kernel_choice.h"
#include "nn/precision.h"

namespace vicha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/// What one side of the batch, images or texts, has seen of the other so far.
struct Seen {
  at::Tensor lse, positive, negative;  ///< (B): log sum exp of all similarities, the largest of each kind
  at::Tensor positive_sum;             ///< (B) of the images: the sum of the positive ones

  explicit Seen(const at::Tensor& like_BE) {
    const at::Tensor none = at::full({like_BE.size(0)}, -std::numeric_limits<double>::infinity(), like_BE.options());
    lse = none;
    positive = none.clone();
    negative = none.clone();
    positive_sum = at::zeros_like(none);
  }
  void add(Span span, const TileSide& side) {
    const auto merge = [&](const at::Tensor& whole, const auto& merged) {
      const at::Tensor part = whole.slice(0, span.begin, span.end);
      part.copy_(merged(part));
    };
    if (side.lse.defined()) merge(lse, [&](const at::Tensor& old) { return at::logaddexp(old, side.lse); });
    merge(positive, [&](const at::Tensor& old) { return at::maximum(old, side.positive); });
    merge(negative, [&](const at::Tensor& old) { return at::maximum(old, side.negative); });
    if (side.positive_sum.defined())
      merge(positive_sum, [&](const at::Tensor& old) { return old + side.positive_sum; });
  }
  at::Tensor accuracy() const { return positive.gt(negative).to(at::kFloat).mean(); }
};

/// A batch of which tiles are looked at.
class TiledBatch {
 public:
  TiledBatch(const at::Tensor& image_BE, const at::Tensor& text_BE, const at::Tensor& scale, const at::Tensor& groups_B,
             const ContrastTiles& tiles)
      : image_(image_BE),
        scaled_image_((image_BE * scale).contiguous()),
        text_(text_BE.contiguous()),
        labels_(groups_B.defined() ? group_labels(groups_B)
                                   : at::arange(image_BE.size(0), image_BE.options().dtype(at::kInt))),
        spans_(cut(image_BE.size(0), tiles.side)),
        own_kernels_(tiles.own_kernels),
        type_(compute_type()),
        images_(image_BE),
        texts_(image_BE) {
    if (size() * size() <= tiles.kept) kept_.resize(spans_.size() * spans_.size());
  }

  std::int64_t size() const { return image_.size(0); }
  std::size_t tiles() const { return spans_.size() * spans_.size(); }
  Tile tile(std::size_t index) const {
    const Span rows = spans_[index / spans_.size()], columns = spans_[index % spans_.size()];
    return {rows, columns, slice(labels_, rows), slice(labels_, columns), own_kernels_};
  }
  at::Tensor similarities(std::size_t index) const {
    const Tile t = tile(index);
    return products::nt(slice(scaled_image_, t.rows), slice(text_, t.columns), {});
  }
  /// Looks at a tile for peaks and, if wanted, log sum exp. Returns its similarities, which may be overwritten.
  at::Tensor look(std::size_t index, bool want_lse) {
    const Tile t = tile(index);
    const at::Tensor similarity = similarities(index);
    const TileSides sides = look_at_tile(t, similarity, want_lse);
    images_.add(t.rows, sides.rows);
    texts_.add(t.columns, sides.columns);
    return similarity;
  }
  void keep(std::size_t index, const at::Tensor& similarity) {
    if (!kept_.empty()) kept_[index] = similarity;
  }
  at::Tensor take_kept(std::size_t index) {
    return kept_.empty() ? similarities(index) : std::exchange(kept_[index], at::Tensor());
  }

  void want_gradients() {
    grad_image_ = at::zeros_like(scaled_image_);
    grad_text_ = at::zeros_like(text_);
    // Similarities are fp32 always, since the scale multiplies their error; what follows from them need not be.
    branch_image_ = scaled_image_.to(type_);
    branch_text_ = text_.to(type_);
  }
  /// `grad`: of the tile's similarities, in branch_type().
  void add_gradient(std::size_t index, const at::Tensor& grad) {
    const Tile t = tile(index);
    slice(grad_image_, t.rows).add_(products::nn(grad, slice(branch_text_, t.columns)));
    slice(grad_text_, t.columns).add_(products::tn(grad, slice(branch_image_, t.rows)));
  }
  /// Of image, text and scale.
  variable_list gradients(const at::Tensor& scale) const {
    return {grad_image_ * scale, grad_text_, (image_ * grad_image_).sum().reshape(scale.sizes())};
  }

  /// For each pair the number of its positives: (B) fp32.
  at::Tensor counts() const {
    const at::Tensor ones = at::ones({size()}, image_.options());
    return at::zeros_like(ones).index_add_(0, labels_, ones).index_select(0, labels_);
  }

  at::ScalarType branch_type() const { return type_; }
  const Seen& images() const { return images_; }
  const Seen& texts() const { return texts_; }

 private:
  static std::vector<Span> cut(std::int64_t size, std::int64_t side) {
    std::vector<Span> spans;
    for (std::int64_t begin = 0; begin < size; begin += side) spans.push_back({begin, std::min(size, begin + side)});
    return spans;
  }
  static at::Tensor slice(const at::Tensor& whole, Span span) { return whole.slice(0, span.begin, span.end); }

  at::Tensor image_, scaled_image_, text_, labels_;
  std::vector<Span> spans_;
  bool own_kernels_;
  at::ScalarType type_;
  Seen images_, texts_;
  std::vector<at::Tensor> kept_;
  at::Tensor grad_image_, grad_text_, branch_image_, branch_text_;
};

struct Outcome {
  at::Tensor loss;
  variable_list gradients = {};  ///< of image, text, scale and bias; the last may be undefined
};

Outcome info_nce_of(TiledBatch& batch, const at::Tensor& scale, bool want_gradients) {
  for (std::size_t i = 0; i < batch.tiles(); ++i) {
    const at::Tensor similarity = batch.look(i, /*want_lse=*/true);
    if (want_gradients) batch.keep(i, similarity);
  }
  const double share = 0.5 / static_cast<double>(batch.size());
  const at::Tensor counts = batch.counts(), &row_lse = batch.images().lse, &column_lse = batch.texts().lse;
  // Both directions have the same targets, so the same similarities count in both.
  const at::Tensor wanted = batch.images().positive_sum / counts * 2.0;
  Outcome outcome{((row_lse + column_lse - wanted).sum(at::kDouble) * share).to(at::kFloat)};
  if (!want_gradients) return outcome;
  batch.want_gradients();
  const at::Tensor targets = counts.reciprocal().mul_(2.0 * share);
  for (std::size_t i = 0; i < batch.tiles(); ++i) {
    const InfoNceTile about{batch.tile(i), row_lse, column_lse, targets, share};
    batch.add_gradient(i, info_nce_tile(about, batch.take_kept(i), batch.branch_type()));
  }
  outcome.gradients = batch.gradients(scale);
  outcome.gradients.emplace_back();
  return outcome;
}

Outcome sigmoid_of(TiledBatch& batch, const at::Tensor& scale, const at::Tensor& bias, bool want_gradients) {
  if (want_gradients) batch.want_gradients();
  const double share = 1.0 / static_cast<double>(batch.size());
  at::Tensor loss = at::zeros({}, scale.options().dtype(at::kDouble)), grad_bias = at::zeros_like(loss);
  for (std::size_t i = 0; i < batch.tiles(); ++i) {
    const SigmoidTileResult result =
        sigmoid_tile(batch.tile(i), batch.look(i, /*want_lse=*/false), bias, share, batch.branch_type());
    loss += result.loss;
    grad_bias += result.gradient_sum;
    if (want_gradients) batch.add_gradient(i, result.gradient);
  }
  Outcome outcome{(loss * share).to(at::kFloat)};
  if (!want_gradients) return outcome;
  outcome.gradients = batch.gradients(scale);
  outcome.gradients.push_back(grad_bias.to(at::kFloat).reshape(bias.sizes()));
  return outcome;
}

struct ContrastFunction : torch::autograd::Function<ContrastFunction> {
  /// Loss and accuracies; with an undefined bias InfoNCE's. Gradients are made here: the loss is a scalar, so the
  /// backward pass only multiplies them, and the tiles are not needed again.
  static variable_list forward(AutogradContext* ctx, const Variable& image, const Variable& text, const Variable& scale,
                               const std::optional<at::Tensor>& bias, const std::optional<at::Tensor>& groups,
                               const Group* group, const ContrastTiles& tiles, bool want_gradients) {
    const at::Tensor ids = groups.value_or(at::Tensor());
    TiledBatch batch(group->all_gather(image.contiguous()), group->all_gather(text.contiguous()), scale,
                     ids.defined() ? group->all_gather(ids.contiguous()) : ids, tiles);
    Outcome outcome =
        bias ? sigmoid_of(batch, scale, *bias, want_gradients) : info_nce_of(batch, scale, want_gradients);
    if (want_gradients && !group->is_alone()) {
      // The mean over ranks is taken of the parameters' gradients, to which each rank's own rows are what it adds.
      for (std::size_t i = 0; i < 2; ++i) {
        at::Tensor& grad = outcome.gradients[i];
        const std::int64_t rows = image.size(0), begin = group->rank() * rows;
        grad = grad.slice(0, begin, begin + rows) * static_cast<double>(group->size());
      }
    }
    if (want_gradients) ctx->save_for_backward(outcome.gradients);
    const variable_list accuracies = {batch.images().accuracy(), batch.texts().accuracy()};
    ctx->mark_non_differentiable(accuracies);
    return {outcome.loss, accuracies[0], accuracies[1]};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    variable_list result;
    for (const Variable& gradient : ctx->get_saved_variables()) {
      result.push_back(gradient.defined() ? gradient * grads[0] : gradient);
    }
    result.resize(8);
    return result;
  }
};

ContrastResult contrast_of(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale,
                           const std::optional<at::Tensor>& bias, const at::Tensor& groups, const Group& group,
                           const ContrastTiles& tiles) {
  VICHA_ASSERT(image.dim() == 2 && image.sizes() == text.sizes() && image.size(0) > 0);
  VICHA_ASSERT(image.scalar_type() == at::kFloat && text.scalar_type() == at::kFloat && tiles.side > 0);
  VICHA_ASSERT(scale.numel() == 1 && (!bias || bias->numel() == 1));
  VICHA_ASSERT(!groups.defined() || groups.numel() == image.size(0));
  const bool want_gradients = at::GradMode::is_enabled() && (image.requires_grad() || text.requires_grad() ||
                                                             scale.requires_grad() || (bias && bias->requires_grad()));
  const std::optional<at::Tensor> ids = groups.defined() ? std::optional(groups) : std::nullopt;
  const variable_list out = ContrastFunction::apply(image, text, scale, bias, ids, &group, tiles, want_gradients);
  return {out[0], out[1], out[2]};
}

}  // namespace

at::Tensor group_labels(const at::Tensor& groups_B) {
  const auto [sorted, order] = at::sort(groups_B);
  // A label is the place at which a run of equal ids begins among the sorted.
  const at::Tensor places = at::arange(groups_B.size(0), groups_B.options().dtype(at::kLong));
  at::Tensor begins = places.clone();
  if (groups_B.size(0) > 1) {
    const at::Tensor same = sorted.slice(0, 1).eq(sorted.slice(0, 0, -1));
    begins.slice(0, 1).masked_fill_(same, 0);
  }
  const at::Tensor runs = std::get<0>(at::cummax(begins, 0));
  return at::empty_like(runs).scatter_(0, order, runs).to(at::kInt);
}

ContrastResult info_nce(const at::Tensor& image_BE, const at::Tensor& text_BE, const at::Tensor& scale,
                        const at::Tensor& groups_B, const Group& group, const ContrastTiles& tiles) {
  return contrast_of(image_BE, text_BE, scale, std::nullopt, groups_B, group, tiles);
}

ContrastResult sigmoid_contrast(const at::Tensor& image_BE, const at::Tensor& text_BE, const at::Tensor& scale,
                                const at::Tensor& bias, const at::Tensor& groups_B, const Group& group,
                                const ContrastTiles& tiles) {
  return contrast_of(image_BE, text_BE, scale, bias, groups_B, group, tiles);
}

}  // namespace vicha

#include "models/fusion.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/error.h"
#include "models/joint_fusion.h"

namespace vicha {

void FusedImages::add(std::int64_t tokens, std::int64_t visible) {
  begin.push_back(rows);
  real.push_back(visible);
  rows += tokens;
}

void FusedImages::add(const ImageStates& images) {
  for (const std::int64_t visible : images.fusion_real()) add(images.fusion_tokens(), visible);
  if (images.similarity == nullptr) return;
  similarity = images.similarity;
  patches = patches.defined() ? at::cat({patches, images.patches}) : images.patches;
}

FusionPlan::Sequence FusionPlan::sequence(const PackedText& pack, std::int64_t index, std::int64_t offset,
                                          std::vector<std::int64_t> images, std::vector<std::int64_t> read) {
  const auto i = static_cast<std::size_t>(index);
  return {pack.begin[i] + offset, pack.strides[i], pack.lengths[i], std::move(images), std::move(read)};
}

std::int64_t FusionPlan::rows_read() const {
  std::int64_t rows = 0;
  for (const Sequence& s : sequences) rows += static_cast<std::int64_t>(s.read.size() + s.read_image.size());
  return rows;
}

namespace {

/// Sequences that follow each other with `lengths` rows, the i-th attending to image `of[i]`; by ascending image.
SegmentsPtr cross_segments(const std::vector<std::int64_t>& lengths, const std::vector<std::int64_t>& of,
                           const FusedImages& images) {
  auto segments = std::make_shared<Segments>();
  segments->k_rows = images.rows;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const auto image = static_cast<std::size_t>(of[i]);
    segments->list.push_back({segments->q_rows, lengths[i], images.begin.at(image), images.real[image]});
    segments->q_rows += lengths[i];
  }
  std::ranges::stable_sort(segments->list, {}, &Segment::k_begin);
  return segments;
}

/// Rows of the text states that the plan's sequences have, one sequence after the other.
std::vector<std::int64_t> gathered_rows(const FusionPlan& plan) {
  std::vector<std::int64_t> rows;
  for (const FusionPlan::Sequence& s : plan.sequences) {
    for (std::int64_t j = 0; j < s.rows; ++j) rows.push_back(s.begin + j);
  }
  return rows;
}

}  // namespace

FusionLayout lay_out(const FusionPlan& plan, const FusedImages& images, const at::Device& device) {
  const std::vector<std::int64_t> gather = gathered_rows(plan);
  std::vector<std::int64_t> lengths, read_rows, read_lengths, read_image;
  const std::size_t copies = plan.sequences.empty() ? 1 : plan.sequences.front().images.size();
  std::vector<std::vector<std::int64_t>> image(copies);
  auto self = std::make_shared<Segments>(), read_self = std::make_shared<Segments>();
  std::int64_t next = 0;
  for (const FusionPlan::Sequence& s : plan.sequences) {
    // Cross-attention gives images no states to be read.
    VICHA_ASSERT(s.images.size() == copies && s.read_image.empty());
    const std::int64_t begin = next;
    next += s.rows;
    self->list.push_back({begin, s.rows, begin, s.real});
    lengths.push_back(s.rows);
    for (std::size_t c = 0; c < copies; ++c) image[c].push_back(s.images[c]);
    if (s.read.empty()) continue;
    const auto reads = static_cast<std::int64_t>(s.read.size());
    read_self->list.push_back({static_cast<std::int64_t>(read_rows.size()), reads, begin, s.real});
    for (const std::int64_t j : s.read) read_rows.push_back(begin + j);
    read_lengths.push_back(reads);
    read_image.push_back(s.images.back());
  }
  self->q_rows = self->k_rows = read_self->k_rows = static_cast<std::int64_t>(gather.size());
  read_self->q_rows = static_cast<std::int64_t>(read_rows.size());
  FusionLayout layout;
  layout.gather = row_indices(gather, device);
  layout.read = row_indices(read_rows, device);
  layout.every.self = self;
  for (const auto& of : image) layout.every.cross.push_back(cross_segments(lengths, of, images));
  layout.some = {self, layout.every.cross, layout.read, read_self, cross_segments(read_lengths, read_image, images)};
  return layout;
}

FusionInput fusion_input(const Bert& bert, const at::Tensor& text_states, const std::vector<at::Tensor>& kv,
                         const FusionPlan& plan, const FusedImages& images) {
  const at::Device device = text_states.device();
  // Left out they would change every number, and no shape.
  VICHA_ASSERT(bert.compared() == (images.similarity != nullptr));
  const bool compared = images.similarity != nullptr && !plan.sequences.empty();
  if (!compared && !bert.joint()) {
    FusionLayout layout = lay_out(plan, images, device);
    at::Tensor rows = text_states.index_select(0, layout.gather);
    return {std::move(rows), kv, std::move(layout)};
  }
  const at::Tensor rows = text_states.index_select(0, row_indices(gathered_rows(plan), device));
  if (!compared) return join_sequences(bert, rows, kv.front(), plan, images);
  // Every sequence sees its images in a light of its own: picture c of all sequences stands behind picture c - 1 of
  // all.
  FusionPlan apart = plan;
  FusedImages own;
  std::vector<std::vector<ComparedSequence>> shown(plan.sequences.front().images.size());
  std::vector<std::int64_t> image_rows, patch_rows;
  const std::int64_t patches = images.patches.size(1);
  for (std::size_t c = 0; c < shown.size(); ++c) {
    std::int64_t begin = 0;
    for (FusionPlan::Sequence& s : apart.sequences) {
      const auto image = static_cast<std::size_t>(s.images.at(c));
      shown[c].push_back({begin, s.rows, s.real, s.images[c]});
      begin += s.rows;
      // The class token stands before the patches, concepts behind them.
      for (std::int64_t n = 0; n < patches; ++n) patch_rows.push_back(own.rows + 1 + n);
      const std::int64_t end = image + 1 < images.begin.size() ? images.begin[image + 1] : images.rows;
      for (std::int64_t row = images.begin[image]; row < end; ++row) image_rows.push_back(row);
      s.images[c] = static_cast<std::int64_t>(own.begin.size());
      own.add(end - images.begin[image], images.real[image]);
    }
  }
  const WordPatchSimilarity& similarity = *images.similarity;
  const at::Tensor words = similarity.words(rows);
  at::Tensor gained_rows = rows;
  std::vector<at::Tensor> of_patches;
  for (std::size_t c = 0; c < shown.size(); ++c) {
    const Similarities found = compare(words, images.patches, shown[c]);
    const at::Tensor gained = found.rows_T.unsqueeze(1) * similarity.word_vector(c);
    gained_rows = gained_rows + gained.to(rows.scalar_type());
    of_patches.push_back(found.patches_GN.flatten());
  }
  const at::Tensor gain_S1 =
      at::zeros({own.rows}, rows.options().dtype(at::kFloat))
          .index_add(0, row_indices(patch_rows, device), of_patches.size() == 1 ? of_patches[0] : at::cat(of_patches))
          .unsqueeze(1);
  const at::Tensor of_images = row_indices(image_rows, device);
  const std::vector<at::Tensor> change = bert.image_kv_change(similarity.patch_vector());
  std::vector<at::Tensor> own_kv;
  for (std::size_t layer = 0; layer < kv.size(); ++layer) {
    own_kv.push_back(kv[layer].index_select(0, of_images) + gain_S1.to(kv[layer].scalar_type()) * change[layer]);
  }
  if (bert.joint()) return join_sequences(bert, gained_rows, own_kv.front(), apart, own);
  return {std::move(gained_rows), std::move(own_kv), lay_out(apart, own, device)};
}

at::Tensor fuse(const Bert& bert, const at::Tensor& text_states, const std::vector<at::Tensor>& kv,
                const FusionPlan& plan, const FusedImages& images, const Dropout& dropout, at::Tensor* all_rows,
                AttentionWatch* watch) {
  FusionInput input = fusion_input(bert, text_states, kv, plan, images);
  if (watch != nullptr) {
    input.layout.every.watch = watch;
    const at::Tensor states = bert.fuse(input.rows, input.kv, input.layout.every, dropout);
    const at::AutoGradMode enabled(true);
    return states.index_select(0, input.layout.read);
  }
  if (all_rows == nullptr) return bert.fuse(input.rows, input.kv, input.layout.some, dropout);
  *all_rows = bert.fuse(input.rows, input.kv, input.layout.every, dropout);
  return all_rows->index_select(0, input.layout.read);
}

}  // namespace vicha

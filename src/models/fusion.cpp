#include "models/fusion.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/error.h"

namespace vicha {

void FusedImages::add(std::int64_t tokens, std::int64_t visible) {
  begin.push_back(rows);
  real.push_back(visible);
  rows += tokens;
}

void FusedImages::add(const ImageStates& images) {
  for (const std::int64_t visible : images.real) add(images.tokens, visible);
}

FusionPlan::Sequence FusionPlan::sequence(const PackedText& pack, std::int64_t index, std::int64_t offset,
                                          std::vector<std::int64_t> images, std::vector<std::int64_t> read) {
  const auto i = static_cast<std::size_t>(index);
  return {pack.begin[i] + offset, pack.strides[i], pack.lengths[i], std::move(images), std::move(read)};
}

std::int64_t FusionPlan::rows_read() const {
  std::int64_t rows = 0;
  for (const Sequence& s : sequences) rows += static_cast<std::int64_t>(s.read.size());
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

}  // namespace

FusionLayout lay_out(const FusionPlan& plan, const FusedImages& images, const at::Device& device) {
  std::vector<std::int64_t> gather, lengths, read_rows, read_lengths, read_image;
  const std::size_t copies = plan.sequences.empty() ? 1 : plan.sequences.front().images.size();
  std::vector<std::vector<std::int64_t>> image(copies);
  auto self = std::make_shared<Segments>(), read_self = std::make_shared<Segments>();
  for (const FusionPlan::Sequence& s : plan.sequences) {
    VICHA_ASSERT(s.images.size() == copies);
    const std::int64_t begin = static_cast<std::int64_t>(gather.size());
    for (std::int64_t j = 0; j < s.rows; ++j) gather.push_back(s.begin + j);
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

at::Tensor fuse(const Bert& bert, const at::Tensor& text_states, const std::vector<at::Tensor>& kv,
                const FusionPlan& plan, const FusedImages& images, const Dropout& dropout, at::Tensor* all_rows,
                AttentionWatch* watch) {
  FusionLayout layout = lay_out(plan, images, text_states.device());
  const at::Tensor rows = text_states.index_select(0, layout.gather);
  if (watch != nullptr) {
    layout.every.watch = watch;
    const at::Tensor states = bert.fuse(rows, kv, layout.every, dropout);
    const at::AutoGradMode enabled(true);
    return states.index_select(0, layout.read);
  }
  if (all_rows == nullptr) return bert.fuse(rows, kv, layout.some, dropout);
  *all_rows = bert.fuse(rows, kv, layout.every, dropout);
  return all_rows->index_select(0, layout.read);
}

}  // namespace vicha

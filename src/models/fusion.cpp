#include "models/fusion.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace vicha {

FusionPlan::Sequence FusionPlan::sequence(const PackedText& pack, std::int64_t index, std::int64_t offset,
                                          std::int64_t image, std::vector<std::int64_t> read) {
  const auto i = static_cast<std::size_t>(index);
  return {pack.begin[i] + offset, pack.strides[i], pack.lengths[i], image, std::move(read)};
}

std::int64_t FusionPlan::rows_read() const {
  std::int64_t rows = 0;
  for (const Sequence& s : sequences) rows += static_cast<std::int64_t>(s.read.size());
  return rows;
}

FusionLayout lay_out(const FusionPlan& plan, const FusedImages& images, const at::Device& device) {
  std::vector<std::int64_t> gather, lengths, image, read_rows, read_lengths, read_image;
  auto self = std::make_shared<Segments>(), read_self = std::make_shared<Segments>();
  for (const FusionPlan::Sequence& s : plan.sequences) {
    const std::int64_t begin = static_cast<std::int64_t>(gather.size());
    for (std::int64_t j = 0; j < s.rows; ++j) gather.push_back(s.begin + j);
    self->list.push_back({begin, s.rows, begin, s.real});
    lengths.push_back(s.rows);
    image.push_back(s.image);
    if (s.read.empty()) continue;
    const auto reads = static_cast<std::int64_t>(s.read.size());
    read_self->list.push_back({static_cast<std::int64_t>(read_rows.size()), reads, begin, s.real});
    for (const std::int64_t j : s.read) read_rows.push_back(begin + j);
    read_lengths.push_back(reads);
    read_image.push_back(s.image);
  }
  self->q_rows = self->k_rows = read_self->k_rows = static_cast<std::int64_t>(gather.size());
  read_self->q_rows = static_cast<std::int64_t>(read_rows.size());
  const auto cross = [&](const std::vector<std::int64_t>& rows, const std::vector<std::int64_t>& of_image) {
    const auto count = static_cast<std::int64_t>(images.real.size());
    auto segments = std::make_shared<Segments>(*Segments::cross(rows, of_image, count, images.tokens));
    for (Segment& s : segments->list) s.k_len = images.real[static_cast<std::size_t>(s.k_begin / images.tokens)];
    return segments;
  };
  FusionLayout layout;
  layout.gather = row_indices(gather, device);
  layout.read = row_indices(read_rows, device);
  layout.every = {self, cross(lengths, image), {}, {}, {}};
  layout.some = {self, layout.every.cross, layout.read, read_self, cross(read_lengths, read_image)};
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

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

FusionInput fusion_input(const Bert& bert, const at::Tensor& text_states, const std::vector<at::Tensor>& kv,
                         const FusionPlan& plan, const FusedImages& images) {
  const at::Device device = text_states.device();
  if (images.similarity == nullptr || plan.sequences.empty()) {
    FusionLayout layout = lay_out(plan, images, device);
    at::Tensor rows = text_states.index_select(0, layout.gather);
    return {std::move(rows), kv, std::move(layout)};
  }
  // Every sequence sees its image in a light of its own.
  FusionPlan apart = plan;
  FusedImages copies;
  copies.tokens = images.tokens;
  std::vector<ComparedSequence> sequences;
  std::vector<std::int64_t> image;
  std::int64_t begin = 0;
  for (FusionPlan::Sequence& s : apart.sequences) {
    sequences.push_back({begin, s.rows, s.real, s.image});
    begin += s.rows;
    copies.real.push_back(images.real[static_cast<std::size_t>(s.image)]);
    image.push_back(s.image);
    s.image = static_cast<std::int64_t>(image.size()) - 1;
  }
  FusionInput input{.rows = {}, .kv = {}, .layout = lay_out(apart, copies, device)};
  const WordPatchSimilarity& similarity = *images.similarity;
  const at::Tensor rows = text_states.index_select(0, input.layout.gather);
  const Similarities found = compare(similarity.words(rows), images.patches, sequences);
  input.rows = rows + found.rows_T.unsqueeze(1) * similarity.word_vector();
  // The class token stands before the patches, concepts behind them.
  const std::int64_t behind = images.tokens - 1 - found.patches_GN.size(1);
  const at::Tensor tokens_GS1 = at::constant_pad_nd(found.patches_GN, {1, behind}).unsqueeze(2);
  const at::Tensor image_of = row_indices(image, device);
  const std::vector<at::Tensor> change = bert.image_kv_change(similarity.patch_vector());
  for (std::size_t layer = 0; layer < kv.size(); ++layer) {
    const at::Tensor own_GS2D = kv[layer].view({-1, images.tokens, kv[layer].size(1)}).index_select(0, image_of);
    const at::Tensor gained = own_GS2D + tokens_GS1.to(own_GS2D.scalar_type()) * change[layer];
    input.kv.push_back(gained.view({-1, own_GS2D.size(2)}));
  }
  return input;
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

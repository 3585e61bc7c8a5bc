#include "models/joint_fusion.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace vicha {

FusionInput join_sequences(const Bert& bert, const at::Tensor& text_TD, const at::Tensor& image_SD,
                           const FusionPlan& plan, const FusedImages& images) {
  // Rows of the images and which picture of its text each is of; where the sequences' rows stand among [texts, images].
  std::vector<std::int64_t> image_rows, picture, order, read;
  auto self = std::make_shared<Segments>(), read_self = std::make_shared<Segments>();
  const std::int64_t texts = text_TD.size(0);
  std::int64_t text = 0;
  for (const FusionPlan::Sequence& s : plan.sequences) {
    VICHA_ASSERT(static_cast<std::int64_t>(s.images.size()) == bert.images());
    const auto begin = static_cast<std::int64_t>(order.size());
    for (std::size_t c = 0; c < s.images.size(); ++c) {
      const auto image = static_cast<std::size_t>(s.images[c]);
      for (std::int64_t j = 0; j < images.real.at(image); ++j) {
        order.push_back(texts + static_cast<std::int64_t>(image_rows.size()));
        image_rows.push_back(images.begin[image] + j);
        picture.push_back(static_cast<std::int64_t>(c));
      }
    }
    const std::int64_t before_text = static_cast<std::int64_t>(order.size()) - begin, rows = before_text + s.rows;
    for (std::int64_t j = 0; j < s.rows; ++j) order.push_back(text++);
    self->list.push_back({begin, rows, begin, before_text + s.real});

    const auto reads = static_cast<std::int64_t>(s.read.size() + s.read_image.size());
    if (reads == 0) continue;
    read_self->list.push_back({static_cast<std::int64_t>(read.size()), reads, begin, before_text + s.real});
    for (const std::int64_t j : s.read) read.push_back(begin + before_text + j);
    for (const std::int64_t j : s.read_image) {
      VICHA_ASSERT(j >= 0 && j < before_text);
      read.push_back(begin + j);
    }
  }
  VICHA_ASSERT(text == texts);
  self->q_rows = self->k_rows = read_self->k_rows = static_cast<std::int64_t>(order.size());
  read_self->q_rows = static_cast<std::int64_t>(read.size());

  const at::Device device = text_TD.device();
  const at::Tensor tokens =
      bert.image_tokens(image_SD.index_select(0, row_indices(image_rows, device)), row_indices(picture, device));
  FusionInput input;
  input.rows = at::cat({text_TD, tokens.to(text_TD.scalar_type())}).index_select(0, row_indices(order, device));
  input.layout.read = row_indices(read, device);
  input.layout.every.self = self;
  input.layout.some = {self, {}, input.layout.read, read_self, nullptr};
  return input;
}

}  // namespace vicha

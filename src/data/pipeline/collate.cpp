#include "data/pipeline/collate.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "base/error.h"

namespace vicha {

Tokens collate_tokens(const std::vector<const std::vector<std::int64_t>*>& rows, std::int64_t pad_id,
                      std::int64_t length) {
  Tokens tokens;
  for (const auto* row : rows) {
    VICHA_ASSERT(!row->empty());
    tokens.lengths.push_back(static_cast<std::int64_t>(row->size()));
    length = std::max(length, tokens.lengths.back());
  }
  tokens.ids = at::empty({tokens.size(), length}, at::kLong);
  std::int64_t* out = tokens.ids.data_ptr<std::int64_t>();
  for (const auto* row : rows) {
    std::fill(std::copy(row->begin(), row->end(), out), out + length, pad_id);
    out += length;
  }
  return tokens;
}

at::Tensor int64_tensor(const std::vector<std::int64_t>& values) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.data_ptr<std::int64_t>());
  return tensor;
}

Batch collate(DraftBatch& draft, const CollateOptions& options) {
  const auto column = [&](auto member) {
    std::vector<std::int64_t> values;
    for (const Sample& sample : draft.samples) values.push_back(sample.*member);
    return values;
  };
  const auto rows = [&](auto member) {
    std::vector<const std::vector<std::int64_t>*> lists;
    for (const Sample& sample : draft.samples) lists.push_back(&(sample.*member));
    return lists;
  };
  Batch batch;
  batch.image = std::move(draft.image);
  if (options.text) {
    batch.text = collate_tokens(rows(&Sample::text), options.pad_id, options.text_length);
    batch.caption_ids = int64_tensor(column(&Sample::caption_id));
  }
  if (options.concepts) {
    batch.concepts = collate_tokens(rows(&Sample::concepts), options.pad_id, options.concept_length);
  }
  if (!draft.further_images.empty()) {
    auto& lists = batch.add<FurtherPictures>().lists;
    for (std::size_t i = 0; i < draft.further_images.size(); ++i) {
      FurtherPictures::List& list = lists.emplace_back();
      list.image = std::move(draft.further_images[i]);
      if (!options.concepts) continue;
      std::vector<const std::vector<std::int64_t>*> words;
      for (const Sample& sample : draft.samples) words.push_back(&sample.further_concepts[i]);
      list.concepts = collate_tokens(words, options.pad_id, options.concept_length);
    }
  }
  batch.image_ids = int64_tensor(column(&Sample::image_id));
  batch.records = column(&Sample::record);
  return batch;
}

std::vector<std::int64_t> picture_shape(std::int64_t side, const PictureFeatures* features) {
  if (features == nullptr) return {3, side, side};
  return {features->patches(), features->width()};
}

std::unique_ptr<DraftBatch> make_draft(std::int64_t number, std::int64_t batch_size,
                                       const std::vector<std::int64_t>& shape, bool pinned,
                                       std::size_t further_pictures) {
  auto draft = std::make_unique<DraftBatch>();
  draft->number = number;
  std::vector<std::int64_t> whole = {batch_size};
  whole.insert(whole.end(), shape.begin(), shape.end());
  const auto room = [&] { return at::empty(whole, at::TensorOptions(at::kFloat).pinned_memory(pinned)); };
  draft->image = room();
  for (std::size_t i = 0; i < further_pictures; ++i) draft->further_images.push_back(room());
  draft->samples.resize(static_cast<std::size_t>(batch_size));
  return draft;
}

}  // namespace vicha

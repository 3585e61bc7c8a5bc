#include "tasks/downstream/network/attention_maps.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace vicha {

std::int64_t usual_map_layer(const TextOptions& text) {
  return text.text_layers + std::clamp<std::int64_t>(text.fusion_layers - 2, 0, 2);
}

std::int64_t fusion_layer_of(const TextOptions& text, std::int64_t layer, std::int64_t copies) {
  const std::int64_t first = text.text_layers, end = first + copies * text.fusion_layers;
  if (layer < first || layer >= end) {
    throw UsageError(
        end == first
            ? "maps of attention need fusion layers, and the model has none (model.text.fusion_layers = 0)"
            : fmt::format("grounding.layer = {}: the model's fusion layers are {} to {}, counted over all BERT layers",
                          layer, first, end - 1));
  }
  return layer - first;
}

at::Tensor patch_columns(const at::Tensor& map_TS, const VitOptions& vit) {
  return map_TS.slice(1, 1, 1 + vit.patches()).contiguous();
}

PatchGrid map_grid(const ModelOptions& options) {
  return options.fusion.joint() ? PatchGrid{options.regions.rows, options.regions.columns}
                                : PatchGrid{options.vit.rows(), options.vit.columns()};
}

at::Tensor picture_columns(const Encoders& encoders, const at::Tensor& map_TK, const TextStates& texts,
                           std::int64_t picture) {
  if (!encoders.text.joint()) return patch_columns(map_TK, encoders.vit.options());
  // Rows and columns of a sequence are [class, regions of picture 0; of picture 1; …; text].
  const std::int64_t regions = encoders.sizes.regions.count(), stride = 1 + regions;
  std::vector<std::int64_t> rows;
  std::int64_t next = 0;
  for (const std::int64_t own : texts.pack.strides) {
    next += encoders.text.images() * stride;
    for (std::int64_t j = 0; j < own; ++j) rows.push_back(next++);
  }
  VICHA_ASSERT(next == map_TK.size(0));
  const std::int64_t first = picture * stride + 1;
  return map_TK.index_select(0, row_indices(rows, map_TK.device())).slice(1, first, first + regions).contiguous();
}

at::Tensor word_maps(const Encoders& encoders, const TextStates& texts, const std::vector<at::Tensor>& kv,
                     const FusedImages& images, const std::vector<std::int64_t>& image_of, FusedRows rows,
                     std::int64_t layer, const FusedNumber& number) {
  AttentionWatch watch(fusion_layer_of(encoders.text.options(), layer));
  const at::NoGradGuard guard;
  const at::Tensor fused = fuse_texts(encoders, texts, kv, images, image_of, rows, Dropout(), &watch);
  const at::Tensor sum = [&] {
    const at::AutoGradMode enabled(true);
    return number(fused).to(at::kFloat).sum();
  }();
  return picture_columns(encoders, watch.map(sum), texts);
}

at::Tensor text_maps(const at::Tensor& words_TN, const std::vector<std::int64_t>& lengths, std::int64_t padded) {
  std::vector<at::Tensor> maps;
  std::int64_t begin = 0;
  for (const std::int64_t length : lengths) {
    maps.push_back(words_TN.narrow(0, begin, length).sum(0));
    begin += length;
  }
  VICHA_ASSERT(begin == words_TN.size(0) && padded > 0);
  return at::stack(maps) / static_cast<double>(padded);
}

at::Tensor matching_maps(const Encoders& encoders, const Linear& match_head, const TextStates& texts,
                         const std::vector<at::Tensor>& kv, const FusedImages& images,
                         const std::vector<std::int64_t>& image_of, std::int64_t layer) {
  return word_maps(encoders, texts, kv, images, image_of, FusedRows::kCls, layer,
                   [&](const at::Tensor& cls_XD) { return match_head(cls_XD).select(1, 1); });
}

at::Tensor contrast_maps(const Encoders& encoders, const at::Tensor& temperature, const ImageInput& images,
                         const at::Tensor& text_features_XE, const std::vector<std::int64_t>& image_of,
                         std::int64_t block) {
  const VitOptions& vit = encoders.vit.options();
  if (block < 0 || block >= vit.depth) {
    throw UsageError(vit.depth == 0 ? "maps of the contrast need blocks of the image encoder, and the model has none "
                                      "(model.vit.depth = 0); take grounding.map = itm"
                                    : fmt::format("grounding.block = {}: the image encoder's blocks are 0 to {}", block,
                                                  vit.depth - 1));
  }
  AttentionWatch watch(block);
  const at::NoGradGuard guard;
  const ImageStates states = encoders.encode_image(images, Dropout(), 0, nullptr, {}, &watch);
  const at::Tensor features = [&] {
    const at::AutoGradMode enabled(true);
    return encoders.image_features(states);
  }();

  // Which text of its picture each is: texts of one turn have pictures of their own.
  std::vector<std::int64_t> turn_of, seen(static_cast<std::size_t>(images.count), 0);
  for (const std::int64_t image : image_of) turn_of.push_back(seen[static_cast<std::size_t>(image)]++);
  const std::int64_t turns = image_of.empty() ? 0 : *std::ranges::max_element(seen);
  std::vector<at::Tensor> maps(image_of.size());
  for (std::int64_t turn = 0; turn < turns; ++turn) {
    std::vector<std::int64_t> text, image;
    for (std::size_t i = 0; i < image_of.size(); ++i) {
      if (turn_of[i] != turn) continue;
      text.push_back(static_cast<std::int64_t>(i));
      image.push_back(image_of[i]);
    }
    const at::Device device = features.device();
    const at::Tensor sum = [&] {
      const at::AutoGradMode enabled(true);
      const at::Tensor texts = text_features_XE.index_select(0, row_indices(text, device));
      return (features.index_select(0, row_indices(image, device)) * texts / temperature.detach()).to(at::kFloat).sum();
    }();
    const at::Tensor map = watch.map(sum, /*again=*/turn + 1 < turns);
    std::vector<std::int64_t> cls_rows;
    for (const std::int64_t i : image) cls_rows.push_back(i * states.tokens);
    const at::Tensor rows = patch_columns(map.index_select(0, row_indices(cls_rows, device)), vit);
    for (std::size_t i = 0; i < text.size(); ++i) {
      maps[static_cast<std::size_t>(text[i])] = rows[static_cast<std::int64_t>(i)];
    }
  }
  return maps.empty() ? at::empty({0, vit.patches()}) : at::stack(maps);
}

at::Tensor similarity_maps(const at::Tensor& words_TE, const at::Tensor& shown_INE, const PackedText& pack,
                           const std::vector<std::int64_t>& image_of) {
  const at::NoGradGuard guard;
  std::vector<at::Tensor> maps;
  for (std::size_t i = 0; i < image_of.size(); ++i) {
    const at::Tensor rows_LE = words_TE.narrow(0, pack.begin[i], pack.lengths[i]);
    const at::Tensor cosines_LN = at::mm(rows_LE, shown_INE[image_of[i]].t()).to(at::kFloat);
    at::Tensor map_LN = (cosines_LN - cosines_LN.mean(1, /*keepdim=*/true)).clamp_min(0);
    map_LN[0].zero_();  // [CLS] is no word
    maps.push_back(map_LN);
  }
  return at::cat(maps);
}

at::Tensor similarity_maps(const TextStates& texts, const FusedImages& images,
                           const std::vector<std::int64_t>& image_of) {
  if (images.similarity == nullptr) {
    throw UsageError(
        "grounding.map = similarity: the model compares no words with patches (model.fusion.similarity = false) nor, "
        "by "
        "irta, with regions; take itm or itc");
  }
  const at::NoGradGuard guard;
  return similarity_maps(images.similarity->words(texts.states), images.patches, texts.pack, image_of);
}

}  // namespace vicha

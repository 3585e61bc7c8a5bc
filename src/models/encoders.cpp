#include "models/encoders.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "models/regions.h"
#include "nn/host_copy.h"
#include "nn/norm.h"
#include "nn/position.h"

namespace vicha {
namespace {

Vit image_encoder(ParameterStore& store, const ModelOptions& options, const std::string& suffix) {
  const ParameterStore::Scope scope(store, "image");
  return Vit(store, "visual_encoder" + suffix + ".", options.vit);
}

std::optional<ConceptEncoder> concept_encoder(ParameterStore& store, const ModelOptions& options,
                                              const std::string& suffix) {
  if (!options.concepts.enabled) return std::nullopt;
  const ParameterStore::Scope scope(store, "concepts");
  return ConceptEncoder(store, "kw_encoder" + suffix + ".", "kw_proj" + suffix + ".", options.text, options.concepts,
                        options.vit.width);
}

Linear projection(ParameterStore& store, const std::string& name, std::int64_t width, std::int64_t embed_dim) {
  const ParameterStore::Scope scope(store, "projections");
  return add_linear(store, name + ".", width, embed_dim, Init::kLinearDefault);
}

/// First row of each of `count` sequences of `stride` rows.
std::vector<std::int64_t> first_rows(std::int64_t count, std::int64_t stride) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) rows[static_cast<std::size_t>(i)] = i * stride;
  return rows;
}

}  // namespace

at::Tensor row_indices(const std::vector<std::int64_t>& rows, const at::Device& device) {
  return to_device(at::tensor(rows, at::kLong), device);
}

at::Tensor ImageStates::fusion_rows() const {
  if (!joint) return states;
  return at::cat({cls.unsqueeze(1), regions}, 1).flatten(0, 1);
}

std::vector<std::int64_t> ImageStates::fusion_real() const {
  return joint ? std::vector<std::int64_t>(real.size(), fusion_tokens()) : real;
}

Encoders::Encoders(ParameterStore& store, const ModelOptions& options, const std::string& suffix)
    : vit(image_encoder(store, options, suffix)),
      text(store, "text_encoder" + suffix + ".", options.text, options.vit.width, options.fusion),
      concepts(concept_encoder(store, options, suffix)),
      vision_proj(projection(store, "vision_proj" + suffix, options.vit.width, options.embed_dim)),
      text_proj(projection(store, "text_proj" + suffix, options.text.width, options.embed_dim)),
      mask_concept_padding(options.concepts.mask_padding),
      sizes(options),
      similarity(options.fusion.similarity ? std::make_shared<const WordPatchSimilarity>(store, options, suffix)
                                           : nullptr) {
  if (options.heads.enabled) heads.emplace(store, options, suffix);
}

ImageStates Encoders::encode_image(const ImageInput& input, const Dropout& dropout, std::int64_t levels,
                                   JoinedRows* joined, const JoinImage& join, AttentionWatch* watch) const {
  ImageStates image;
  const at::Device device = input.patches.device();
  const bool reads_concepts = concepts && input.concepts.defined();
  if (reads_concepts) {
    const ConceptEncoder::Output out = (*concepts)(input.concepts, device, dropout);
    image.concept_hidden = out.hidden;
    image.concept_tokens = out.tokens;
    if (heads && sizes.heads.concept_weight > 0) {
      image.concept_text = input.concept_text.defined() ? input.concept_text : read_concepts(input.concepts);
    }
  }
  if (heads) image.pooled = input.patches.view({input.count, -1, input.patches.size(1)}).mean(1);
  const at::Tensor patches = vit.embed(input.patches, input.count).to(at::kFloat);
  const at::Tensor tokens = vit.assemble(patches, image.concept_tokens);
  image.tokens = tokens.size(1);
  image.real.assign(static_cast<std::size_t>(input.count), image.tokens);
  if (mask_concept_padding && reads_concepts) {
    for (std::size_t i = 0; i < image.real.size(); ++i) {
      image.real[i] += input.concepts.lengths[i] - input.concepts.ids.size(1);
    }
  }
  JoinedRows alone;
  JoinedRows& pass = joined != nullptr ? *joined : alone;
  const std::int64_t width = vit.options().width;
  const JoinedRows::Part own =
      pass.add(tokens.view({-1, width}), Segments::uniform(input.count, image.tokens, image.real));
  if (join) join(patches, pass);

  const at::Tensor cls_rows = row_indices(first_rows(input.count, image.tokens), device);
  // The states [-(n + 1) : -1] of the blocks' outputs: n before the last one.
  Vit::Output out = vit.run(pass.rows(), pass.segments(), levels > 0 ? cls_rows : at::Tensor(),
                            vit.options().depth - levels - 1, watch);
  const at::AutoGradMode mode(watch != nullptr || at::GradMode::is_enabled());
  if (!out.hidden_rows.empty()) out.hidden_rows.pop_back();
  image.hidden = std::move(out.hidden_rows);
  pass.set_states(out.states);
  image.states = pass.states(own);
  image.cls = image.states.index_select(0, cls_rows);
  if (input.contrast) return image;
  if (sizes.regions.crops() && (input.regions || text.joint())) image.regions = encode_crops(input, dropout);
  show_patches(image, input.regions);
  return image;
}

at::Tensor Encoders::encode_crops(const ImageInput& input, const Dropout& dropout) const {
  const VitOptions& own = vit.options();
  const at::Tensor crops =
      input.crops.defined()
          ? input.crops
          : cut_regions(fold_patches(input.patches, {own.rows(), own.columns()}, own.patch), sizes.regions);
  const at::Tensor patches = vit.embed_crops(crops.flatten(0, 1)).to(at::kFloat);
  at::Tensor tags;
  if (concepts && input.crop_concepts.defined()) {
    tags = (*concepts)(input.crop_concepts, crops.device(), dropout).tokens;
  }
  const at::Tensor tokens = vit.assemble(patches, tags);
  const std::int64_t count = tokens.size(0), stride = tokens.size(1);
  // How long the longest tag of a batch is changes no other region.
  std::vector<std::int64_t> real(static_cast<std::size_t>(count), stride);
  for (std::size_t i = 0; tags.defined() && i < real.size(); ++i) {
    real[i] += input.crop_concepts.lengths.at(i) - tags.size(1);
  }
  const at::Tensor states =
      vit.run(tokens.view({-1, own.width}), Segments::uniform(count, stride, real), {}, own.depth).states;
  const at::Tensor cls = states.index_select(0, row_indices(first_rows(count, stride), crops.device()));
  return cls.view({input.count, -1, own.width});
}

void Encoders::show_patches(ImageStates& image, bool regions) const {
  image.joint = text.joint();
  if ((regions || image.joint) && !image.regions.defined()) {
    image.regions = pool_regions(image.states, image.tokens, region_weights(sizes));
  }
  if (!similarity) return;
  image.similarity = similarity;
  image.patches = similarity->patches(image.fusion_rows(), image.fusion_tokens());
}

ConceptText Encoders::read_concepts(const Tokens& concepts) const {
  const TextStates states = encode_text(PackedText::packed(concepts, text_proj.weight.device()), Dropout());
  const TextOptions& own = text.options();
  const at::Tensor framing =
      concepts.ids.eq(own.cls_id).logical_or_(concepts.ids.eq(own.sep_id)).logical_or_(concepts.ids.eq(own.pad_id));
  return {heads->pooled_text(states.states, states.pack),
          framing.all(1, /*keepdim=*/true).logical_not_().to(text_proj.weight.device(), at::kFloat)};
}

TextStates Encoders::encode_text(PackedText pack, const Dropout& dropout, std::int64_t levels) const {
  TextStates result;
  const at::Tensor cls_rows = row_indices(pack.begin, pack.ids.device());
  Bert::TextStates out = text.encode(pack.ids, pack.positions, pack.segments, levels > 0 ? cls_rows : at::Tensor(),
                                     text.options().text_layers - levels, dropout);
  if (!out.hidden_rows.empty()) out.hidden_rows.pop_back();
  result.hidden = std::move(out.hidden_rows);
  result.states = out.states;
  result.cls = out.states.index_select(0, cls_rows);
  result.pack = std::move(pack);
  return result;
}

at::Tensor Encoders::image_embedding(const ImageStates& image) const {
  at::Tensor embedding = vision_proj(image.cls);
  if (!heads) return embedding;
  embedding = embedding + heads->image(image.pooled);
  if (!image.concept_text.defined()) return embedding;
  return embedding + heads->text(image.concept_text.pooled) * image.concept_text.named * sizes.heads.concept_weight;
}

at::Tensor Encoders::text_embedding(const at::Tensor& states_TD, const at::Tensor& cls_BD,
                                    const PackedText& pack) const {
  const at::Tensor projected = text_proj(cls_BD);
  return heads ? projected + heads->text(states_TD, pack) : projected;
}

at::Tensor Encoders::image_features(const ImageStates& image) const { return unit_rows(image_embedding(image)); }
at::Tensor Encoders::text_features(const TextStates& text) const { return unit_rows(text_embedding(text)); }

}  // namespace vicha

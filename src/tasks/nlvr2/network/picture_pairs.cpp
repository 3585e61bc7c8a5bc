#include "tasks/nlvr2/network/picture_pairs.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <numeric>

#include "base/error.h"

namespace vicha {

namespace {

bool reads_apart(const ModelOptions& options) { return passes_of_statement(options) > 1; }

}  // namespace

std::int64_t passes_of_statement(const ModelOptions& options) {
  return options.fusion.images == 1 ? kPicturesOfStatement : 1;
}

at::Tensor fuse_statements(const Encoders& encoders, const TextStates& texts, const std::vector<at::Tensor>& kv,
                           const FusedImages& images, const std::vector<std::int64_t>& first,
                           const std::vector<std::int64_t>& second, const Dropout& dropout, AttentionWatch* watch) {
  const auto count = static_cast<std::size_t>(texts.pack.size());
  VICHA_ASSERT(first.size() == count && second.size() == count);
  FusionPlan plan;
  const auto add = [&](std::size_t i, std::vector<std::int64_t> of) {
    plan.sequences.push_back(
        FusionPlan::sequence(texts.pack, static_cast<std::int64_t>(i), 0, std::move(of), /*read=*/{0}));
  };
  if (!reads_apart(encoders.sizes)) {
    for (std::size_t i = 0; i < count; ++i) add(i, {first[i], second[i]});
    return fuse(encoders.text, texts.states, kv, plan, images, dropout, /*all_rows=*/nullptr, watch);
  }
  for (std::size_t i = 0; i < count; ++i) add(i, {first[i]});
  for (std::size_t i = 0; i < count; ++i) add(i, {second[i]});
  const at::Tensor fused = fuse(encoders.text, texts.states, kv, plan, images, dropout, /*all_rows=*/nullptr, watch);
  const at::AutoGradMode graph(at::GradMode::is_enabled() || watch != nullptr);  // a map needs that of what is watched
  return at::cat(fused.chunk(kPicturesOfStatement), 1);
}

StatementStates statement_states(const Encoders& encoders, const StatementInput& input, const Dropout& dropout) {
  StatementStates all;
  std::vector<at::Tensor> states;
  for (const StatementInput::Side& side : input.sides) {
    const at::Tensor patches = patch_rows(side.pictures, encoders.vit.options());
    const ImageStates encoded = encoders.encode_image({patches, side.pictures.size(0), side.concepts}, dropout);
    all.images.add(encoded);
    states.push_back(encoded.fusion_rows());
  }
  all.kv = encoders.text.image_kv(at::cat(states));
  const at::Device device = input.sides.front().pictures.device();
  all.text = encoders.encode_text(PackedText::packed(input.texts, device), dropout);
  all.first.resize(static_cast<std::size_t>(all.text.pack.size()));
  std::iota(all.first.begin(), all.first.end(), 0);
  all.second = all.first;
  for (std::int64_t& image : all.second) image += all.text.pack.size();
  return all;
}

at::Tensor encode_statements(const Encoders& encoders, const StatementInput& input, const Dropout& dropout) {
  const StatementStates s = statement_states(encoders, input, dropout);
  return fuse_statements(encoders, s.text, s.kv, s.images, s.first, s.second, dropout);
}

at::Tensor statement_maps(const Encoders& encoders, const StatementStates& s, std::size_t side,
                          const FusedNumber& number) {
  const TextOptions& text = encoders.text.options();
  const std::int64_t layer = usual_map_layer(text) - text.text_layers;
  const auto picture = static_cast<std::int64_t>(side);
  const bool apart = reads_apart(encoders.sizes);
  // A joint layer reads both pictures, where others stand there once for each.
  AttentionWatch watch(apart || encoders.text.joint() ? layer : kPicturesOfStatement * layer + picture);
  const at::NoGradGuard guard;
  const at::Tensor fused = fuse_statements(encoders, s.text, s.kv, s.images, s.first, s.second, Dropout(), &watch);
  const at::Tensor sum = [&] {
    const at::AutoGradMode enabled(true);
    return number(fused).to(at::kFloat).sum();
  }();
  const at::Tensor map = watch.map(sum);
  return apart ? picture_columns(encoders, map.chunk(kPicturesOfStatement)[side], s.text)
               : picture_columns(encoders, map, s.text, picture);
}

}  // namespace vicha

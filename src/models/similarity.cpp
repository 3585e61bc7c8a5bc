#include "models/similarity.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "nn/host_copy.h"
#include "nn/norm.h"
#include "nn/vit_block.h"

namespace vicha {

WordPatchSimilarity::WordPatchSimilarity(ParameterStore& store, const ModelOptions& options, const std::string& suffix)
    : patches_(options.fusion.joint() ? options.regions.count() : options.vit.patches()) {
  const ParameterStore::Scope heads(store, "heads"), scope(store, "similarity");
  word_proj_ =
      add_linear(store, "word_proj" + suffix + ".", options.text.width, options.embed_dim, Init::kLinearDefault);
  patch_proj_ =
      add_linear(store, "patch_proj" + suffix + ".", options.vit.width, options.embed_dim, Init::kLinearDefault);
  const ParameterStore::Scope fusion_heads(store, "fusion_heads");
  for (std::int64_t i = 0; i < options.fusion.images; ++i) {
    const std::string place = i == 0 ? std::string() : fmt::format("_{}", i);
    word_vectors_.push_back(
        store.add(fmt::format("word_similarity{}{}", place, suffix), {options.text.width}, Init::kZeros));
  }
  patch_vector_ = store.add("patch_similarity" + suffix, {options.vit.width}, Init::kZeros);
}

at::Tensor WordPatchSimilarity::words(const at::Tensor& text_TD) const { return unit_rows(word_proj_(text_TD)); }

at::Tensor WordPatchSimilarity::patches(const at::Tensor& image_SD, std::int64_t tokens) const {
  // Behind the class token; concepts follow them.
  const at::Tensor rows = image_SD.view({-1, tokens, image_SD.size(1)}).narrow(1, 1, patches_);
  const at::Tensor projected = image_rows(rows.reshape({-1, image_SD.size(1)}));
  return projected.view({-1, patches_, projected.size(1)});
}

at::Tensor WordPatchSimilarity::image_rows(const at::Tensor& image_TD) const {
  return unit_rows(patch_proj_(image_TD));
}

Similarities compare(const at::Tensor& words_TE, const at::Tensor& patches_INE,
                     const std::vector<ComparedSequence>& sequences) {
  VICHA_ASSERT(!sequences.empty());
  const at::Device device = words_TE.device();
  const auto count = static_cast<std::int64_t>(sequences.size());
  std::int64_t longest = 0;
  for (const ComparedSequence& s : sequences) longest = std::max(longest, s.rows);

  // Sequences side by side: rows of the words' matrix, which of them are words, where each row stands among them.
  std::vector<std::int64_t> rows, image, back;
  std::vector<float> is_word;
  for (const ComparedSequence& s : sequences) {
    image.push_back(s.image);
    for (std::int64_t j = 0; j < longest; ++j) {
      if (j < s.rows) back.push_back(static_cast<std::int64_t>(rows.size()));
      rows.push_back(j < s.rows ? s.begin + j : s.begin);
      is_word.push_back(j > 0 && j < s.real ? 1.0F : 0.0F);
    }
  }
  const auto indices = [&](const std::vector<std::int64_t>& list) { return to_device(at::tensor(list), device); };
  const at::Tensor word_GL = to_device(at::tensor(is_word), device).view({count, longest});
  const at::Tensor words_GLE = words_TE.index_select(0, indices(rows)).view({count, longest, words_TE.size(1)});
  const at::Tensor patches_GNE = patches_INE.index_select(0, indices(image));
  const at::Tensor cosine_GLN = at::bmm(words_GLE, patches_GNE.transpose(1, 2));

  const at::Tensor best_GL = std::get<0>(cosine_GLN.max(2)) * word_GL, words_G1 = word_GL.sum(1, true);
  const at::Tensor mean_G1 = best_GL.sum(1, true) / words_G1.clamp_min(1.0);
  const at::Tensor all_GL = at::cat({mean_G1, best_GL.slice(1, 1)}, 1);

  constexpr double kNothing = -std::numeric_limits<double>::infinity();
  const at::Tensor real_GLN = cosine_GLN.masked_fill(word_GL.eq(0.0).unsqueeze(2), kNothing);
  return {all_GL.view({-1}).index_select(0, indices(back)),
          std::get<0>(real_GLN.max(1)).masked_fill(words_G1.eq(0.0), 0.0)};
}

}  // namespace vicha

#include "tasks/align/aligned_set.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <unordered_map>

#include "base/error.h"
#include "concepts/match/similarity_captions.h"
#include "data/pipeline/loader.h"
#include "tasks/retrieval/score_gate.h"

namespace vicha {
namespace {

/// Memory of one block of features, not results, depends on it.
constexpr std::int64_t kBlock = 4096;

/// The set's pictures under the names that stores know them by, in the set's order.
ImageList pictures_of(const EvaluationSet& set, const DataOptions& data) {
  const ImageList all =
      list_images({data.manifests.front()}, {.image_root = data.image_root, .strip_parts = data.strip_parts});
  std::unordered_map<std::int64_t, std::size_t> item_of_file;
  for (std::size_t i = 0; i < all.keys.size(); ++i) {
    item_of_file.emplace(all.manifest->image_number(all.records[i]), i);
  }
  ImageList list{.manifest = all.manifest, .keys = {}, .records = {}};
  for (std::int64_t image = 0; image < set.image_count(); ++image) {
    const std::size_t item = item_of_file.at(set.manifest().image_number(set.image_record(image)));
    list.keys.push_back(all.keys[item]);
    list.records.push_back(all.records[item]);
  }
  return list;
}

/// Rows of the first view, (records, D).
template <class Embed>
at::Tensor embedded(const FeatureSide& side, const Embed& embed) {
  std::vector<at::Tensor> parts;
  const auto count = static_cast<std::int64_t>(side.records.size());
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const auto n = static_cast<std::size_t>(std::min(kBlock, count - begin));
    const std::vector<std::int64_t> views(n, 0);
    const auto records = std::span(side.records).subspan(static_cast<std::size_t>(begin), n);
    parts.push_back(embed(side.store->gather(records, views).squeeze(1)).cpu());
  }
  return at::cat(parts);
}

}  // namespace

AlignedSet::AlignedSet(const DataOptions& given, const FeaturePlaces& places, const TowerAccess& towers) {
  VICHA_ASSERT(given.manifests.size() == 1);
  DataOptions data = given;
  data.concepts.enabled = false;
  const std::string& manifest = data.manifests.front();
  // No tokens are asked of it: the text tower has a tokenizer of its own.
  set_ = std::make_unique<const EvaluationSet>(load_manifests(data), nullptr, data);

  BadImageSettings settings{
      .share = "", .folder = "--image-root or data.image_root", .otherwise = "`vicha data prune` leaves them out"};
  FeatureEmbedOptions options;
  options.embed.max_bad_share = 0;
  options.embed.settings = settings;
  const ImageList pictures = pictures_of(*set_, data);
  pictures_ = picture_features(pictures, manifest, places, towers, options);
  if (pictures_.records.empty()) pictures_.records = pictures_.store->records_of(pictures.keys, manifest);

  std::vector<std::string> keys;
  std::unordered_map<std::string, std::int64_t> item_of_text;
  for (std::int64_t t = 0; t < set_->caption_count(); ++t) {
    std::string key = caption_key(set_->caption(t));
    if (key.empty()) {
      throw DataError(manifest, fmt::format("caption {} of its pictures is empty: no tower reads it", t),
                      "Remove it from the manifest");
    }
    const auto [found, fresh] = item_of_text.emplace(key, static_cast<std::int64_t>(keys.size()));
    if (fresh) keys.push_back(std::move(key));
    caption_items_.push_back(found->second);
  }
  captions_ = caption_features(keys, {fs::path(manifest)}, places, towers, options.embed);
}

RetrievalResult AlignedSet::evaluate(const AlignModel& heads, std::string_view name, std::int64_t examples) const {
  const at::Tensor image = embedded(pictures_, [&](const at::Tensor& x) { return heads.embed_images(x); });
  const at::Tensor text = embedded(captions_, [&](const at::Tensor& x) { return heads.embed_texts(x); });
  const at::Tensor text_TE = text.index_select(0, at::tensor(caption_items_, at::kLong));
  const at::Tensor cosines = at::mm(image, text_TE.t());
  ScoreGate(*set_, name).require_meaning(cosines);
  return contrast_retrieval(*set_, cosines, examples);
}

}  // namespace vicha

#include "tasks/grounding/grounding_model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "objectives/irta.h"
#include "tasks/downstream/network/attention_maps.h"

namespace vicha {
namespace {

/// Expressions that are judged at once: the states of their pictures' patches are copied for each.
constexpr std::int64_t kJudgedAtOnce = 32;

/// Of words and regions, the maps that IRTA has learnt; null where the model has its own of words and patches, or
/// neither.
const IrtaObjective* word_region_maps(const GroundingModel& model) {
  return model.vicha().options().fusion.similarity ? nullptr : model.objectives().find<IrtaObjective>();
}

std::int64_t longest_of_texts(const std::vector<std::int64_t>& lengths) { return *std::ranges::max_element(lengths); }

}  // namespace

void CandidateTargets::for_each_tensor(const TensorVisit& visit) {
  for (at::Tensor* tensor : {&boxes_BC4, &real_BC, &right_BC}) visit(*tensor);
}

CandidateTargets candidate_targets(const std::vector<const Candidates*>& of, std::int64_t at_least) {
  std::size_t most = static_cast<std::size_t>(at_least);
  for (const Candidates* one : of) most = std::max(most, one->boxes.size());
  const auto batch = static_cast<std::int64_t>(of.size()), count = static_cast<std::int64_t>(most);
  CandidateTargets targets;
  targets.boxes_BC4 = at::zeros({batch, count, 4});
  targets.real_BC = at::zeros({batch, count}, at::kBool);
  targets.right_BC = at::zeros({batch, count}, at::kBool);
  auto* boxes = targets.boxes_BC4.data_ptr<float>();
  auto *real = targets.real_BC.data_ptr<bool>(), *right = targets.right_BC.data_ptr<bool>();
  for (std::size_t i = 0; i < of.size(); ++i) {
    const Candidates& one = *of[i];
    const auto width = static_cast<double>(one.size.width), height = static_cast<double>(one.size.height);
    for (std::size_t c = 0; c < one.boxes.size(); ++c) {
      const PixelBox& box = one.boxes[c];
      const std::size_t at = i * most + c;
      const double shares[] = {box.x / width, box.y / height, box.width / width, box.height / height};
      std::ranges::transform(shares, boxes + 4 * at, [](double share) { return static_cast<float>(share); });
      real[at] = true;
      right[at] = one.right && overlap(box, *one.right, GroundingMetric::kExact) >= kRightOverlap;
    }
  }
  return targets;
}

GroundingModel::GroundingModel(const GroundingRecipe& recipe, std::uint64_t seed)
    : TaskModel(recipe.model, recipe.objectives, seed) {
  if (!recipe.grounding.supervised) return;
  ParameterStore& store = vicha().parameters();
  const ParameterStore::Scope heads(store, "heads"), fusion_heads(store, "fusion_heads"), scope(store, "ground_head");
  head_.emplace(store, "ground_head.", recipe.model.vit.width, recipe.model.text.width, recipe.grounding.width);
}

at::Tensor GroundingModel::judge(const ImageStates& image, const at::Tensor& cls_nD,
                                 const std::vector<std::int64_t>& image_of, const CandidateTargets& candidates) const {
  const VitOptions& vit = vicha().options().vit;
  const at::Device device = cls_nD.device();
  const at::Tensor boxes = candidates.boxes_BC4.to(device), real = candidates.real_BC.to(device);
  const at::Tensor shares_nCN = patch_shares(boxes, vit.rows(), vit.columns());
  const at::Tensor patches_nND = image.states.view({image.count(), image.tokens, -1})
                                     .slice(1, 1, 1 + vit.patches())
                                     .index_select(0, row_indices(image_of, device))
                                     .to(at::kFloat);
  return (*head_)(at::bmm(shares_nCN, patches_nND), cls_nD, box_numbers(boxes, real), real);
}

at::Tensor GroundingModel::judge(const QuestionBatch& batch, const EvaluationSet& set, const CandidateBoxes& boxes,
                                 std::int64_t most) const {
  const std::vector<std::int64_t>& image_of = batch.image_of.front();
  const at::Tensor cls = fuse_texts(vicha().online(), batch.text, batch.kv, FusedImages(batch.image), image_of,
                                    FusedRows::kCls, Dropout());
  std::vector<at::Tensor> logits;
  const auto count = static_cast<std::int64_t>(image_of.size());
  for (std::int64_t begin = 0; begin < count; begin += kJudgedAtOnce) {
    const std::int64_t end = std::min(count, begin + kJudgedAtOnce);
    std::vector<const Candidates*> of;
    for (std::int64_t i = begin; i < end; ++i) {
      of.push_back(&boxes[set.caption_record(batch.texts[static_cast<std::size_t>(i)])]);
    }
    logits.push_back(judge(batch.image, cls.slice(0, begin, end), {image_of.begin() + begin, image_of.begin() + end},
                           candidate_targets(of, most)));
  }
  return at::cat(logits);
}

at::Tensor GroundingModel::word_maps_of(const QuestionBatch& batch, const GroundingMapOptions& options) const {
  const Encoders& encoders = vicha().online();
  const FusedImages images(batch.image);
  const std::vector<std::int64_t>& image_of = batch.image_of.front();
  if (options.map == GroundingMap::kSimilarity) {
    const IrtaObjective* irta = word_region_maps(*this);
    if (irta == nullptr) return similarity_maps(batch.text, images, image_of);
    const at::NoGradGuard guard;
    ImageStates image = batch.image;
    encoders.show_patches(image, /*regions=*/true);
    return similarity_maps(irta->words(batch.text.states), irta->regions(image.regions), batch.text.pack, image_of);
  }
  const std::int64_t layer = options.layer < 0 ? usual_map_layer(vicha().options().text) : options.layer;
  return matching_maps(encoders, match_head(), batch.text, batch.kv, images, image_of, layer);
}

at::Tensor GroundingModel::maps(const QuestionBatch& batch, const GroundingMapOptions& options) const {
  const std::vector<std::int64_t>& lengths = batch.text.pack.lengths;
  return text_maps(word_maps_of(batch, options), lengths, longest_of_texts(lengths));
}

at::Tensor GroundingModel::contrast_maps_of(const at::Tensor& pictures, const Tokens& concepts, const Tokens& texts,
                                            const std::vector<std::int64_t>& image_of,
                                            const GroundingMapOptions& options) const {
  const at::NoGradGuard guard;
  const Encoders& encoders = vicha().online();
  const VitOptions& vit = vicha().options().vit;
  const TextStates text = encoders.encode_text(PackedText::packed(texts, vicha().device()), Dropout());
  const ImageInput input{patch_rows(pictures.to(vicha().device()), vit), pictures.size(0), concepts};
  const std::int64_t block = options.block < 0 ? std::min<std::int64_t>(8, vit.depth - 1) : options.block;
  return contrast_maps(encoders, vicha().temperature(), input, encoders.text_features(text), image_of, block);
}

PatchGrid GroundingModel::grid_of(const GroundingMapOptions& options) const {
  const ModelOptions& sizes = vicha().options();
  // The contrast looks by the image encoder's own attention.
  if (options.map == GroundingMap::kItc) return {sizes.vit.rows(), sizes.vit.columns()};
  const bool regions = options.map == GroundingMap::kSimilarity && word_region_maps(*this) != nullptr;
  return regions ? PatchGrid{sizes.regions.rows, sizes.regions.columns} : map_grid(sizes);
}

at::Tensor GroundingModel::maps(const std::shared_ptr<const EvaluationSet>& set, const GroundingMapOptions& options,
                                const QuestionOptions& questions, const std::string& name, const Group& group) const {
  if (options.map != GroundingMap::kItc) {
    return score_questions(
        vicha(), set, questions, grid_of(options).patches(),
        [&](const QuestionBatch& batch) { return maps(batch, options); }, name, group);
  }
  // A run of the pictures for each rank, with all of their texts.
  const std::int64_t share = (set->image_count() + group.size() - 1) / group.size();
  std::int64_t image = std::min(set->image_count(), group.rank() * share);
  const std::int64_t last = std::min(set->image_count(), image + share);
  const std::vector<std::int64_t>& of = set->caption_images();
  std::int64_t text = std::ranges::lower_bound(of, image) - of.begin();
  at::Tensor maps = at::zeros({set->caption_count(), grid_of(options).patches()});
  EvaluationImages pictures(set, questions.batch_size, image, last);
  while (const std::optional<Batch> batch = pictures.next()) {
    const std::int64_t first = image, begin = text;
    image += batch->image.size(0);
    std::vector<std::int64_t> image_of;
    for (; text < set->caption_count() && of[static_cast<std::size_t>(text)] < image; ++text) {
      image_of.push_back(of[static_cast<std::size_t>(text)] - first);
    }
    maps.slice(0, begin, text)
        .copy_(contrast_maps_of(batch->image, batch->concepts, set->captions(begin, text - begin), image_of, options));
  }
  group.all_reduce_sum(maps);
  const at::Tensor wrong = maps.isfinite().all(1).logical_not().nonzero();
  if (wrong.size(0) > 0) refuse_scores(name, *set, wrong[0].item<std::int64_t>());
  return maps;
}

}  // namespace vicha

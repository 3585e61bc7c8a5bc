#include "tasks/downstream/questions.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/log.h"
#include "base/printable.h"
#include "concepts/kit/concept_kit.h"
#include "tasks/concepts/concept_finder.h"
#include "tasks/downstream/concept_padding.h"
#include "tasks/host/model_files.h"
#include "tasks/host/stored_pictures.h"

namespace vicha {
namespace {

/// Text rows that one pass should have: enough to keep matrix products busy, few enough to stay in cache.
constexpr std::int64_t kRowsOfPass = 2048;

void say_left_out(const EvaluationSet& set) {
  if (const std::int64_t left = set.manifest().left_out(); left > 0) {
    log::info("{}: {} records without a class are left out", set.manifest().file(0).string(), left);
  }
}

/// Texts whose pictures are in memory together.
struct QuestionBlock {
  std::vector<std::int64_t> texts, pictures;
  std::vector<std::int64_t> missing;  ///< pictures that are encoded for it
  std::vector<std::int64_t> dropped;  ///< of which no later block needs the states, or for which there is no room
};

struct QuestionRoom {
  std::int64_t at_once;  ///< pictures of a block
  std::int64_t kept;     ///< pictures whose states stay, beyond those of a block
};

QuestionRoom room_for(const Vicha& model, const EvaluationSet& set, const QuestionOptions& options) {
  const ModelOptions& sizes = model.options();
  const std::int64_t tokens = 1 + sizes.vit.patches() + set.concept_tokens();
  const bool joint = sizes.fusion.joint();
  const std::int64_t regions = joint ? sizes.regions.count() : 0;
  const std::int64_t states = (tokens + regions) * sizes.vit.width * 4;
  const std::int64_t of_fusion =
      joint ? (1 + regions) * sizes.text.width * 4 : tokens * 2 * sizes.text.width * sizes.text.fusion_layers * 4;
  const std::int64_t kv = of_fusion + states;
  const std::int64_t half = (options.memory_mib << 20) / 2;
  return {std::clamp<std::int64_t>(half / kv, 1, options.batch_size), half / states};
}

/// What each block encodes and keeps follows from the set alone, so reading ahead can follow it.
std::vector<QuestionBlock> plan_blocks(const EvaluationSet& set, const std::vector<std::int64_t>& texts,
                                       const QuestionRoom& room) {
  std::vector<QuestionBlock> blocks;
  std::unordered_map<std::int64_t, std::vector<std::int64_t>> uses;  // blocks of each picture, ascending
  for (const std::int64_t text : texts) {
    const std::vector<std::int64_t> images = set.images_of(text);
    const auto is_new = [&](std::int64_t image) {
      return blocks.empty() || std::ranges::find(blocks.back().pictures, image) == blocks.back().pictures.end();
    };
    const auto fresh = std::ranges::count_if(images, is_new);
    if (blocks.empty() ||
        (fresh > 0 && static_cast<std::int64_t>(blocks.back().pictures.size()) + fresh > room.at_once)) {
      blocks.emplace_back();
    }
    for (const std::int64_t image : images) {
      if (!is_new(image)) continue;
      blocks.back().pictures.push_back(image);
      uses[image].push_back(static_cast<std::int64_t>(blocks.size()) - 1);
    }
    blocks.back().texts.push_back(text);
  }
  std::map<std::int64_t, std::int64_t> held;  // pictures in memory; the next block that wants them
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    QuestionBlock& block = blocks[b];
    for (const std::int64_t image : block.pictures) {
      if (!held.contains(image)) block.missing.push_back(image);
      const auto& of = uses[image];
      const auto next = std::ranges::upper_bound(of, static_cast<std::int64_t>(b));
      held[image] = next == of.end() ? std::numeric_limits<std::int64_t>::max() : *next;
    }
    // Without a later use they go; of the others those that are wanted last, until the rest has room.
    std::vector<std::pair<std::int64_t, std::int64_t>> by_use;
    for (const auto& [image, next] : held) by_use.emplace_back(next, image);
    std::ranges::sort(by_use);
    for (std::size_t i = 0; i < by_use.size(); ++i) {
      if (by_use[i].first != std::numeric_limits<std::int64_t>::max() && static_cast<std::int64_t>(i) < room.kept)
        continue;
      block.dropped.push_back(by_use[i].second);
      held.erase(by_use[i].second);
    }
  }
  return blocks;
}

/// States of pictures that are in memory.
class PictureStates {
 public:
  explicit PictureStates(const Vicha& model) : model_(model) {}

  void add(const Batch& batch, const std::vector<std::int64_t>& images) {
    const at::Tensor patches = patch_rows(batch.image.to(model_.device()), model_.options().vit);
    const ImageStates encoded = model_.online().encode_image({patches, batch.image.size(0), batch.concepts}, Dropout());
    const at::Tensor rows = encoded.states.view({encoded.count(), encoded.tokens, -1});
    tokens_ = encoded.tokens;
    for (std::size_t i = 0; i < images.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      held_[images[i]] = {rows[at], encoded.regions.defined() ? encoded.regions[at] : at::Tensor(), encoded.real[i]};
    }
  }
  void drop(const std::vector<std::int64_t>& images) {
    for (const std::int64_t image : images) held_.erase(image);
  }
  ImageStates of(const std::vector<std::int64_t>& images) const {
    ImageStates states;
    std::vector<at::Tensor> rows, regions;
    for (const std::int64_t image : images) {
      const Held& held = held_.at(image);
      rows.push_back(held.rows);
      if (held.regions.defined()) regions.push_back(held.regions);
      states.real.push_back(held.real);
    }
    if (!regions.empty()) states.regions = at::stack(regions);
    const at::Tensor all = at::stack(rows);
    states.tokens = tokens_;
    states.cls = all.select(1, 0);
    states.states = all.flatten(0, 1);
    model_.online().show_patches(states);
    return states;
  }

 private:
  struct Held {
    at::Tensor rows, regions;  ///< (S, D_image), (R, D_image); the latter undefined where the fusion reads none
    std::int64_t real;
  };
  const Vicha& model_;
  std::int64_t tokens_ = 0;
  std::unordered_map<std::int64_t, Held> held_;
};

/// The block's texts in passes of about kRowsOfPass rows.
void show_texts(const Vicha& model, const EvaluationSet& set, const QuestionBlock& block, const ImageStates& image,
                const std::function<void(const QuestionBatch&)>& visit) {
  std::unordered_map<std::int64_t, std::int64_t> place;
  for (std::size_t i = 0; i < block.pictures.size(); ++i) place[block.pictures[i]] = static_cast<std::int64_t>(i);
  const std::vector<at::Tensor> kv = model.online().text.image_kv(image.fusion_rows());
  for (std::size_t begin = 0; begin < block.texts.size();) {
    // Some more than fit by their number, then as many as fit by their rows.
    const std::size_t most = std::min<std::size_t>(block.texts.size() - begin, kRowsOfPass / 2);
    Tokens tokens = set.captions(std::span(block.texts).subspan(begin, most));
    std::int64_t rows = 0;
    std::size_t count = 0;
    while (count < most && (count == 0 || rows + tokens.lengths[count] <= kRowsOfPass)) rows += tokens.lengths[count++];
    tokens = {tokens.ids.slice(0, 0, static_cast<std::int64_t>(count)).contiguous(),
              {tokens.lengths.begin(), tokens.lengths.begin() + static_cast<std::ptrdiff_t>(count)}};
    QuestionBatch batch;
    batch.texts.assign(block.texts.begin() + static_cast<std::ptrdiff_t>(begin),
                       block.texts.begin() + static_cast<std::ptrdiff_t>(begin + count));
    batch.text = model.online().encode_text(PackedText::packed(tokens, model.device()), Dropout());
    batch.image = image;
    batch.kv = kv;
    for (const std::int64_t text : batch.texts) {
      const std::vector<std::int64_t> images = set.images_of(text);
      batch.image_of.resize(images.size());
      for (std::size_t p = 0; p < images.size(); ++p) batch.image_of[p].push_back(place.at(images[p]));
    }
    visit(batch);
    begin += count;
  }
}

}  // namespace

LoadedQuestions load_questions(const LoadedModel& loaded, const EvaluateCommand& command, const Schema& schema,
                               const std::optional<EvaluationPadding>& padding) {
  const DataOptions data = command.data(loaded.recipe->data);
  ConceptFinderOptions finding = command.concepts;
  finding.tower.device = command.device;
  const std::filesystem::path checkpoint = checkpoint_folder(command.checkpoint);
  ConceptFinder finder(checkpoint_concept_kit(checkpoint), checkpoint.string(), finding);
  const ConceptPadding trained(checkpoint);
  const auto set = finder.load(data, loaded.tokenizer, schema, padding.value_or(trained.of_set()));
  if (!padding && trained.tokens() > 0 && set->concept_tokens() > trained.tokens()) {
    log::info(
        "{}: lists of concepts of up to {} tokens, and the model was trained with {} at most: all are padded to the "
        "longest, which a prediction of a single picture does not know",
        command.manifest.string(), set->concept_tokens(), trained.tokens());
  }
  if (loaded.tower) {
    set->set_features(
        evaluation_features(set->manifest(), {.data = data, .tower = *loaded.tower, .device = command.device}));
  }
  say_left_out(*set);
  return {set, finder.describe(data)};
}

std::shared_ptr<const EvaluationSet> load_questions_along(const TrainingSetup& setup, const Schema& schema,
                                                          const EvaluationPadding& padding) {
  const std::string manifest = setup.recipe.evaluation_manifest();
  if (manifest.empty()) return nullptr;
  DataOptions data = setup.recipe.data;
  data.manifests = {manifest};
  std::shared_ptr<const EvaluationSet> loaded;
  const auto load = [&] {
    const auto set = ConceptFinder(setup.kit, "the training set",
                                   {.cache = run_image_cache(setup.out), .tower = {.device = setup.device}})
                         .load(data, setup.tokenizer, schema, padding);
    if (setup.tower) {
      set->set_features(evaluation_features(
          set->manifest(),
          {.data = data, .tower = *setup.tower, .device = setup.device, .cache = run_feature_cache(setup.out)}));
    }
    loaded = set;
  };
  // The writer embeds what has to be embedded; the others find it in the cache.
  if (setup.group.is_writer()) load();
  setup.group.barrier();
  if (!setup.group.is_writer()) load();
  if (setup.group.is_writer()) say_left_out(*loaded);
  return loaded;
}

void for_each_question(const Vicha& model, const std::shared_ptr<const EvaluationSet>& set,
                       const QuestionOptions& options, const std::function<void(const QuestionBatch&)>& visit,
                       const Group& group) {
  const at::NoGradGuard guard;
  // A run of the texts for each rank, so that few pictures are encoded on two.
  const std::int64_t all = set->caption_count(), share = (all + group.size() - 1) / group.size();
  const std::int64_t first = std::min(all, group.rank() * share), last = std::min(all, first + share);
  std::vector<std::int64_t> texts(static_cast<std::size_t>(last - first));
  std::iota(texts.begin(), texts.end(), first);
  const std::vector<QuestionBlock> blocks = plan_blocks(*set, texts, room_for(model, *set, options));
  std::vector<std::vector<std::int64_t>> batches;
  for (const QuestionBlock& block : blocks) {
    if (!block.missing.empty()) batches.push_back(block.missing);
  }
  EvaluationImages pictures(set, std::move(batches));
  PictureStates states(model);
  for (const QuestionBlock& block : blocks) {
    if (!block.missing.empty()) {
      const std::optional<Batch> batch = pictures.next();
      VICHA_ASSERT(batch.has_value());
      states.add(*batch, block.missing);
    }
    show_texts(model, *set, block, states.of(block.pictures), visit);
    states.drop(block.dropped);
  }
}

at::Tensor score_questions(const Vicha& model, const std::shared_ptr<const EvaluationSet>& set,
                           const QuestionOptions& options, std::int64_t numbers,
                           const std::function<at::Tensor(const QuestionBatch&)>& score, const std::string& name,
                           const Group& group) {
  const at::NoGradGuard guard;
  at::Tensor scores = at::zeros({set->caption_count(), numbers});
  for_each_question(
      model, set, options,
      [&](const QuestionBatch& batch) {
        const at::Tensor of_batch = score(batch).to(at::kCPU, at::kFloat);
        VICHA_ASSERT(of_batch.size(0) == static_cast<std::int64_t>(batch.texts.size()) && of_batch.size(1) == numbers);
        scores.index_copy_(0, at::tensor(batch.texts, at::kLong), of_batch);
      },
      group);
  // A NaN that one rank alone knows of is everybody's after the sum.
  group.all_reduce_sum(scores);
  const at::Tensor wrong = scores.isfinite().all(1).logical_not().nonzero();
  if (wrong.size(0) > 0) refuse_scores(name, *set, wrong[0].item<std::int64_t>());
  return scores;
}

void refuse_scores(const std::string& name, const EvaluationSet& set, std::int64_t text) {
  throw DataError(name,
                  fmt::format("scores \"{}\" ({}) with a number that is not finite, so its answers say nothing",
                              printable(set.caption(text)), set.manifest().where(set.caption_record(text))),
                  "Its weights are damaged, or training has diverged: take an earlier checkpoint");
}

}  // namespace vicha

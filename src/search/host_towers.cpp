// B pictures, n texts, E width of the common embedding.
#include "search/host_towers.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/sha256.h"
#include "concepts/kit/concept_kit.h"
#include "data/pipeline/collate.h"
#include "data/pipeline/sample_maker.h"
#include "models/image_pipeline.h"
#include "models/pair_scorer.h"
#include "objectives/itm.h"
#include "tasks/concepts/concept_finder.h"
#include "tasks/concepts/vicha_source.h"
#include "tasks/host/model_files.h"
#include "tasks/host/model_identity.h"
#include "tasks/host/picture_feed.h"
#include "tasks/host/text_feed.h"

namespace vicha {
namespace {

/// Whether embeddings depend on a parameter.
bool is_read(const Parameter& p) {
  return !p.follower &&
         (p.in("image") || p.in("text") || p.in("projections") || p.in("aligned_heads") || p.in("concepts"));
}

/// Of all that embeddings depend on, and of the kit that finds concepts.
std::string towers_sha256(const Vicha& model, const std::optional<ConceptKit>& kit) {
  Sha256 hash = hash_of_parameters(model, is_read);
  if (kit) hash.update(identity_json(kit->provenance));
  return hash.hex();
}

class HostTowers final : public ConceptSource, public PictureMatcher {
 public:
  /// `finder`: of a model that reads concepts, its kit's.
  HostTowers(LoadedModel loaded, std::unique_ptr<PictureFeed> feed, std::string name,
             const std::optional<ConceptKit>& kit, std::unique_ptr<ConceptFinder> finder)
      : parts_(std::move(loaded.parts)),
        max_concept_tokens_(loaded.recipe->data.concepts.max_tokens),
        text_(loaded.tokenizer, loaded.recipe->data),
        feed_(std::move(feed)),
        finder_(std::move(finder)),
        concept_numbers_(finder_ ? static_cast<std::size_t>(finder_->prepared_numbers()) : 0) {
    std::string view = feed_->view();
    if (kit) view += fmt::format(", concepts {} of {}", kit->provenance.k, kit->provenance.weights.view);
    weights_ = {"vicha", std::move(name), towers_sha256(model(), kit), view};
    temperature_ = model().temperature().item<double>();
    // Recipes of other tasks than retrieval and pretraining say nothing of it.
    constexpr std::string_view kWeight = "match_weight=";
    for (const std::string& setting : loaded.recipe->evaluation_settings()) {
      if (setting.starts_with(kWeight)) match_weight_ = std::stod(setting.substr(kWeight.size()));
    }
  }

  const SourceWeights& weights() const override { return weights_; }
  std::int64_t width() const override { return model().options().embed_dim; }
  /// Of a square that both what the model and what its finder of concepts read have room in, one behind the other.
  int side() const override {
    if (!finder_) return own_side();
    return static_cast<int>(std::ceil(std::sqrt(static_cast<double>(own_numbers() + concept_numbers_) / 3)));
  }
  int own_side() const { return static_cast<int>(feed_->height()); }
  double scale() const override { return 1 / temperature_; }
  double temperature() const override { return temperature_; }
  double match_weight() const override { return match_weight_; }

  void prepare(std::span<const std::uint8_t> bytes, std::string_view name, std::span<float> out) const override {
    feed_->prepare(bytes, name, out.first(own_numbers()));
    if (finder_) finder_->prepare(bytes, name, out.subspan(own_numbers(), concept_numbers_));
  }
  void prepare(const Image& image, std::span<float> out) const override {
    feed_->prepare(image, out.first(own_numbers()));
    if (finder_) finder_->prepare(image, out.subspan(own_numbers(), concept_numbers_));
  }

  std::int64_t batch() const override { return images_at_once(1 + model().options().vit.patches(), model().device()); }

  at::Tensor embed_images(const at::Tensor& pixels) override {
    const at::NoGradGuard guard;
    const ScoredImages images = with_concepts(pixels);
    std::unique_lock turn(on_device_, std::defer_lock);
    if (!model().device().is_cpu()) turn.lock();  // its memory is for one batch
    const at::Tensor patches = patch_rows(images.image.to(model().device()), model().options().vit);
    const ImageStates states = model().online().encode_image(
        {.patches = patches, .count = pixels.size(0), .concepts = images.concepts, .contrast = true}, Dropout());
    return model().online().image_embedding(states).to(at::kCPU, at::kFloat);
  }

  at::Tensor embed_texts(std::span<const std::string> texts) override {
    return vicha::embed_texts(model(), text_, texts);
  }

  std::vector<Match> match(const std::string& text, std::span<const fs::path> files) override {
    const at::NoGradGuard guard;
    PairScorer scorer(model(), parts_->match_head());
    scorer.add_texts(text_tokens(text_, {&text, 1}));
    std::vector<Match> matches(files.size());
    std::vector<at::Tensor> prepared;  // of the files that can be read, in their order
    ImagePipeline pipeline;
    pipeline.side = side();
    pipeline.batch = std::clamp<std::int64_t>(batch(), 1, 8);
    pipeline.read = [&](std::int64_t i, std::span<float> out) {
      const fs::path& file = files[static_cast<std::size_t>(i)];
      try {
        const std::string bytes = read_file(file);
        prepare({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, file.string(), out);
        return matches[static_cast<std::size_t>(i)].read = true;
      } catch (const DataError& error) {
        log::warning("not matched: {}", error.what());
        return false;
      }
    };
    pipeline.encode = [](const at::Tensor& pixels) { return pixels.flatten(1).clone(); };
    pipeline.done = [&](const ImageBatch& done) {
      if (!done.images.empty()) prepared.push_back(done.rows);
    };
    pipeline.run(static_cast<std::int64_t>(files.size()));
    for (const at::Tensor& rows : prepared) {
      const ScoredImages images = with_concepts(rows.view({rows.size(0), 3, side(), side()}));
      scorer.add_images(images.image, images.concepts);
    }
    std::vector<std::pair<std::int64_t, std::int64_t>> pairs;
    std::vector<std::size_t> file_of_pair;
    for (std::size_t i = 0; i < matches.size(); ++i) {
      if (!matches[i].read) continue;
      pairs.emplace_back(static_cast<std::int64_t>(pairs.size()), 0);
      file_of_pair.push_back(i);
    }
    if (pairs.empty()) return matches;
    const at::Tensor logits = scorer.match(pairs).to(at::kCPU, at::kDouble).contiguous();
    const double* l = logits.const_data_ptr<double>();
    for (std::size_t p = 0; p < pairs.size(); ++p) matches[file_of_pair[p]].log_odds = l[2 * p + 1] - l[2 * p];
    return matches;
  }

 private:
  const Vicha& model() const { return parts_->vicha(); }
  std::size_t own_numbers() const {
    return 3 * static_cast<std::size_t>(own_side()) * static_cast<std::size_t>(own_side());
  }

  /// From what `prepare` wrote.
  ScoredImages with_concepts(const at::Tensor& prepared) {
    if (!finder_) return {feed_->pictures(prepared), {}};
    const std::int64_t count = prepared.size(0), own = static_cast<std::int64_t>(own_numbers()),
                       other = static_cast<std::int64_t>(concept_numbers_);
    const at::Tensor flat = prepared.reshape({count, -1});
    const at::Tensor pixels = flat.slice(1, 0, own).contiguous().view({count, 3, own_side(), own_side()});
    const std::vector<ImageConcepts> found = finder_->find_prepared(flat.slice(1, own, own + other));
    std::vector<std::vector<std::int64_t>> rows;
    for (const ImageConcepts& c : found) {
      rows.push_back(text_.encode_concepts(std::vector<std::string_view>(c.words.begin(), c.words.end())));
    }
    // Padded to the recipe's length, as evaluation does: a picture's embedding must not depend on its neighbours'.
    std::vector<const std::vector<std::int64_t>*> pointers;
    for (const auto& row : rows) pointers.push_back(&row);
    return {feed_->pictures(pixels), collate_tokens(pointers, text_.pad_id(), max_concept_tokens_)};
  }

  std::unique_ptr<TaskModel> parts_;
  std::int64_t max_concept_tokens_;
  SampleText text_;
  std::unique_ptr<PictureFeed> feed_;
  std::unique_ptr<ConceptFinder> finder_;  ///< nullptr: the model reads no concepts
  std::size_t concept_numbers_;
  SourceWeights weights_;
  double temperature_ = 1, match_weight_ = 1;
  std::mutex on_device_;
};

}  // namespace

SearchModel open_host_towers(const fs::path& folder, const ConceptSourceOptions& options,
                             const std::string& concept_source) {
  const fs::path checkpoint = checkpoint_folder(folder);
  LoadedModel loaded = load_trained(checkpoint, options.device);
  require_contrast(loaded, folder.string());
  std::optional<ConceptKit> kit;
  std::unique_ptr<ConceptFinder> finder;
  if (loaded.recipe->model.concepts.enabled) {
    kit = checkpoint_concept_kit(checkpoint);
    finder = std::make_unique<ConceptFinder>(
        kit, checkpoint.string(),
        ConceptFinderOptions{.source = concept_source, .tower = options, .dispensable = false});
  }
  bool matches = false;
  for (const ObjectiveSet::Entry& entry : loaded.parts->objectives().entries()) {
    matches = matches || (entry.enabled && dynamic_cast<const ItmObjective*>(entry.objective.get()) != nullptr);
  }
  auto feed = open_square_picture_feed(loaded, checkpoint, options.device);
  auto towers = std::make_unique<HostTowers>(std::move(loaded), std::move(feed), checkpoint_name(checkpoint), kit,
                                             std::move(finder));
  SearchModel model;
  model.hash_side = towers->own_side();
  model.matcher = matches ? towers.get() : nullptr;
  log::info("model: {}{}", towers->weights().describe(), matches ? ", with matching" : "");
  model.towers = std::move(towers);
  return model;
}

}  // namespace vicha

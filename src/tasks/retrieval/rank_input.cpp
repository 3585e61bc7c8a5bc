#include "tasks/retrieval/rank_input.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/log.h"
#include "concepts/kit/concept_kit.h"
#include "data/pipeline/collate.h"
#include "models/pair_scorer.h"
#include "tasks/concepts/concept_finder.h"
#include "tasks/host/input_object.h"
#include "tasks/host/model_files.h"
#include "tasks/host/picture_feed.h"
#include "tasks/host/shown_input.h"
#include "tasks/host/text_feed.h"

namespace vicha {
namespace {

using RankJson = nlohmann::ordered_json;

struct RankRequest {
  RankJson json;
  std::vector<std::string> images, texts;
  bool by_image = false;  ///< one picture and several texts
};

bool is_list_of_strings(const RankJson& value) {
  if (!value.is_array() || value.empty()) return false;
  for (const auto& one : value) {
    if (!one.is_string()) return false;
  }
  return true;
}

RankRequest read_request(const std::string& input) {
  constexpr const char* kForm =
      R"(Give {"image": "FILE", "texts": ["TEXT", ...]} or {"text": "TEXT", "images": ["FILE", ...]})";
  RankRequest request{input_object(input, kForm), {}, {}, false};
  const RankJson& json = request.json;
  const auto has = [&](const char* one, const char* list) {
    return json.is_object() && json.contains(one) && json.at(one).is_string() && json.contains(list) &&
           is_list_of_strings(json.at(list)) && json.size() >= 2;
  };
  const bool by_image = has("image", "texts"), by_text = has("text", "images");
  if (by_image == by_text) {
    throw DataError(shown_input(input), "is not what predict retrieval reads", kForm);
  }
  if (json.contains("concepts") && !json.at("concepts").is_null()) {
    throw DataError(shown_input(input), "gives \"concepts\", which predict retrieval does not read",
                    "Leave the field out: a model that reads concepts finds those of each picture");
  }
  request.by_image = by_image;
  request.images =
      by_image ? std::vector{json.at("image").get<std::string>()} : json.at("images").get<std::vector<std::string>>();
  request.texts =
      by_image ? json.at("texts").get<std::vector<std::string>>() : std::vector{json.at("text").get<std::string>()};
  return request;
}

class Ranker {
 public:
  Ranker(const LoadedModel& loaded, const PredictCommand& command)
      : model_(*loaded.parts),
        data_(loaded.recipe->data),
        text_(loaded.tokenizer, data_),
        feed_(open_picture_feed(loaded, command.device)),
        from_(command.concepts.from) {
    require_pairs_of_one(loaded, command.checkpoint.string());
    ConceptFinderOptions finding = command.concepts;
    finding.tower.device = command.device;
    if (loaded.vicha().options().text.fusion_layers > 0) {
      warn_of_untaught_matching(loaded, command.checkpoint.string(),
                                "go by \"similarity\", as \"match\" and \"probability\" read that head");
    }
    const std::filesystem::path checkpoint = checkpoint_folder(command.checkpoint);
    finder_.emplace(checkpoint_concept_kit(checkpoint), checkpoint.string(), finding);
  }

  std::string operator()(const PredictRequest& given) {
    RankRequest request = read_request(given.input);
    const at::NoGradGuard guard;
    PairScorer scorer(model_.vicha(), model_.match_head());
    for (const std::string& image : request.images) scorer.add_images(picture(image), concepts(image));
    scorer.add_texts(text_tokens(text_, request.texts));
    const auto candidates = static_cast<std::int64_t>(request.by_image ? request.texts.size() : request.images.size());
    std::vector<std::pair<std::int64_t, std::int64_t>> pairs;
    for (std::int64_t i = 0; i < candidates; ++i)
      pairs.emplace_back(request.by_image ? 0 : i, request.by_image ? i : 0);

    const at::Tensor cosines = scorer.similarities().cpu().to(at::kDouble).flatten();
    at::Tensor posterior = cosines / model_.vicha().temperature().cpu().to(at::kDouble), match;
    if (model_.vicha().options().text.fusion_layers > 0) {
      const at::Tensor logits = scorer.match(pairs).cpu().to(at::kDouble);
      const at::Tensor odds = logits.select(1, 1) - logits.select(1, 0);
      posterior = posterior + odds;
      match = odds.sigmoid();
    }
    if (!posterior.isfinite().all().item<bool>()) {
      throw DataError(shown_input(given.input), "the model's scores are not finite", "Take another checkpoint");
    }
    const at::Tensor shares = posterior.softmax(0), order = posterior.argsort(/*stable=*/true, 0, /*descending=*/true);
    const auto rounded = [](const at::Tensor& x) { return std::round(x.item<double>() * 1e6) / 1e6; };
    RankJson ranking = RankJson::array();
    for (std::int64_t place = 0; place < candidates; ++place) {
      const auto i = order[place].item<std::int64_t>();
      const auto at = static_cast<std::size_t>(i);
      RankJson entry = {
          {request.by_image ? "text" : "image", request.by_image ? request.texts[at] : request.images[at]},
          {"probability", rounded(shares[i])}};
      if (match.defined()) entry["match"] = rounded(match[i]);
      entry["similarity"] = rounded(cosines[i]);
      ranking.push_back(std::move(entry));
    }
    request.json["ranking"] = std::move(ranking);
    return json_text(request.json);
  }

 private:
  at::Tensor picture(const std::string& file) const {
    const at::Tensor pixels = at::empty({1, 3, feed_->height(), feed_->width()});
    const std::string bytes = read_picture(file);
    feed_->prepare({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, file,
                   {pixels.data_ptr<float>(), static_cast<std::size_t>(pixels.numel())});
    return feed_->pictures(pixels);
  }

  /// All of one length, as PairScorer wants them.
  Tokens concepts(const std::string& file) {
    if (!text_.has_concepts()) return {};
    std::vector<std::string> words;
    if (from_ != ConceptsFrom::kNone) words = finder_->find(std::filesystem::path(file)).words;
    const std::vector<std::int64_t> ids =
        text_.encode_concepts(std::vector<std::string_view>(words.begin(), words.end()));
    return collate_tokens({&ids}, text_.pad_id(), data_.concepts.max_tokens);
  }

  const TaskModel& model_;
  const DataOptions& data_;
  SampleText text_;
  std::shared_ptr<const PictureFeed> feed_;
  ConceptsFrom from_;
  std::optional<ConceptFinder> finder_;
};

}  // namespace

void require_pairs_of_one(const LoadedModel& loaded, const std::string& where) {
  const std::int64_t images = loaded.vicha().options().fusion.images;
  if (images == 1) return;
  throw DataError(
      where,
      fmt::format("is a model of the task '{}' that reads {} pictures with a text (model.fusion.images), and "
                  "retrieval shows it one",
                  loaded.recipe->task, images),
      "Take a model that reads one, such as the one that this one was started from");
}

void warn_of_untaught_matching(const LoadedModel& loaded, const std::string& where, const std::string& remedy) {
  const auto& entries = loaded.parts->objectives().entries();
  const auto matching = std::ranges::find(entries, "itm", &ObjectiveSet::Entry::name);
  if (matching == entries.end() || matching->enabled) return;
  log::warning(
      "{}: matching was not among what this model learnt (itm.enabled = false), and unless it started from a model "
      "that had learnt it, its head ranks at random: {}",
      where, remedy);
}

Predictor rank_input(LoadedModel& loaded, const PredictCommand& command) {
  return [ranker = std::make_shared<Ranker>(loaded, command)](const PredictRequest& request) {
    return (*ranker)(request);
  };
}

}  // namespace vicha

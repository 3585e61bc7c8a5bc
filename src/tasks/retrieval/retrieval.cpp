#include "tasks/retrieval/retrieval.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/log.h"
#include "models/pair_scorer.h"
#include "tasks/retrieval/score_gate.h"

namespace vicha {
namespace {

using Right = std::vector<std::vector<std::int64_t>>;
using OrderedJson = nlohmann::ordered_json;

/// Chance that one of `right` of `all` candidates is among `k` drawn without looking, percent.
double chance_at(std::int64_t right, std::int64_t all, std::int64_t k) {
  double none = 1.0;
  for (std::int64_t i = 0; i < std::min(k, all); ++i) {
    none *= std::max(0.0, static_cast<double>(all - right - i) / static_cast<double>(all - i));
  }
  return 100.0 * (1.0 - none);
}

Recalls chance(const Right& right, std::int64_t candidates) {
  Recalls sum;
  for (const auto& r : right) {
    const auto n = static_cast<std::int64_t>(r.size());
    sum.r1 += chance_at(n, candidates, 1);
    sum.r5 += chance_at(n, candidates, 5);
    sum.r10 += chance_at(n, candidates, 10);
  }
  const double scale = 1.0 / static_cast<double>(std::max<std::size_t>(1, right.size()));
  return {sum.r1 * scale, sum.r5 * scale, sum.r10 * scale};
}

OrderedJson json_of(const Recalls& r) {
  const auto rounded = [](double x) { return std::round(x * 1000) / 1000; };
  return {{"r1", rounded(r.r1)}, {"r5", rounded(r.r5)}, {"r10", rounded(r.r10)}};
}

OrderedJson json_of(const std::vector<RetrievalExample>& examples) {
  OrderedJson list = OrderedJson::array();
  for (const RetrievalExample& e : examples) {
    list.push_back({{"query", e.query}, {"best", e.best}, {"right", e.right}, {"rank", e.rank}});
  }
  return list;
}

/// The batches of an evaluation once more, read ahead as long as they are read in order.
class ReadAgain {
 public:
  ReadAgain(std::shared_ptr<const EvaluationSet> set, std::int64_t batch_size)
      : set_(std::move(set)), batch_size_(batch_size) {}

  ScoredImages operator()(std::int64_t first, std::int64_t count) {
    if (!images_ || first != next_) images_.emplace(set_, batch_size_, first);
    next_ = first + count;
    std::optional<Batch> batch = images_->next();
    VICHA_ASSERT(batch && batch->image.size(0) == count);
    return {batch->image, batch->concepts};
  }

 private:
  std::shared_ptr<const EvaluationSet> set_;
  std::int64_t batch_size_, next_ = 0;
  std::optional<EvaluationImages> images_;
};

/// The queries' best answers by the scores; ties by the lower index, as the metrics rank.
template <class NameQuery, class NameAnswer>
std::vector<RetrievalExample> examples_of(const at::Tensor& scores, const Right& right, std::int64_t count,
                                          const NameQuery& query, const NameAnswer& answer) {
  constexpr std::int64_t kShown = 5;
  std::vector<RetrievalExample> result;
  const std::int64_t rows = scores.size(0);
  for (std::int64_t e = 0; e < std::min(count, rows); ++e) {
    const std::int64_t row = e * rows / std::min(count, rows);
    const at::Tensor order = scores[row].argsort(/*stable=*/true, -1, /*descending=*/true);
    const std::int64_t* p = order.data_ptr<std::int64_t>();
    RetrievalExample example;
    example.query = query(row);
    for (std::int64_t i = 0; i < std::min(kShown, order.numel()); ++i) example.best.push_back(answer(p[i]));
    example.rank = order.numel();
    for (const std::int64_t r : right[static_cast<std::size_t>(row)]) {
      example.right.push_back(answer(r));
      example.rank = std::min<std::int64_t>(example.rank, std::find(p, p + order.numel(), r) - p + 1);
    }
    result.push_back(std::move(example));
  }
  return result;
}

/// Which captions belong to each image of a set, and which image to each caption.
struct RightAnswers {
  Right texts_of, images_of;

  explicit RightAnswers(const EvaluationSet& set) : texts_of(static_cast<std::size_t>(set.image_count())) {
    for (std::int64_t t = 0; t < set.caption_count(); ++t) {
      const std::int64_t image = set.caption_images()[static_cast<std::size_t>(t)];
      texts_of[static_cast<std::size_t>(image)].push_back(t);
      images_of.push_back({image});
    }
  }
};

void add_examples(const EvaluationSet& set, const RightAnswers& right, const at::Tensor& i2t, const at::Tensor& t2i,
                  std::int64_t count, RetrievalResult& result) {
  const auto path = [&](std::int64_t i) { return std::string(set.image_path(i)); };
  const auto caption = [&](std::int64_t t) { return std::string(set.caption(t)); };
  result.text_queries = examples_of(t2i, right.images_of, count, caption, path);
  result.image_queries = examples_of(i2t, right.texts_of, count, path, caption);
}

std::string row(std::string_view name, const Recalls& t2i, const Recalls& i2t) {
  return fmt::format("{:<22}{:>8.2f}{:>8.2f}{:>8.2f}   {:>8.2f}{:>8.2f}{:>8.2f}\n", name, t2i.r1, t2i.r5, t2i.r10,
                     i2t.r1, i2t.r5, i2t.r10);
}

}  // namespace

nlohmann::ordered_json json_of(const RetrievalMetrics& m) {
  return {{"text_to_image", json_of(m.image)}, {"image_to_text", json_of(m.text)}};
}

RetrievalResult evaluate_retrieval(const TaskModel& model, std::shared_ptr<const EvaluationSet> set,
                                   const RetrievalOptions& options, std::string_view name, const Group& group) {
  const at::NoGradGuard guard;
  const auto start = std::chrono::steady_clock::now();
  ReadAgain again(set, options.batch_size);
  const std::int64_t bytes = options.k_test > 0 ? options.memory_mib << 20 : 0;
  PairScorer scorer(model.vicha(), model.match_head(), {.bytes = bytes, .again = std::ref(again)}, group);
  {
    EvaluationImages images(set, options.batch_size);
    while (const std::optional<Batch> batch = images.next()) scorer.add_images(batch->image, batch->concepts);
  }
  const std::int64_t texts_at_once = 4 * options.batch_size;
  for (std::int64_t i = 0; i < set->caption_count(); i += texts_at_once) {
    scorer.add_texts(set->captions(i, std::min(texts_at_once, set->caption_count() - i)));
  }
  const at::Tensor sims = scorer.similarities().cpu();
  const ScoreGate gate(*set, name);
  gate.require_meaning(sims);
  RetrievalResult result = contrast_retrieval(*set, sims, options.k_test > 0 ? 0 : options.examples);
  if (options.k_test > 0) {
    const PairScorer::Scores scores = scorer.rerank(options.k_test, options.match_weight);
    for (const at::Tensor* one : {&scores.i2t, &scores.joint_i2t}) gate.require_finite(*one);
    for (const at::Tensor* one : {&scores.t2i, &scores.joint_t2i}) gate.require_finite(one->t());
    const RightAnswers right(*set);
    result.matching = retrieval_metrics(scores.i2t, scores.t2i, right.texts_of, right.images_of);
    result.joint = retrieval_metrics(scores.joint_i2t, scores.joint_t2i, right.texts_of, right.images_of);
    result.ranking = name_of(kRankingNames, options.ranking);
    const bool joint = options.ranking == Ranking::kJoint;
    result.reranked = joint ? result.joint : result.matching;
    result.pairs = scores.pairs;
    add_examples(*set, right, joint ? scores.joint_i2t : scores.i2t, joint ? scores.joint_t2i : scores.t2i,
                 options.examples, result);
  }
  result.k_test = options.k_test;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

RetrievalResult contrast_retrieval(const EvaluationSet& set, const at::Tensor& sims, std::int64_t examples) {
  const auto start = std::chrono::steady_clock::now();
  const RightAnswers right(set);
  const at::Tensor t2i = sims.t().contiguous();
  RetrievalResult result;
  result.images = set.image_count();
  result.captions = set.caption_count();
  result.itc = retrieval_metrics(sims, t2i, right.texts_of, right.images_of);
  result.reranked = result.itc;
  result.ranking = "contrast";
  result.chance = {chance(right.texts_of, result.captions), chance(right.images_of, result.images)};
  add_examples(set, right, sims, t2i, examples, result);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

nlohmann::ordered_json figures_along(const RetrievalResult& result) {
  OrderedJson json;
  const auto whole = OrderedJson::parse(result.to_json());
  for (const char* key : {"text_to_image", "image_to_text", "itc", "ranking", "k_test", "images", "captions"})
    json[key] = whole.at(key);
  return json;
}

std::string RetrievalResult::to_json() const {
  OrderedJson json = json_of(reranked);
  json["chance"] = json_of(chance);
  json["itc"] = json_of(itc);
  if (k_test > 0) {
    json["matching"] = json_of(matching);
    json["joint"] = json_of(joint);
  }
  json["ranking"] = ranking;
  json["images"] = images;
  json["captions"] = captions;
  json["k_test"] = k_test;
  json["pairs"] = pairs;
  json["seconds"] = std::round(seconds * 100) / 100;
  json["text_queries"] = json_of(text_queries);
  json["image_queries"] = json_of(image_queries);
  return json_text(json, 1);
}

std::string RetrievalResult::to_table() const {
  std::string text = fmt::format("{:<22}{:^24}   {:^24}\n{:<22}{:>8}{:>8}{:>8}   {:>8}{:>8}{:>8}\n", "",
                                 "text -> image", "image -> text", "", "R@1", "R@5", "R@10", "R@1", "R@5", "R@10");
  if (k_test > 0) text += row(fmt::format("matching of {} best", k_test), matching.image, matching.text);
  text += row("contrast alone", itc.image, itc.text);
  if (k_test > 0) text += row("contrast and matching", joint.image, joint.text);
  text += row("chance", chance.image, chance.text);
  return text + fmt::format("{} pictures, {} captions, {:.1f} s\n", images, captions, seconds);
}

void RetrievalOptions::describe(Visitor& v) {
  v.field({"k_test", "candidates", "Candidates that are matched; 0: contrast alone", 0, 1e9}, k_test);
  v.choice({"ranking", "", "What orders them: matching (the paper's) or joint, with contrast"}, ranking, kRankingNames);
  v.field({"match_weight", "", "Of matching's log-odds beside the contrast's, in ranking = joint", 0, 100},
          match_weight);
  v.field({"batch_size", "pictures", "Pictures encoded at once", 1, 1e6}, batch_size);
  v.field({"examples", "queries", "Queries of each direction that are kept for a report", 0, 1e6}, examples);
  v.field({"memory_mib", "MiB", "Memory for encoded pictures; what does not fit is encoded again, with the same result",
           0, 1 << 24},
          memory_mib);
  v.field({"image_store", "", "Of an aligned model: store that holds the features of the set's pictures"}, image_store);
  v.field({"text_store", "", "Of an aligned model: store that holds those of its captions"}, text_store);
}

}  // namespace vicha

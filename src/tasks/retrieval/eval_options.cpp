#include "tasks/retrieval/eval_options.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "tasks/concepts/concept_finder.h"
#include "tasks/host/evaluation_record.h"
#include "tasks/host/stored_pictures.h"
#include "tasks/retrieval/retrieval.h"
#include "train/checkpoint_folder.h"

namespace vicha {

void EvalOptions::describe(Visitor& v) {
  v.field({"manifest", "", "Retrieval set that is evaluated at each checkpoint; empty: none"}, manifest);
  v.field({"k_test", "candidates", "Best candidates of each query that are matched and re-ranked", 0, 1e9}, k_test);
  v.choice({.key = "ranking",
            .meaning = "What orders them: matching alone, as the paper, or the product of its odds and the contrast's "
                       "probability"},
           ranking, kRankingNames);
  v.field(
      {"match_weight", "",
       "What the log-odds of matching are multiplied with in ranking = joint, and by search: below 1 where matching "
       "is surer than it should be, as on pictures of a kind that it has not learnt from (choose it on held-out "
       "ones)",
       0, 100},
      match_weight);
  v.field({"batch_size", "pictures", "Pictures encoded at once", 1, 1e6}, batch_size);
}

std::vector<std::string> EvalOptions::settings() const {
  return {fmt::format("k_test={}", k_test), fmt::format("ranking={}", name_of(kRankingNames, ranking)),
          fmt::format("match_weight={}", match_weight), fmt::format("batch_size={}", batch_size)};
}

namespace {

std::shared_ptr<const EvaluationSet> load_along(const EvalOptions& options, DataOptions data,
                                                const TrainingSetup& setup) {
  data.manifests = {options.manifest};
  const auto set = ConceptFinder(setup.kit, "the training set",
                                 {.cache = run_image_cache(setup.out), .tower = {.device = setup.device}})
                       .load(data, setup.tokenizer);
  if (setup.tower) {
    set->set_features(evaluation_features(
        set->manifest(),
        {.data = data, .tower = *setup.tower, .device = setup.device, .cache = run_feature_cache(setup.out)}));
  }
  return set;
}

}  // namespace

std::function<double(std::int64_t)> retrieval_along(const EvalOptions& options, const DataOptions& data,
                                                    const TrainingSetup& setup) {
  if (options.manifest.empty()) return [](std::int64_t) { return 0.0; };
  std::shared_ptr<const EvaluationSet> set;
  // The writer embeds what has to be embedded; the others find it in the cache.
  if (setup.group.is_writer()) set = load_along(options, data, setup);
  setup.group.barrier();
  if (!set) set = load_along(options, data, setup);
  return [options, set, out = setup.out, &model = setup.model, &group = setup.group](std::int64_t step) {
    const RetrievalResult r = evaluate_retrieval(
        model, set,
        {.k_test = options.k_test, .ranking = options.ranking, .batch_size = options.batch_size, .examples = 0},
        checkpoint_path(out, step).string(), group);
    if (!group.is_writer()) return r.reranked.mean();
    record_evaluation(out, step, options.manifest, figures_along(r));
    log::info("step {}: {}: text -> image R@1/5/10 {:.1f} {:.1f} {:.1f} (contrast alone {:.1f} {:.1f} {:.1f})", step,
              options.manifest, r.reranked.image.r1, r.reranked.image.r5, r.reranked.image.r10, r.itc.image.r1,
              r.itc.image.r5, r.itc.image.r10);
    return r.reranked.mean();
  };
}

}  // namespace vicha

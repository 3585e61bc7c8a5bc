// Retrieval of a model on a manifest, zero-shot or fine-tuned: `vicha eval retrieval`.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/pipeline/evaluation.h"
#include "metrics/recall.h"
#include "tasks/host/task_kind.h"
#include "tasks/retrieval/ranking.h"

namespace vicha {

/// One query of the gallery: the query, what ranked best, what would have been right.
struct RetrievalExample {
  std::string query;              ///< caption, or path of the image
  std::vector<std::string> best;  ///< paths of images, or captions, best first
  std::vector<std::string> right;
  std::int64_t rank = 0;  ///< rank of the best-ranked right answer, from 1
};

struct RetrievalResult {
  std::int64_t images = 0, captions = 0, k_test = 0, pairs = 0;
  std::string ranking;        ///< name of RetrievalOptions::ranking, or "contrast" if nothing was matched
  RetrievalMetrics reranked;  ///< by that ranking
  RetrievalMetrics itc;       ///< the two towers alone
  RetrievalMetrics matching;  ///< the paper's evaluation: ITC, then ITM of the k best
  RetrievalMetrics joint;     ///< both together, PairScorer::Scores::joint_i2t
  RetrievalMetrics chance;
  double seconds = 0;
  std::vector<RetrievalExample> text_queries, image_queries;

  /// {"text_to_image": {"r1", "r5", "r10"}, "image_to_text": …, "chance": …, "itc": …, "matching": …, "joint": …, …},
  /// percent; first by the chosen ranking, then by each.
  std::string to_json() const;
  std::string to_table() const;
};

/// {"text_to_image": {"r1", "r5", "r10"}, "image_to_text": …}, to a thousandth.
nlohmann::ordered_json json_of(const RetrievalMetrics& metrics);

struct RetrievalOptions {
  std::int64_t k_test = 256;             ///< best candidates that are matched; 0: ITC alone decides
  Ranking ranking = Ranking::kMatching;  ///< what orders them
  double match_weight = 1.0;             ///< of matching's log-odds beside the contrast's, in Ranking::kJoint
  std::int64_t batch_size = 64;          ///< images encoded together
  std::int64_t examples = 12;            ///< queries of each direction kept for a gallery, spread evenly over the set
  std::int64_t memory_mib = 2048;  ///< for the images' states; what does not fit is encoded twice, to the same result
  /// Of models that stand on towers (`vicha align`): stores that hold the set's features already.
  std::string image_store = {}, text_store = {};

  void describe(Visitor& v);
};

/// By the similarities of images and captions alone, (I, T) in the set's order: no candidate is matched.
RetrievalResult contrast_retrieval(const EvaluationSet& set, const at::Tensor& similarities_IT, std::int64_t examples);
/// What a line of RUN/evaluations.jsonl keeps of a result.
nlohmann::ordered_json figures_along(const RetrievalResult& result);

/// Evaluates on all images and captions of the set; the ranks of a group match a share of the pairs each, and all have
/// the result. `name`: of the model, for messages. Throws DataError naming it, picture and caption for a score that is
/// not finite and for an embedding that is zero (its projection overflows, or is zero itself): rankings by them would
/// say nothing. Warns where the scores do not depend on the picture.
RetrievalResult evaluate_retrieval(const TaskModel& model, std::shared_ptr<const EvaluationSet> set,
                                   const RetrievalOptions& options, std::string_view name = "the model",
                                   const Group& group = Group::alone());

/// "retrieval": fine-tuned as its recipe says, or zero-shot, from any checkpoint.
TaskKind retrieval_kind();

}  // namespace vicha

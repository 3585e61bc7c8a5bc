// Scores of image–text pairs, in two stages: cosine of the two towers for all pairs, image–text matching for the best
// of each query. I images, X texts, k the number of candidates that are matched.
#pragma once

#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "distributed/group.h"
#include "models/vicha.h"

namespace vicha {

/// (n, 3, R, R), or features (n, N, P), and their concepts (undefined where the model has none).
struct ScoredImages {
  at::Tensor image;
  Tokens concepts;
};

/// How much a scorer remembers of its images. States that do not fit are made again where their pairs are scored, in
/// the batches in which the images came, so that every number is the same.
struct ImageMemory {
  std::int64_t bytes = std::numeric_limits<std::int64_t>::max();
  /// The batch of `count` images that starts with image `first`. `rerank` calls it in ascending order.
  std::function<ScoredImages(std::int64_t first, std::int64_t count)> again = {};
};

/// Holds the states of a set of images and texts and scores pairs of them; evaluation mode, no gradient.
class PairScorer {
 public:
  /// `match_head` (2, D_text): the matching objective's, "no match" and "match". In a group every rank holds all images
  /// and texts, and `rerank` matches a share of the pairs on each. Throws UsageError for a model that reads several
  /// images with a text.
  PairScorer(const Vicha& model, const Linear& match_head, ImageMemory memory = {},
             const Group& group = Group::alone());

  /// Appended in order.
  void add_images(const at::Tensor& image, const Tokens& concepts);
  void add_texts(const Tokens& texts);

  std::int64_t images() const { return image_count_; }
  std::int64_t texts() const { return static_cast<std::int64_t>(text_lengths_.size()); }

  /// Cosine of all pairs, without temperature: (I, X).
  at::Tensor similarities() const;

  struct Scores {
    at::Tensor i2t;  ///< (I, X): matching logit of the k best texts of each image, -100 elsewhere
    at::Tensor t2i;  ///< (X, I)
    /// Contrast and matching together: cosine over temperature, and for the k best the log-odds of matching on top; the
    /// others follow in the order of their cosine. Matching learns from negatives drawn by the softmax of that very
    /// cosine, so its odds are those that contrast leaves open, and the product of both is the posterior. Matching that
    /// is surer than it should be, as on pictures of a kind that it has not learnt from, is given a weight below 1.
    at::Tensor joint_i2t;    ///< (I, X)
    at::Tensor joint_t2i;    ///< (X, I)
    std::int64_t pairs = 0;  ///< pairs of both directions, as if each were scored on its own
  };
  /// `k_test` is cut to the number there is. An image's keys and values are made once and read by all of its pairs of
  /// both directions; a pair in both is scored once; the first fusion layer's self-attention, which does not see the
  /// image (unless fusion is joint, or words and patches are compared before it), once per text; the last fusion layer
  /// runs at [CLS] only. `match_weight`: what the log-odds of matching are multiplied with in joint scores.
  Scores rerank(std::int64_t k_test, double match_weight = 1.0) const;

  /// Logits of pairs (image, text) in the given order: (n, 2), of "no match" and "match".
  at::Tensor match(const std::vector<std::pair<std::int64_t, std::int64_t>>& pairs) const;

 private:
  struct Block {
    std::int64_t first, count;
    at::Tensor states;  ///< ImageStates::fusion_rows (count, S, D_image); undefined where there was no room
  };
  ImageStates encode(const ScoredImages& images) const;
  at::Tensor match_shared(const std::vector<std::pair<std::int64_t, std::int64_t>>& pairs) const;
  at::Tensor states_of(std::int64_t image) const;

  const Vicha& model_;
  const Linear& match_head_;
  ImageMemory memory_;
  const Group& group_;
  std::int64_t image_count_ = 0, tokens_ = 0, bytes_ = 0;
  std::vector<Block> blocks_;
  std::vector<std::int64_t> block_of_;      ///< of each image
  std::vector<std::int64_t> image_tokens_;  ///< real tokens of each image
  mutable Block made_again_{-1, 0, {}};     ///< the last one
  std::vector<at::Tensor> image_feats_, text_feats_;
  std::vector<at::Tensor> attended_;  ///< texts as the fusion takes them: after its first self-attention where it may
  std::vector<std::int64_t> text_lengths_, text_begin_;
  mutable at::Tensor attended_all_;
};

}  // namespace vicha

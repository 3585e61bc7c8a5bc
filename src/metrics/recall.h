// Recall at k of rankings, from matrices of scores. I images, X texts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace vicha {

/// R@1, R@5, R@10 in percent.
struct Recalls {
  double r1 = 0, r5 = 0, r10 = 0;
  double mean() const { return (r1 + r5 + r10) / 3; }
};
struct RetrievalMetrics {
  Recalls text;   ///< pictures ask for texts (image -> text)
  Recalls image;  ///< texts ask for pictures (text -> image)
  double mean() const { return (text.mean() + image.mean()) / 2; }
};

/// The measures in the order in which tables show them.
struct NamedRecall {
  const char* name;
  double Recalls::*value;
};
inline constexpr NamedRecall kNamedRecalls[] = {{"R@1", &Recalls::r1}, {"R@5", &Recalls::r5}, {"R@10", &Recalls::r10}};
/// Calls `visit(way, value)` for the six in the order of a table's columns: texts ask first, then pictures.
template <typename Visit>
void for_each_recall(Visit&& visit) {
  for (const auto way : {&RetrievalMetrics::image, &RetrievalMetrics::text}) {
    for (const NamedRecall& recall : kNamedRecalls) visit(way, recall.value);
  }
}

/// Rank = place in a stable descending order, lower index first; a picture counts its best-ranked text. `texts_of[i]`:
/// the texts of picture i (not empty), `image_of[t]`: the picture of text t. Throws DataError naming row and column of
/// the first score that is not finite.
RetrievalMetrics retrieval_metrics(const at::Tensor& i2t, const at::Tensor& t2i,
                                   const std::vector<std::vector<std::int64_t>>& texts_of,
                                   const std::vector<std::int64_t>& image_of);
/// As above where a text may have several right pictures: the best-ranked one counts.
RetrievalMetrics retrieval_metrics(const at::Tensor& i2t, const at::Tensor& t2i,
                                   const std::vector<std::vector<std::int64_t>>& texts_of,
                                   const std::vector<std::vector<std::int64_t>>& images_of);

}  // namespace vicha

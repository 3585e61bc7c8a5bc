// Words for a picture from the captions of those like it: the nearest pictures of a store of features, each counting by
// its likeness. Likeness is the cosine of features less their mean over the store's pictures of the table.
// n pictures that ask, D numbers of a feature.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "concepts/kit/concept_kit.h"
#include "concepts/store/store.h"

namespace vicha {

/// A picture that asks.
struct NeighbourQuery {
  std::string_view key = {};  ///< its name, if it may be one of the table's
  std::uint64_t content = 0;  ///< hash of its file; 0: not known
  std::int32_t group = -1;    ///< whose pictures are not asked; -1: none
};

class NeighbourFinder {
 public:
  /// `kit` must have neighbours; `store` holds the features of its table's pictures (the first vector of each record).
  /// Throws DataError if it is of another tower, lacks a picture, or holds another one under a name; memory: the
  /// features in fp32.
  NeighbourFinder(const ConceptKit& kit, const std::filesystem::path& store);

  const ConceptKit& kit() const { return kit_; }

  /// Features of pictures (n, D) -> words, best first, with their scores: the share of the neighbours' likeness whose
  /// captions name the word. A picture is never its own neighbour: not one of the same file (or, where that is not
  /// known, of the same name). Exact, and the same whatever else is asked at the time.
  std::vector<ImageConcepts> find(const at::Tensor& features_nD, std::span<const NeighbourQuery> queries) const;

 private:
  struct Near {
    std::int64_t picture;
    double cosine;
  };
  std::vector<std::vector<Near>> nearest(const at::Tensor& unit_qD, std::span<const NeighbourQuery> queries) const;
  void leave_out(const NeighbourQuery& query, float* similarities) const;
  ImageConcepts words_of(std::span<const Near> near) const;

  ConceptKit kit_;
  at::Tensor mean_D_, unit_ND_;
  std::unordered_multimap<std::uint64_t, std::int64_t> of_content_;
  std::unordered_map<std::string_view, std::int64_t> of_key_;
  std::vector<std::vector<std::int64_t>> of_group_;
};

}  // namespace vicha

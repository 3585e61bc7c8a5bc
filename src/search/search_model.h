// The model of an index: towers that put pictures and words into one space, and matching where a model has learnt it.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "concepts/source/source.h"
#include "tasks/host/concept_options.h"

namespace vicha {

/// Looks at a text and a picture together.
class PictureMatcher {
 public:
  virtual ~PictureMatcher() = default;

  struct Match {
    bool read = false;    ///< whether the file could be read
    double log_odds = 0;  ///< of "match" against "no match"
  };
  /// One a file, in their order.
  virtual std::vector<Match> match(const std::string& text, std::span<const std::filesystem::path> files) = 0;
  /// What a cosine is divided by before log-odds are added to it (models/pair_scorer.h says why they may be).
  virtual double temperature() const = 0;
  /// What log-odds are multiplied with where they are added to it (eval.match_weight of the model's recipe).
  virtual double match_weight() const = 0;
};

struct SearchModel {
  std::string spec;  ///< paths made absolute
  std::unique_ptr<ConceptSource> towers;
  int hash_side = 0;  ///< of the square picture at the beginning of what `prepare` writes, for picture_hash
  PictureMatcher* matcher = nullptr;  ///< part of `towers`; nullptr where the model has none
};

/// `spec`: what open_concept_source takes, or the folder of a run or checkpoint. Of a model that reads concepts, those
/// of each picture are found by the kit that its checkpoint keeps; `concept_source` says where that one's source is
/// now. Throws DataError or UsageError naming what is missing.
SearchModel open_search_model(const std::string& spec, const ConceptSourceOptions& options,
                              const std::string& concept_source = "");

/// Of the model that an index names. Throws DataError naming the index and --model if it is not there any more.
void require_model_of_index(const std::string& spec, const std::filesystem::path& index);

/// The same with paths made absolute, as an index remembers it.
std::string absolute_spec(const std::string& spec);

}  // namespace vicha

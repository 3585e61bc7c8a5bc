// Raw input of `vicha predict`: pictures by path and a text, as a model reads them.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/pipeline/sample_maker.h"
#include "tasks/concepts/concept_finder.h"
#include "tasks/downstream/network/pairs.h"
#include "tasks/host/picture_feed.h"
#include "tasks/host/task_kind.h"

namespace vicha {

class PredictInput {
 public:
  /// `kind`: of the task, whose PredictFields say what an object of input has. `rule`: how its text becomes tokens.
  /// `concept_tokens`: what the concepts are padded to at least; without it as the task's evaluation does (the
  /// checkpoint's ConceptPadding), so that a record gets the answer that it gets there. Opens the tower of a model that
  /// reads features; the source of concepts is opened by the first picture.
  PredictInput(const LoadedModel& loaded, const PredictCommand& command, const TaskKind& kind, const TextRule& rule,
               const std::optional<std::int64_t>& concept_tokens = std::nullopt);

  struct Picture {
    std::filesystem::path file;
    at::Tensor image;                ///< (1, …) as Batch::image, on the model's device
    Tokens concepts;                 ///< one row; undefined where the model reads none
    std::vector<std::string> words;  ///< of the concepts
  };
  struct Item {
    nlohmann::ordered_json json;      ///< the input
    std::vector<Picture> pictures;    ///< one for each of the kind's fields
    std::string text;                 ///< cleaned
    Tokens tokens;                    ///< one row, [CLS] first
    std::vector<std::string> pieces;  ///< the word piece of each token
  };
  /// Of one object. Its words of concepts are found in the picture, unless the object gives them itself ("concepts", a
  /// list, or for several pictures a list of lists), or --concepts none says that there are none. Throws DataError that
  /// names the field and shows what an object should be; also where cleaning leaves nothing of the text.
  Item read(const std::string& input) const;

  /// Throws DataError naming the item if a score of its is NaN or an infinity.
  void require_finite(const Item& item, const at::Tensor& scores) const;

  /// "concepts" for the answer: the words of the picture, or for several a list of each one's; null where the model
  /// reads none.
  nlohmann::ordered_json concepts_of(const Item& item) const;

 private:
  struct Parts;
  std::shared_ptr<Parts> parts_;  // a predictor is copied
};

}  // namespace vicha

// What concepts are padded to where questions are asked, evaluating and predicting alike. A model without
// `model.concepts.mask_padding` attends to the padding, so that its answer to a question would depend on what else
// stands in the set: both pad to the longest list that the model was trained with, which checkpoints keep.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "data/pipeline/evaluation.h"
#include "tasks/host/task_kind.h"

namespace vicha {

inline constexpr const char* kConceptPaddingFile = "concept_padding.json";

class ConceptPadding {
 public:
  /// Of the training set: its longest list, whole.
  explicit ConceptPadding(const TrainingSetup& setup);
  /// Of a checkpoint folder; of one from before this was kept nothing is known. Throws DataError naming the file if it
  /// is damaged.
  explicit ConceptPadding(const std::filesystem::path& checkpoint);

  /// In tokens, [CLS] included; 0 where it is not known, or where nothing depends on it.
  std::int64_t tokens() const { return tokens_; }
  /// Of a set of questions: texts are packed, concepts padded to that, or to the longest of the set if it is longer.
  EvaluationPadding of_set() const;
  /// What a checkpoint keeps of it.
  std::vector<std::pair<std::string, std::string>> files() const;

 private:
  std::int64_t tokens_ = 0;
};

}  // namespace vicha

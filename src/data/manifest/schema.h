// What every record of a manifest must or may have beside its image. A task declares it and reads the columns by
// type:
//
//   Schema schema{.caption = false, .columns = {{.field = "question", .type = ColumnType::kText},
//                                               {.field = "answer", .type = ColumnType::kAnswers, .beside =
//                                               "weight"}}};
//   const Manifest manifest = Manifest::load(files, {.schema = schema});
//   const auto& questions = manifest.column<TextColumn>("question");                        // data/manifest/column.h
//   questions[7];
#pragma once

#include <string>
#include <vector>

namespace vicha {

enum class ColumnType {
  kImage,    ///< a file, found by the rules that hold for `image`
  kText,     ///< a string
  kAnswers,  ///< a string or a list of strings, with weights
  kLabel,    ///< a class: an integer from 0, or one of `values`
  kBox,      ///< [x, y, width, height]
  kBoxes,    ///< a list of such boxes, perhaps with scores
  kId,       ///< a string or an integer
};

struct ColumnSpec {
  std::string field;
  ColumnType type = ColumnType::kText;
  bool required = true;  ///< whether a record without the field is wrong
  /// Field of the answers' weights (kAnswers) or of the boxes' scores (kBoxes), a list of numbers in the same order.
  /// Records may lack it.
  std::string beside = {};
  std::vector<std::string> values = {};  ///< names of the classes (kLabel), in the order of their numbers
};

/// `image` must always be there.
struct Schema {
  bool caption = true;
  bool concepts = false;  ///< `kwords`; may be an empty list
  bool image_id = false;
  std::vector<ColumnSpec> columns = {};
};

}  // namespace vicha

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

#include <cstdint>
#include <string>
#include <vector>

namespace vicha {

enum class ColumnType {
  kImage,    ///< a file, found by the rules that hold for `image`; perhaps with concepts of its own
  kText,     ///< a string
  kAnswers,  ///< a string or a list of strings, with weights
  kLabel,    ///< a class: an integer from 0, or one of `values`
  kBox,      ///< [x, y, width, height]
  kBoxes,    ///< a list of such boxes, perhaps with scores
  kId,       ///< a string or an integer
  kTags,     ///< a list of strings, each of which may be null
};

struct ColumnSpec {
  std::string field;
  ColumnType type = ColumnType::kText;
  bool required = true;  ///< whether a record without the field is wrong
  /// Field of the answers' weights (kAnswers) or of the boxes' scores (kBoxes), a list of numbers in the same order;
  /// records may lack it. Or of the picture's concepts (kImage), a list of strings, which records must have where
  /// concepts are read.
  std::string beside = {};
  std::vector<std::string> values = {};    ///< names of the classes (kLabel), in the order of their numbers
  std::vector<std::string> left_out = {};  ///< names (kLabel) that say that a record is of no class: it is left out
};

/// How a text is cleaned before it becomes tokens (text/cleaning/caption.h).
enum class TextCleaning { kCaption, kQuestion };

/// Which text of a record a model reads, and how it becomes tokens. The task decides, not the recipe: its models were
/// trained so.
struct TextRule {
  std::string field = {};  ///< a column of texts; "": the captions
  TextCleaning cleaning = TextCleaning::kCaption;
  /// Where it is cut, [CLS] included; 0: as data.max_words and data.max_tokens say. Texts that are not cut give the
  /// most positions that the model has.
  std::int64_t max_words = 0, max_tokens = 0;
};

/// `image` must always be there.
struct Schema {
  bool caption = true;
  bool concepts = false;  ///< `kwords`; may be an empty list
  bool image_id = false;
  std::vector<ColumnSpec> columns = {};
  TextRule text = {};

  /// Whether records have a text that models read.
  bool has_text() const { return caption || !text.field.empty(); }
};

}  // namespace vicha

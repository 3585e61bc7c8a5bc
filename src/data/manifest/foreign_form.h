// Files that are given as manifests and are something else, told by their content: tables, archives, COCO's and
// Karpathy's JSON, and what to do with each.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace vicha {

struct ForeignForm {
  std::string what;    ///< the end of a sentence that begins with the file's name
  std::string remedy;  ///< a sentence
  bool table = false;  ///< CSV or TSV
};

/// Nothing for what begins as a manifest does, and for what nothing is known of. `head`: the file's first bytes, at
/// least as many as a line. A file that begins with "{" is read further, up to some MiB, unless its first object names
/// a picture.
std::optional<ForeignForm> foreign_form(const std::filesystem::path& file, std::string_view head);

/// Forms of data sets that are one JSON object, which `vicha data convert` makes manifests of.
enum class ObjectForm {
  kNone,            ///< a record, or nothing that is known
  kCoco,            ///< {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}
  kCocoOther,       ///< the same without captions: boxes, key points
  kVqaQuestions,    ///< {"questions": [{"image_id", "question", "question_id"}]}
  kVqaAnnotations,  ///< {"annotations": [{"question_id", "answers"}]}
  kMdetr,           ///< {"images": [{"file_name", "caption", "tokens_negative"}], "annotations": [{"bbox"}]}
  kKarpathy,        ///< {"images": [{"filename", "sentences": [{"raw"}], "split"}]}
  kNamedList,       ///< {"data": [{"image", "caption"}]}
  kRecordsByKey,    ///< {"1": {"image", "caption"}}
  kCaptionsByName,  ///< {"a.png": ["a red car"]}
  kColumns,         ///< {"image": ["a.png"], "caption": ["a red car"]}, or objects in place of the lists
};

/// As much as `object_form` needs of a large file, bytes.
inline constexpr std::size_t kMostSketched = std::size_t{4} << 20;
/// Of a text that begins with "{", perhaps cut short; `whole` if it is not. White space in front is passed over.
ObjectForm object_form(std::string_view text, bool whole);

/// Whether a name ends as pictures' files do (".jpg").
bool is_picture_name(std::string_view name);

}  // namespace vicha

// Data sets in other forms made into manifests: `vicha data convert`. COCO's and Karpathy's JSON, other JSON objects,
// lists and lines whose fields have other names, tables (CSV, TSV); and the official downloads of Flickr30K, Visual
// Genome, SBU, Conceptual Captions, VQA v2, NLVR2, SNLI-VE and RefCOCO, each as its authors publish it.
//
// Names of pictures stay as they are, so they start at the new manifest's folder, or at the image root that is set
// where it is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/choice.h"

namespace vicha {

enum class SetForm {
  kRecords,
  kCoco,
  kKarpathy,
  kObject,
  kCsv,
  kTsv,
  kFlickr,           ///< Flickr30K's results_20130124.token ("a.jpg#0", tab, caption) or results.csv
  kPairs,            ///< [[path, caption]], as SBU is passed on
  kSbu,              ///< SBU's list of addresses, its captions in a second file, line by line
  kLinks,            ///< a table of captions and addresses: Conceptual Captions
  kGenomeRegions,    ///< Visual Genome's region_descriptions.json; image_data.json may be the second file
  kGenomeQuestions,  ///< its question_answers.json, likewise
  kVqa,              ///< VQA v2's questions; its annotations are the second file
  kNlvr2,            ///< NLVR2's JSON lines
  kSnliVe,           ///< SNLI-VE's JSON lines
  kRefer,            ///< RefCOCO's, RefCOCO+'s or RefCOCOg's refs(…).p; instances.json is the second file
  kMdetr,            ///< the same sets in COCO's form, an expression as `caption` of each of the `images`
};

inline constexpr Choice<SetForm> kSetFormNames[] = {{"records", SetForm::kRecords},
                                                    {"coco", SetForm::kCoco},
                                                    {"karpathy", SetForm::kKarpathy},
                                                    {"object", SetForm::kObject},
                                                    {"csv", SetForm::kCsv},
                                                    {"tsv", SetForm::kTsv},
                                                    {"flickr", SetForm::kFlickr},
                                                    {"pairs", SetForm::kPairs},
                                                    {"sbu", SetForm::kSbu},
                                                    {"links", SetForm::kLinks},
                                                    {"vg-regions", SetForm::kGenomeRegions},
                                                    {"vg-qa", SetForm::kGenomeQuestions},
                                                    {"vqa", SetForm::kVqa},
                                                    {"nlvr2", SetForm::kNlvr2},
                                                    {"snli-ve", SetForm::kSnliVe},
                                                    {"refer", SetForm::kRefer},
                                                    {"mdetr", SetForm::kMdetr}};

struct ConvertOptions {
  std::optional<SetForm> form = {};      ///< none: told by the content
  std::vector<std::string> splits = {};  ///< those to take: of Karpathy's `split`, or of the field `split_field`
  std::string split_field = "split";
  std::string folder = {};                 ///< put in front of every picture's name: "val2014"
  std::string image = {};                  ///< field or column of the picture's name; empty: a usual one that is there
  std::vector<std::string> captions = {};  ///< of the captions, several make a list; empty: as above
  std::string id = {};    ///< of image_id; empty: `image_id` where it is there, in COCO the picture's id
  char delimiter = '\0';  ///< of a table; 0: tab, comma, semicolon or bar, whichever its first line has
  bool header = true;     ///< whether a table's first row names its columns
  bool quotes = true;     ///< whether quotation marks enclose cells of a table; otherwise they are text
  /// The set's second file: VQA's annotations, Visual Genome's image_data.json, SBU's captions, RefCOCO's
  /// instances.json.
  std::filesystem::path with = {};
  /// How pictures are called of which the source has addresses alone: `{file}` is the last part of the address, `{row}`
  /// the record's number from 0 (`{row:09}` with zeros in front), `{shard}` that number / 10,000. Empty: {file} of SBU.
  std::string name = {};
  /// Of RefCOCO: boxes of a detector, {image id: [[x, y, width, height, …]]} or a list of {"image_id", "bbox"}.
  std::filesystem::path boxes = {};
  std::filesystem::path boxes_out =
      {};  ///< the same by the manifest's names of pictures; empty: `boxes` of each record
};

struct ConvertReport {
  SetForm form = SetForm::kRecords;
  std::int64_t records = 0, captions = 0;  ///< written; tasks' records have no captions
  std::int64_t other_splits = 0;           ///< left out because their split was not asked for
  std::int64_t lost = 0;                   ///< what could not be used, named in `lost_file`
  std::filesystem::path lost_file;
  std::vector<std::string> examples;                         ///< the first of these, "place: why"
  std::vector<std::pair<std::string, std::int64_t>> splits;  ///< that are there, with their numbers of pictures
  std::vector<std::string> fields;                           ///< that were read, "image = filepath"
  std::vector<std::string> notes;                            ///< what else there is to say, a line each
};

/// Writes the manifest `out`, a list or (.jsonl) lines, atomically, and OUT.lost.jsonl where something could not be
/// used. Memory: the file for JSON objects, of a set of two files one of them, otherwise little. Throws DataError where
/// the file is none of these forms, two files do not belong together, fields cannot be told, or nothing could be used;
/// UsageError where options do not fit.
ConvertReport convert_manifest(const std::filesystem::path& in, const std::filesystem::path& out,
                               const ConvertOptions& options = {});

}  // namespace vicha

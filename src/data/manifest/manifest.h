// Manifests in memory: pretraining and retrieval records (docs/design.md; JSON lists or lines), several files one after
// the other.
//
//   Manifest manifest = Manifest::load({"coco.json", "sbu.jsonl"}, {.image_root = "/data", .strip_parts = 4});
//   manifest.image_path(7); manifest.caption(7, 0); manifest.concepts(7);
//
// A record costs 32 bytes beside its strings; images' names, ids and concept words that repeat are kept once.
// Reading needs no more than the result. Everything but loading is const and may be used by many threads.
// What else a task needs of its records (questions, answers, boxes) it declares: data/manifest/schema.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest/column.h"
#include "data/manifest/content_digest.h"
#include "data/manifest/image_paths.h"
#include "data/manifest/manifest_reader.h"
#include "data/manifest/schema.h"
#include "data/manifest/string_pool.h"

namespace vicha {

struct ManifestOptions {
  std::filesystem::path image_root = {};  ///< where relative image names start; empty: the manifest's own folder
  /// Leading parts of every image's name to drop, '/' between them, before image_root is put in front. 4 suits the
  /// released manifests: "/data/somebody/data/coco/x.jpg" (its first part is empty) becomes "coco/x.jpg".
  std::int64_t strip_parts = 0;
  Schema schema = {};
};

class Manifest {
 public:
  /// Throws DataError at the first thing wrong, naming file, record, line, field and remedy.
  static Manifest load(const std::vector<std::filesystem::path>& files, const ManifestOptions& options = {});
  /// Leaves out the records with problems and tells the handler of all of these. Throws only where a file cannot be
  /// read, or what the handler throws.
  static Manifest load(const std::vector<std::filesystem::path>& files, const ManifestOptions& options,
                       const ProblemHandler& on_problem);

  std::int64_t size() const { return static_cast<std::int64_t>(records_.size()); }
  std::int64_t caption_count() const { return captions_; }  ///< of all records
  /// Records that a label of ColumnSpec::left_out has kept out.
  std::int64_t left_out() const { return left_out_; }

  /// The image's file: the manifest's name for it, resolved as ManifestOptions say.
  std::string_view image_path(std::int64_t record) const { return images_[at(record).image]; }
  /// Number of the image's file, 0 … image_count() - 1: equal for records that name the same file.
  std::int64_t image_number(std::int64_t record) const { return at(record).image; }
  std::int64_t image_count() const { return images_.size(); }
  /// 0 … image_id_count() - 1, in the order of first appearance: by the field `image_id`, or where there is none by the
  /// image's file. Equal ids in different files of the list are different images.
  std::int64_t image_id(std::int64_t record) const { return at(record).image_id; }
  std::int64_t image_id_count() const { return image_id_count_; }

  /// The file of a number that image_number or a column of images gives.
  std::string_view image_file(std::int64_t number) const { return images_[static_cast<std::uint32_t>(number)]; }
  /// Numbers of all the record's images: its own, then those of its columns.
  std::vector<std::int64_t> image_numbers(std::int64_t record) const;
  /// Columns of images that the schema has.
  std::size_t further_images() const { return image_columns_.size(); }
  /// Concepts of the image in the i-th of them.
  std::vector<std::string_view> further_concepts(std::int64_t record, std::size_t i) const {
    return image_columns_[i]->concepts(record);
  }

  const Schema& schema() const { return options_.schema; }
  /// A column that the schema has, by its field and the type that reads it: `column<TextColumn>("question")`. Asking
  /// for another is a mistake of ours.
  template <class ColumnOfType>
  const ColumnOfType& column(std::string_view field) const {
    return static_cast<const ColumnOfType&>(find_column(field, ColumnOfType::kType));
  }

  /// None where the schema lets records do without captions.
  std::int64_t caption_count(std::int64_t record) const;
  std::string_view caption(std::int64_t record, std::int64_t which) const;
  std::vector<std::string_view> captions(std::int64_t record) const;
  std::vector<std::string_view> concepts(std::int64_t record) const;

  /// What the files say, one digest each: equal for readings that nobody can tell apart by their records.
  const std::vector<ContentDigest>& digests() const { return digests_; }

  /// The record's text with all its fields, read from the file again: JSON, but for NaN in fields that are not read.
  /// Throws DataError if the file has changed.
  std::string json(std::int64_t record) const;
  /// What it takes in memory.
  std::uint64_t memory_bytes() const {
    std::uint64_t bytes =
        records_.capacity() * sizeof(Record) + arena_.bytes() + images_.memory_bytes() + concept_words_.memory_bytes();
    for (const auto& column : columns_) bytes += column->memory_bytes();
    return bytes;
  }
  /// "train.json, record 12", for messages.
  std::string where(std::int64_t record) const;
  const std::filesystem::path& file(std::int64_t record) const { return source_of(record).path; }
  std::int64_t number_in_file(std::int64_t record) const { return at(record).number; }

 private:
  struct Record {
    std::uint64_t strings;      // offset in arena_: captions, then the numbers of the concepts
    std::uint64_t file_offset;  // of its JSON text
    std::uint32_t file_length;
    std::uint32_t image;  // in images_
    std::uint32_t image_id;
    std::uint32_t number;  // in its file
  };
  struct Source {
    std::filesystem::path path;
    std::int64_t first;  // record
  };

  const Record& at(std::int64_t record) const { return records_[static_cast<std::size_t>(record)]; }
  const Source& source_of(std::int64_t record) const;
  const Column& find_column(std::string_view field, ColumnType type) const;
  /// Tells what is wrong in a column; false if anything is.
  bool read_columns(const ManifestRecord& record, const nlohmann::json& json, const ImagePaths& paths,
                    const ProblemHandler& on_problem);
  void add(const ManifestRecord& record, const std::string& path);
  std::uint32_t image_id_of(const ManifestRecord& record, std::uint32_t image);
  void finish_loading();

  ManifestOptions options_;
  std::vector<Source> files_;
  std::vector<ContentDigest> digests_;
  std::vector<Record> records_;
  std::vector<std::unique_ptr<Column>> columns_;   // in the schema's order
  std::vector<const ImageColumn*> image_columns_;  // of those
  ByteArena arena_;
  StringPool images_, concept_words_;
  // Only while loading: image ids as they are spelled, and the number of each, or of the image where there is none.
  StringPool ids_;
  std::vector<std::uint32_t> number_of_id_, number_of_image_;
  std::int64_t captions_ = 0, image_id_count_ = 0, left_out_ = 0;
};

}  // namespace vicha

// Manifests in memory: pretraining and retrieval records (docs/design.md; JSON lists or lines), several files one after
// the other.
//
//   Manifest manifest = Manifest::load({"coco.json", "sbu.jsonl"}, {.image_root = "/data", .strip_parts = 4});
//   manifest.image_path(7); manifest.caption(7, 0); manifest.concepts(7);
//
// A record costs 32 bytes beside its strings; pictures' names, ids and concept words that repeat are kept once.
// Reading needs no more than the result. Everything but loading is const and may be used by many threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest/manifest_reader.h"
#include "data/manifest/string_pool.h"

namespace vicha {

struct ManifestOptions {
  std::filesystem::path image_root = {};  ///< where relative picture names start; empty: the manifest's own folder
  /// Leading parts of every picture's name to drop, '/' between them, before image_root is put in front. 4 suits the
  /// released manifests: "/data/somebody/data/coco/x.jpg" (its first part is empty) becomes "coco/x.jpg".
  std::int64_t strip_parts = 0;
  ManifestNeeds needs = {};
};

class Manifest {
 public:
  using ProblemHandler = std::function<void(const ManifestProblem&)>;

  /// Throws DataError at the first thing wrong, naming file, record, line, field and remedy.
  static Manifest load(const std::vector<std::filesystem::path>& files, const ManifestOptions& options = {});
  /// Leaves out the records with problems and tells the handler of all of these. Throws only where a file cannot be
  /// read, or what the handler throws.
  static Manifest load(const std::vector<std::filesystem::path>& files, const ManifestOptions& options,
                       const ProblemHandler& on_problem);

  std::int64_t size() const { return static_cast<std::int64_t>(records_.size()); }
  std::int64_t caption_count() const { return captions_; }  ///< of all records

  /// The picture's file: the manifest's name for it, resolved as ManifestOptions say.
  std::string_view image_path(std::int64_t record) const { return images_[at(record).image]; }
  /// Number of the picture's file, 0 … image_count() - 1: equal for records that name the same file.
  std::int64_t image_number(std::int64_t record) const { return at(record).image; }
  std::int64_t image_count() const { return images_.size(); }
  /// 0 … image_id_count() - 1, in the order of first appearance: by the field `image_id`, or where there is none by the
  /// picture's file. Equal ids in different files of the list are different pictures.
  std::int64_t image_id(std::int64_t record) const { return at(record).image_id; }
  std::int64_t image_id_count() const { return image_id_count_; }

  std::int64_t caption_count(std::int64_t record) const;
  std::string_view caption(std::int64_t record, std::int64_t which) const;
  std::vector<std::string_view> captions(std::int64_t record) const;
  std::vector<std::string_view> concepts(std::int64_t record) const;

  /// The record's JSON text with all its fields, read from the file again. Throws DataError if the file has changed.
  std::string json(std::int64_t record) const;
  /// What it takes in memory.
  std::uint64_t memory_bytes() const {
    return records_.capacity() * sizeof(Record) + arena_.bytes() + images_.memory_bytes() +
           concept_words_.memory_bytes();
  }
  /// "train.json, record 12", for messages.
  std::string where(std::int64_t record) const;
  const std::filesystem::path& file(std::int64_t record) const { return source_of(record).path; }
  std::int64_t number_in_file(std::int64_t record) const { return at(record).number; }

 private:
  struct Record {
    std::uint64_t strings;      // place in arena_: captions, then the numbers of the concepts
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
  /// False if the name has too few parts.
  bool resolve(std::string_view image, std::string& path) const;
  void add(const ManifestRecord& record, const std::string& path);
  std::uint32_t image_id_of(const ManifestRecord& record, std::uint32_t image);
  void finish_loading();

  ManifestOptions options_;
  std::vector<Source> files_;
  std::vector<Record> records_;
  ByteArena arena_;
  StringPool images_, concept_words_;
  // Only while loading: image ids as they are spelled, and the number of each, or of the picture where there is none.
  StringPool ids_;
  std::vector<std::uint32_t> number_of_id_, number_of_image_;
  std::int64_t captions_ = 0, image_id_count_ = 0;
};

}  // namespace vicha

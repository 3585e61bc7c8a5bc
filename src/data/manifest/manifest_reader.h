// Manifests as a stream of records: a JSON list of objects, or JSON lines (told apart by the first character).
// Fields: `image` (string), `caption` (string or list of strings), `kwords` (list of strings), `image_id` (string or
// integer); others are passed over, but where the record stands in the file is told. Records count from 0, lines
// from 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace vicha {

/// A longer record is refused by every reader of manifests.
inline constexpr std::size_t kMaxRecordBytes = std::size_t{4} << 20;

/// Fields that every record must have beside `image`.
struct ManifestNeeds {
  bool caption = true;
  bool concepts = false;  ///< `kwords`; may be an empty list
  bool image_id = false;
};

/// Lent to the callback: its strings are reused for the next record.
struct ManifestRecord {
  std::int64_t number = 0;
  std::uint64_t offset = 0, length = 0;  ///< of its JSON text in the file, bytes
  std::string image;
  std::vector<std::string> captions;
  std::vector<std::string> concepts;
  std::string image_id;  ///< "" where there is none; "n12" of the integer 12, "sx" of the string "x"
};

/// One thing wrong with a manifest.
struct ManifestProblem {
  std::string where;  ///< "train.json, record 12 (line 14)"
  std::int64_t record = 0;
  std::string field;  ///< "" where it is the record or the file
  std::string what, remedy;

  [[noreturn]] void raise() const;  ///< as DataError
};

/// Calls `on_record` for every record that is right, `on_problem` for everything wrong with the others, in the order of
/// the file. A record may have several problems. After a syntax error JSON lines go on with the next line, a list ends.
/// Memory: one record. Throws DataError if the file cannot be read; what the callbacks throw passes through.
void read_manifest(const std::filesystem::path& file, const ManifestNeeds& needs,
                   const std::function<void(const ManifestRecord&)>& on_record,
                   const std::function<void(const ManifestProblem&)>& on_problem);

}  // namespace vicha

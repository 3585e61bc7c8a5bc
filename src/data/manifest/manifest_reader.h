// A manifest's records with the fields that every task shares, one after the other.
// Fields: `image` (string), `caption` (string or list of strings), `kwords` (list of strings), `image_id` (string or
// integer); others are skipped, but their text is kept.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest/record_reader.h"
#include "data/manifest/schema.h"

namespace vicha {

struct NaNField {
  std::string field;
  std::string word;  ///< "NaN", "-Infinity", "1e999"
};

/// Lent to the callback: its strings are reused for the next record.
struct ManifestRecord {
  std::int64_t number = 0;
  std::uint64_t offset = 0;           ///< of its text in the file, bytes
  std::uint64_t length = 0;           ///< of it
  std::string_view json;              ///< all of it as right JSON: what is NaN or infinite there is null here
  std::vector<NaNField> not_numbers;  ///< fields that hold such a value, perhaps within
  std::string image;
  std::vector<std::string> captions;
  std::vector<std::string> concepts;
  std::string image_id;  ///< "" where there is none; "n12" of the integer 12, "sx" of the string "x"
};

/// Calls `on_record` for every record that is right, `on_problem` for everything wrong with the others, in the order of
/// the file. A record may have several problems. After a syntax error JSON lines go on with the next line, a list ends.
/// The schema's columns are the caller's to read. Memory: one record. Throws DataError if the file cannot be read; what
/// the callbacks throw passes through.
void read_manifest(const std::filesystem::path& file, const Schema& schema,
                   const std::function<void(const ManifestRecord&)>& on_record, const ProblemHandler& on_problem);

}  // namespace vicha

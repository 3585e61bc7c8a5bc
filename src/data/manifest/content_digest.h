// What a manifest says, as whoever loaded it reads it: names of pictures, captions, concepts, ids and the columns of
// the schema, in their order. Not how it is written down: white space, list or lines, fields that nobody reads. And not
// what the pictures hold.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "data/manifest/manifest_reader.h"

namespace vicha {

struct ContentDigest {
  std::string file;          ///< as it was named
  std::int64_t records = 0;  ///< that were read
  std::string sha256;        ///< of all of it, in order
  std::string any_order;     ///< equal for the same records in another order
  std::string pictures;      ///< of the pictures' names alone, in order
  std::string plain = {};  ///< of all of it, in order, but for the spelling: "./a.png" is a.png, blanks around captions
                           ///< are none; empty where the schema has columns

  bool operator==(const ContentDigest&) const = default;
};

/// Made while a file is read, about a microsecond a record.
class ContentDigester {
 public:
  /// `columns`: the record's JSON where the schema has columns, otherwise null.
  void add(const ManifestRecord& record, const Schema& schema, const nlohmann::json* columns);
  /// The digest; the object is spent afterwards.
  ContentDigest finish(std::string file);

 private:
  void add_plain(const ManifestRecord& record, const Schema& schema);

  Sha256 all_;
  std::int64_t records_ = 0;
  std::uint64_t sums_[2] = {0, 0}, pictures_[2] = {0, 0}, plain_[2] = {0, 0};
  bool has_plain_ = false;
  std::string bytes_;
};

/// How two readings of a list of manifests differ, a clause for each file that does; empty if what they say is the
/// same. Names of files make no difference.
std::vector<std::string> content_changes(const std::vector<ContentDigest>& before,
                                         const std::vector<ContentDigest>& now);

}  // namespace vicha

// Which records of a manifest show the same picture: by the file, and by `image_id`, and where the two disagree.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/manifest/manifest.h"

namespace vicha {

/// Pictures whose ids and files disagree. The firsts are whole clauses for messages, "" where there is none.
struct IdConflicts {
  std::int64_t files = 0;  ///< with several ids, or with an id in some records only
  std::int64_t ids = 0;    ///< of several files
  std::string first_file, first_id;

  bool any() const { return files + ids > 0; }
};

IdConflicts find_id_conflicts(const Manifest& manifest);

/// A number for each of Manifest::image_number: equal where the names stand for one file (links, or a file system that
/// does not tell upper from lower case), the first such image's number. Looks at every file; those that are not there
/// stay apart.
std::vector<std::int64_t> same_files(const Manifest& manifest);

}  // namespace vicha

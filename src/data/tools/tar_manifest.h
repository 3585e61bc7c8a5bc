// Tar archives of images and captions (img2dataset, WebDataset) to a folder of images and a manifest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/tools/tar_manifest_reader.h"

namespace vicha {

struct UnpackOptions {
  std::filesystem::path out;                  ///< folder to fill
  std::string manifest = "manifest.jsonl";    ///< its name in there; suffix .json: a list
  std::vector<std::string> fields = {"url"};  ///< of a sample's JSON that its record keeps
  bool skip_damaged = false;                  ///< archives that are damaged are left out; otherwise an error
  std::int64_t threads = 0;                   ///< each takes an archive at a time; 0: one for each core
  TarLimits limits = {};
  std::function<void(std::int64_t archives_done)> progress = {};  ///< called from many threads, one at a time
};

struct UnpackReport {
  std::int64_t archives = 0, known = 0, damaged = 0;  ///< known: unpacked by a run before
  std::int64_t records = 0;
  std::int64_t no_image = 0, no_caption = 0, bad_text = 0, refused = 0;  ///< samples left out; members refused
  std::vector<std::string> examples = {};                                ///< of what was refused or damaged
};

/// The images go to OUT/images/<archive>/…, with records {"image", "caption", "image_id": "<archive>/<key>", fields…}
/// in OUT/<manifest>. The caption is the `.txt`, or the field "caption" of the `.json`; a sample without one, or whose
/// image does not begin as one, is left out and counted.
///
/// An archive is unpacked under a temporary name and renamed when all of it is on the disk, so that a run that was
/// killed and repeated takes up at the first archive that was not finished. Memory: a sample for each thread. Throws
/// DataError for damaged archives (after the others are done), for one that has changed since it was unpacked, for two
/// of one name, and if another run fills the same folder.
UnpackReport unpack_tars(const std::vector<std::filesystem::path>& tars, const UnpackOptions& options);

}  // namespace vicha

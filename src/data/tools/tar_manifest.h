// Tar archives of images and captions (img2dataset, WebDataset) to a folder of images and a manifest.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/tools/tar_lost.h"
#include "data/tools/tar_reader.h"
#include "data/tools/tar_sample.h"

namespace vicha {

struct TarLimits {
  std::int64_t image_bytes = std::int64_t{256} << 20;
  std::int64_t text_bytes = std::int64_t{4} << 20;
};

struct UnpackOptions {
  std::filesystem::path out = {};  ///< folder to fill
  /// Its name in there, or a path that leads elsewhere: names of pictures are relative to it. Suffix .json: a list.
  std::string manifest = "manifest.jsonl";
  KeyEnd key_end = KeyEnd::kFirstDot;
  SampleOptions sample = {};  ///< where a sample's picture and captions are
  bool skip_damaged = false;  ///< archives that are damaged are left out; otherwise an error
  std::int64_t threads = 0;   ///< each takes an archive at a time; 0: one for each core
  TarLimits limits = {};
  std::function<void(std::int64_t archives_done)> progress = {};  ///< called from many threads, one at a time
};

struct UnpackReport {
  std::int64_t archives = 0, known = 0, damaged = 0;  ///< known: unpacked by a run before
  std::int64_t records = 0;
  std::int64_t apart = 0;                           ///< samples whose members did not lie side by side
  std::array<std::int64_t, kLostCauses> lost = {};  ///< samples, by cause
  TarInventory inventory = {};
  std::vector<std::string> notes = {};  ///< some, on damaged archives and what is odd in others

  std::int64_t lost_for(LostCause cause) const { return lost[static_cast<std::size_t>(cause)]; }
  std::int64_t lost_samples() const;
  /// "3 without a caption, 1 whose key holds dots".
  std::string lost_by_cause() const;
  /// What may help against the losses, a line each: which members and fields there are, and the options that choose.
  std::vector<std::string> advice() const;
};

/// Beside the manifest, written anew with it, empty if no sample was lost: a line each with `archive`, `key`, `cause`,
/// `detail` and `members`.
inline constexpr std::string_view kLostList = "lost.jsonl";

/// The images go to OUT/images/<archive>/…, with records {"image", "caption", "image_id": "<archive>/<key>", fields…}
/// in OUT/<manifest>. Members of one key are a sample wherever they lie in the archive. A sample without a picture or a
/// caption is left out and named in OUT/lost.jsonl.
///
/// An archive is unpacked under a temporary name and renamed when all of it is on the disk, so that a run that was
/// killed and repeated takes up at the first archive that was not finished. One that was unpacked before is known by
/// the SHA-256 of its file, which is read again only if its size or times have changed; if it is another, or options
/// have changed, it is unpacked anew and its old folder goes. Memory: a member for each thread, and 16 bytes for each
/// member. Throws DataError for damaged archives (after the others are done), for two of one name, if no sample is
/// whole, and if another run fills the same folder.
UnpackReport unpack_tars(const std::vector<std::filesystem::path>& tars, const UnpackOptions& options);

}  // namespace vicha

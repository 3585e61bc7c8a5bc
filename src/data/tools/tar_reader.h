// The members of a tar archive, one after the other, as WebDataset and img2dataset name them: a key, a dot, and what
// the member is of its sample ("000000012.jpg", "000000012.txt").
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "data/tools/tar_lost.h"

namespace vicha {

/// Which dot of a file's name ends the key: of "a.b.jpg", WebDataset's rule gives "a" and "b.jpg", the other "a.b" and
/// "jpg". Dots in folders' names count for neither.
enum class KeyEnd { kFirstDot, kLastDot };

struct TarMember {
  std::string key;   ///< "000000012", with folders in front if there are: "a/000000012"
  std::string part;  ///< what follows the dot, lower case: "jpg", "txt"; "" without a dot
  /// Why nothing of it may be taken; kNoPicture, which is none of the reasons, where it may be.
  LostCause refused = LostCause::kNoPicture;
  std::string why = {};     ///< it is refused
  std::int64_t bytes = -1;  ///< as the archive says; -1: it does not
};

/// Whether a member of this name is an image of a format that is read ("jpg", "input.png", …), by its last extension.
bool is_image_part(std::string_view part);

class TarReader {
 public:
  /// `.tar`, also compressed by gzip, zstd, bzip2 or xz, or several one behind the other. Throws DataError if it cannot
  /// be opened.
  TarReader(const std::filesystem::path& tar, KeyEnd key_end);
  ~TarReader();

  /// False at the end. Folders and hidden files are passed over. What is no regular file, and names that are absolute,
  /// lead out of the folder or hold odd characters, are refused. Throws DataError where the archive is damaged or cut
  /// short, changes while it is read, or goes on with zeros without end.
  bool next(TarMember& member);
  /// Of the member that `next` gave last; nothing if it has more than `most` bytes.
  std::optional<std::string> content(std::int64_t most);

  /// Reads what is left of the file. The SHA-256 of all its bytes.
  std::string finish();
  /// After `finish`: that the archive lacks its end mark, as one does that was cut between two members. Empty if all is
  /// right, or the archive is compressed.
  std::string_view oddity() const;
  /// What was found between members, or behind them, that is neither a member nor zeros; empty if nothing was.
  std::string passed_over() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vicha

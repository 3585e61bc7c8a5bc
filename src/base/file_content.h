// What a file is, told by its first bytes: for readers that were given something else than they read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace vicha {

/// What a reader's remedy depends on.
enum class FileKind {
  kEmpty,
  kZeros,       ///< as a download that was broken off leaves it
  kPointer,     ///< what stands in a repository for a large file: Git LFS, git-annex, Xet, DVC
  kCompressed,  ///< gzip, bzip2, xz, zstd
  kArchive,     ///< zip, 7z, RAR
  kTar,
  kPicture,  ///< of any format, those that are decoded here too
  kFilm,
  kDocument,  ///< PDF
  kOffice,    ///< old Excel and other Office files; new ones are zip archives
  kParquet,
  kTable,     ///< of records, in other forms: Arrow
  kDatabase,  ///< SQLite
  kArrays,    ///< of numbers: HDF5, NumPy, MATLAB
  kWeights,   ///< of other programs: GGUF, TensorFlow Lite
  kProgram,
  kWebPage,  ///< as servers send in place of what is gone, or asks for a log-in
  kXml,
  kUtf16,  ///< text with the byte order mark of UTF-16
};

struct FileContent {
  FileKind kind;
  std::string_view what;     ///< what stands behind "is": "a pointer of Git LFS, not the file itself"
  std::string_view command;  ///< what fetches or unpacks it ("git lfs pull", "gunzip -k"); else empty
};

/// As much of a file's start as `file_content` looks at, bytes.
inline constexpr std::size_t kFileHead = 1024;

/// Of the first kFileHead bytes of a file, or all that it has. Nothing for what begins as none of these: text, JSON,
/// and formats without a mark of their own. A mark of two bytes proves little: try one's own format first.
std::optional<FileContent> file_content(std::string_view head);

/// "Fetch the file itself: git lfs pull", "Unpack it first: gunzip -k 'FILE'", or `otherwise`, a sentence, where there
/// is no such command.
std::string content_remedy(const FileContent& content, std::string_view file, std::string_view otherwise);

/// Nothing but characters of a text; a character cut off at the end does not matter.
bool is_text(std::string_view bytes);

/// Lines that end in a carriage return alone, which would be read as one. Of JSON, which has no lines, never.
bool has_ends_of_old_macs(std::string_view head);

/// For readers of text, which would take much of the above for content: throws DataError naming the file, what it is
/// and what to do, unless its first bytes may begin a text in UTF-8. Empty ones, zeros and XML are left to the reader.
void require_text(std::string_view head, std::string_view file);
/// Of a file that is there.
void require_text_file(const std::filesystem::path& file);
/// read_file of base/files.h, then require_text.
std::string read_text_file(const std::filesystem::path& file, std::uint64_t most);
std::string read_text_file(const std::filesystem::path& file);

}  // namespace vicha

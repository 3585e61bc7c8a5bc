// Names of pictures that stand for no file of this machine, told by what they are; and files that are not there.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace vicha {

struct NameFault {
  std::string what;    ///< the end of a sentence that begins `field "image" `
  std::string remedy;  ///< a sentence
};

/// Addresses (https://, s3://, file:, data:), Windows' paths, `~`, variables of a shell, members of archives. `path`:
/// the file that the name would be resolved to; where it exists, the name is that of a file after all (of a folder
/// named "x.tar", say), unless it is an address.
std::optional<NameFault> foreign_name(std::string_view name, const std::filesystem::path& path);

/// What may be meant by a file that does not exist, as a sentence: one whose name differs in case, Unicode form, ending
/// or white space, or the first folder of the path that is not there. "" if the file is there or nothing is like it.
/// Reads a folder: for the few files that a message names.
std::string missing_file_hint(const std::filesystem::path& file);

/// In quotation marks, cut between characters where it is long.
std::string quoted_name(std::string_view name);

}  // namespace vicha

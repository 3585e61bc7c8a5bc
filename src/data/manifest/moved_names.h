// Names of pictures in a manifest that is to lie in another folder.
#pragma once

#include <filesystem>
#include <string>

namespace vicha {

/// `name`, which starts in `from`, as it is called from `to`. Both folders are absolute and normal. Absolute names stay
/// as they are, and so does what begins as no relative name of this machine does (data/manifest/image_names.h: "http:",
/// "C:\", "~/", "$HOME/"), so that whoever reads the manifest says what it is.
std::string moved_name(const std::string& name, const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace vicha

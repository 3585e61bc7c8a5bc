// One archive's samples into a folder of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "data/tools/tar_lost.h"
#include "data/tools/tar_manifest.h"

namespace vicha {

// In an archive's folder:
inline constexpr std::string_view kTarRecords = ".records.jsonl";  ///< its part of the manifest
inline constexpr std::string_view kTarLost = ".lost.jsonl";        ///< its part of the list of lost samples
inline constexpr std::string_view kTarSummary = ".unpacked.json";  ///< what it was made from

struct UnpackedTar {
  std::string sha256;  ///< of the archive's file
  std::int64_t records = 0;
  std::int64_t apart = 0;               ///< samples whose members did not lie side by side
  std::vector<std::string> notes = {};  ///< the first few, on what is odd though no sample is lost
  TarInventory inventory = {};
};

/// Fills `folder`, which is there and empty, with the images, kTarRecords and kTarLost; `name`: what records call the
/// folder. Memory: a member, and 16 bytes for each. Throws DataError for an archive that is damaged; kTarLost then
/// names the samples up to there, if there were any, and their images stay.
UnpackedTar unpack_tar(const std::filesystem::path& tar, const std::filesystem::path& folder, const std::string& name,
                       const UnpackOptions& options);

}  // namespace vicha

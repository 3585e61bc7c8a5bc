// Zip archives that are no files of torch.save.
#pragma once

#include <string>

#include "checkpoint/pickle/zip.h"

namespace vicha {

/// Throws DataError naming `where`: what the archive is, by the names in it, and what to do.
[[noreturn]] void refuse_foreign_zip(const ZipReader& zip, const std::string& where);

}  // namespace vicha

// Mojibake: UTF-8 that was read as a single-byte encoding, as "Ã©" for "é". Used inside this room only (see
// clip_bpe_clean.h).
#pragma once

#include <string>
#include <string_view>

namespace vicha::text_detail {

/// What `ftfy.fix_encoding` (6.3, its default settings) makes of a text: where it looks like mojibake, it is encoded in
/// the first of ten single-byte encodings that can, and read as UTF-8 (spaces that were no-break spaces and lost bytes
/// repaired), repeatedly while that helps; what is only partly mojibake is repaired piece by piece. Other
/// texts come back as they are. `text` is UTF-8; what is not counts as U+FFFD.
std::string fix_encoding(std::string_view text);

}  // namespace vicha::text_detail

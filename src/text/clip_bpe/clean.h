// Captions as CLIP's tokenizer reads them. Used inside this room only (see `ClipBpe::clean`).
#pragma once

#include <string>
#include <string_view>

namespace vicha::text_detail {

/// Unicode's White_Space: what `\s` of Python's `regex` module matches (`is_space` without U+001C to U+001F).
bool is_white_space(char32_t c);

/// What `ftfy.fix_text` (6.3) does: HTML references, mojibake (text/cleaning/mojibake.h), control characters and
/// terminal escapes, Latin ligatures, full- and half-width forms, curly quotes, NFC.
std::string fix_text(std::string_view text);

/// `fix_text`, html.unescape twice, white space collapsed and stripped, lower case.
std::string clip_clean(std::string_view text);

}  // namespace vicha::text_detail

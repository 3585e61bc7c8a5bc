// What a caption says in words, for those who read it as English (text/scene_graph). Captions that a model learns from
// are cleaned otherwise: text/cleaning/caption.h.
#pragma once

#include <string>
#include <string_view>

namespace vicha::text_detail {

/// The caption without what the web has put into it:
///  - read back: HTML references (named, numeric, escaped several times, without semicolon or "&"), escapes that were
///    left over ("\n", "\u00e9", "%20"), mojibake; full-width and other compatible letters become plain ones,
///    typographic quotes straight ones, and what has no width goes;
///  - gone: tags, comments and scripts ("<person>", which some data sets write, leaves "person"), addresses of pages
///  and
///    people, @names, names of files and of cameras' pictures, prices, dates, times, what reads like an identifier, and
///    words with a character that was lost;
///  - numbers lose the marks between their thousands;
///  - a hashtag stays behind its "#", its parts joined by "_": "#GoldenGateBridge" is "#Golden_Gate_Bridge".
/// Where something stood that the sentence did not need, a comma keeps its neighbours apart. Any bytes may be given;
/// the result is UTF-8. Time: linear.
std::string caption_prose(std::string_view caption);

}  // namespace vicha::text_detail

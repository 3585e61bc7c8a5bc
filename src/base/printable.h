// Text from names, captions and files as a terminal and a log may show it. Raw, a control character in a file's name
// could move the cursor, colour what follows or forge a line of the log, and a mark of writing direction could turn a
// name around.
#pragma once

#include <string>
#include <string_view>

namespace vicha {

/// One line: control characters (line feed and tab too), marks of direction, separators of lines, characters without
/// width and bytes that are no UTF-8 become escapes: "\n", "\x1b", "\u202e". All else stays, backslashes too, so that
/// what is printable already comes back as it is.
std::string printable(std::string_view text);

/// The same, but line feeds and tabs stay: for text that the program has laid out itself. Names and values in it need
/// `printable` before.
std::string printable_text(std::string_view text);

/// JSON of the same value, whose texts show nothing that `printable` would escape: such characters, which JSON has in
/// texts alone, become its own escapes. What is no UTF-8 stays as it is.
std::string printable_json(std::string_view json);

}  // namespace vicha

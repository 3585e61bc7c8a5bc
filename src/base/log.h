// The one way anything below `cli` speaks. Lines go to standard error, so that standard output stays for results.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <string_view>

namespace vicha::log {

enum class Level { kDebug, kInfo, kWarning, kError };

/// Receives every line that passes the level; the default writes "12:34:56 W message" to standard error.
using Sink = std::function<void(Level, std::string_view)>;

/// Both are set once at start (by `cli`) or by a test; not meant to be changed while threads log.
void set_sink(Sink sink);
void set_level(Level level);

/// Control characters, line feeds too, are escaped on the way (base/printable.h): what comes of names and files cannot
/// forge a line.
void write(Level level, std::string_view line);
/// Each line of a text that the program has laid out.
void write_lines(Level level, std::string_view text);

/// Whether `status` shows: standard error is a terminal, no sink is set and the level lets information pass.
bool shows_status();
/// The last line of the terminal, rewritten by each call; log lines appear above it. Empty: removed. Elsewhere,
/// nothing.
void status(std::string_view line);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace vicha::log

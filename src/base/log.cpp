#include "base/log.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <mutex>

#include "base/printable.h"

namespace vicha::log {
namespace {

struct State {
  std::mutex mutex;
  Sink sink;
  Level level = Level::kInfo;
  bool terminal = ::isatty(STDERR_FILENO) == 1;
  std::string status;
};

State& state() {
  static State instance;
  return instance;
}

void to_standard_error(Level level, std::string_view line) {
  char clock[16];
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::strftime(clock, sizeof clock, "%H:%M:%S", &local);
  std::fprintf(stderr, "%s %c %.*s\n", clock, "DIWE"[static_cast<int>(level)], static_cast<int>(line.size()),
               line.data());
}

/// Cut to the window: a line that wraps cannot be rewritten.
void draw_status(const std::string& line) {
  winsize window{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1;
  const int width = known ? window.ws_col - 1 : 79;
  auto end = std::min(static_cast<std::size_t>(width), line.size());
  while (end < line.size() && end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;
  std::fprintf(stderr, "\r%.*s\033[K", static_cast<int>(end), line.c_str());
}

void erase_status() { std::fputs("\r\033[K", stderr); }

}  // namespace

void set_sink(Sink sink) { state().sink = std::move(sink); }
void set_level(Level level) { state().level = level; }

void write(Level level, std::string_view raw) {
  State& s = state();
  if (level < s.level) return;
  const std::string line = printable(raw);
  const std::lock_guard lock(s.mutex);
  if (s.sink) return s.sink(level, line);
  if (!s.status.empty()) erase_status();
  to_standard_error(level, line);
  if (!s.status.empty()) draw_status(s.status);
}

void write_lines(Level level, std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    write(level, text.substr(at, end - at));
    at = end + 1;
  }
}

bool shows_status() { return state().terminal && !state().sink && state().level <= Level::kInfo; }

void status(std::string_view line) {
  if (!shows_status()) return;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.status = printable(line);
  s.status.empty() ? erase_status() : draw_status(s.status);
}

}  // namespace vicha::log

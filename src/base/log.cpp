#include "base/log.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <mutex>

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
  std::fprintf(stderr, "\r%.*s\033[K", width, line.c_str());
}

void erase_status() { std::fputs("\r\033[K", stderr); }

}  // namespace

void set_sink(Sink sink) { state().sink = std::move(sink); }
void set_level(Level level) { state().level = level; }

void write(Level level, std::string_view line) {
  State& s = state();
  if (level < s.level) return;
  const std::lock_guard lock(s.mutex);
  if (s.sink) return s.sink(level, line);
  if (!s.status.empty()) erase_status();
  to_standard_error(level, line);
  if (!s.status.empty()) draw_status(s.status);
}

bool shows_status() { return state().terminal && !state().sink && state().level <= Level::kInfo; }

void status(std::string_view line) {
  if (!shows_status()) return;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.status = line;
  s.status.empty() ? erase_status() : draw_status(s.status);
}

}  // namespace vicha::log

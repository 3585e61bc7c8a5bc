#include "base/log.h"

#include <cstdio>
#include <ctime>
#include <mutex>

namespace vicha::log {
namespace {

struct State {
  std::mutex mutex;
  Sink sink;
  Level level = Level::kInfo;
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

}  // namespace

void set_sink(Sink sink) { state().sink = std::move(sink); }
void set_level(Level level) { state().level = level; }

void write(Level level, std::string_view line) {
  State& s = state();
  if (level < s.level) return;
  const std::lock_guard lock(s.mutex);
  s.sink ? s.sink(level, line) : to_standard_error(level, line);
}

}  // namespace vicha::log

#include "base/signals.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <iterator>

namespace vicha {
namespace {

// A handler can reach nothing but what stands here, and may call little: no allocation, no locks.
volatile std::sig_atomic_t noted = 0;   // the signal that came while signals were to be noted
volatile std::sig_atomic_t noting = 0;  // whether the first one is to be noted

enum SlotState { kFree, kChanging, kTaken };
constexpr std::size_t kLongestPath = 1024;
struct Slot {
  std::atomic<int> state{kFree};
  char path[kLongestPath];
};
Slot slots[64];

void say(const char* text) {
  const ssize_t ignored = ::write(STDERR_FILENO, text, std::strlen(text));
  static_cast<void>(ignored);
}

const char* name_of(int signal) {
  return signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : signal == SIGHUP ? "SIGHUP" : "a signal";
}

void end_by(int signal) {
  for (Slot& slot : slots) {
    if (slot.state.load() == kTaken) ::unlink(slot.path);
  }
  say("\nstopped by ");
  say(name_of(signal));
  say("\n");
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  sigemptyset(&by_default.sa_mask);
  ::sigaction(signal, &by_default, nullptr);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  ::raise(signal);
}

void on_signal(int signal) {
  const int saved = errno;
  if (noting == 0 || noted != 0) end_by(signal);
  noted = signal;
  say("\nstopping in good order; once more to end at once\n");
  errno = saved;
}

void handle(int signal, struct sigaction* before) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, before);
}

}  // namespace

void end_cleanly_on_signals() {
  handle(SIGINT, nullptr);
  handle(SIGTERM, nullptr);
  struct sigaction hangup {};
  ::sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) handle(SIGHUP, nullptr);  // ignored under nohup
  ::signal(SIGXFSZ, SIG_IGN);
}

StopSignals::StopSignals() {
  noted = 0;
  noting = 1;
  handle(SIGINT, &interrupt_);
  handle(SIGTERM, &terminate_);
}

StopSignals::~StopSignals() {
  noting = 0;
  ::sigaction(SIGINT, &interrupt_, nullptr);
  ::sigaction(SIGTERM, &terminate_, nullptr);
}

int StopSignals::caught() const { return noted; }

StopSignals::AtOnce::AtOnce() : noting_(noting) { noting = 0; }
StopSignals::AtOnce::~AtOnce() { noting = noting_; }

RemovedOnSignal::RemovedOnSignal(const std::filesystem::path& file) {
  const std::string& name = file.native();
  if (name.size() >= kLongestPath) return;  // the next start removes it
  for (std::size_t i = 0; i < std::size(slots); ++i) {
    int free = kFree;
    if (!slots[i].state.compare_exchange_strong(free, kChanging)) continue;
    std::memcpy(slots[i].path, name.c_str(), name.size() + 1);
    slots[i].state = kTaken;
    slot_ = static_cast<int>(i);
    return;
  }
}

RemovedOnSignal::~RemovedOnSignal() {
  if (slot_ >= 0) slots[slot_].state = kFree;
}

}  // namespace vicha

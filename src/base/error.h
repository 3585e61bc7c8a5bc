// Errors that a user can cause. Each says what went wrong, where (file, record, key) and what to do about it.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace vicha {

/// What the process exits with; see docs/design.md, decision 8.
enum class ExitCode { kDone = 0, kFailed = 1, kUsage = 2, kData = 3 };

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what, ExitCode code = ExitCode::kFailed) : std::runtime_error(what), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// A file, record or field the user gave is wrong. Message: "<where>: <what>. <remedy>".
class DataError : public Error {
 public:
  DataError(std::string_view where, std::string_view what, std::string_view remedy = "");
};

/// A command line, key or value is wrong.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& what) : Error(what, ExitCode::kUsage) {}
};

/// A broken promise inside the program: not the user's fault.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);
#define VICHA_ASSERT(condition) ((condition) ? void(0) : ::vicha::assertion_failed(#condition, __FILE__, __LINE__))

}  // namespace vicha

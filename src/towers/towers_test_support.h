// What the tests of towers share.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "checkpoint/safetensors/safetensors.h"
#include "nn/parameters.h"

namespace vicha::towers_test {

/// Removed at the end of the test.
class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("vicha_towers_" + std::to_string(::getpid()) + "_" + name())) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  static std::string name() {
    std::string text = testing::UnitTest::GetInstance()->current_test_info()->name();
    for (char& c : text) c = c == '/' ? '_' : c;
    return text;
  }
  fs::path path_;
};

/// Keeps the lines of the log while it lives.
class Log {
 public:
  Log() {
    log::set_sink([this](log::Level, std::string_view line) { text += std::string(line) + "\n"; });
  }
  ~Log() { log::set_sink({}); }
  std::string text;
};

template <class Wanted = DataError>
std::string message(const std::function<void()>& run) {
  try {
    run();
  } catch (const Wanted& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another error: " << error.what();
    return "";
  }
  ADD_FAILURE() << "no error";
  return "";
}

inline testing::AssertionResult contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << text << "\" does not say \"" << part << "\"";
}

/// The small numbers of an untrained model hide mistakes in the layers.
inline void liven(const ParameterStore& store, std::uint64_t seed = 3) {
  at::manual_seed(seed);
  const at::NoGradGuard no_grad;
  for (const Parameter& p : store.parameters()) p.value.copy_(p.value * 4 + at::randn(p.value.sizes()) * 0.05);
}

inline double furthest(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return 1e300;
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

/// The tensors under the names of `prefix` and those that `rename` gives.
inline StateDict state_of(const ParameterStore& store,
                          const std::function<std::string(const std::string&)>& rename = {}) {
  StateDict state;
  for (const Parameter& p : store.parameters()) state.set(rename ? rename(p.name) : p.name, p.value.detach().clone());
  return state;
}

inline std::string replaced(std::string text, std::string_view from, std::string_view to) {
  if (const auto at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

}  // namespace vicha::towers_test

// A program run as its users run it, for tests that drive whole commands.
#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

namespace vicha {

struct ProgramResult {
  int status = -1;     ///< -1: it did not end by itself, or could not be started
  std::string output;  ///< of both streams
};

/// In `folder`, on so many threads. Products by one library: which is faster on a busy machine is chance, and bits
/// differ.
inline ProgramResult run_program(const std::filesystem::path& folder, const std::string& program,
                                 const std::string& arguments, int threads = 1) {
  const std::string line = "cd '" + folder.string() + "' && OMP_NUM_THREADS=" + std::to_string(threads) + " '" +
                           program + "' " + arguments + " 2>&1";
  ProgramResult result;
  FILE* pipe = ::popen(line.c_str(), "r");
  if (pipe == nullptr) return result;
  std::array<char, 4096> piece;
  while (const std::size_t n = std::fread(piece.data(), 1, piece.size(), pipe)) result.output.append(piece.data(), n);
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

}  // namespace vicha

// What a long pass over a manifest has found so far, so that a killed command goes on where it was.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "base/files.h"

namespace vicha {

/// A file of lines that is only appended to. First the lines of the run before are read, in their order, as far as they
/// are of use; then new ones follow. An unfinished last line does not count.
class Journal {
 public:
  /// `heading`, one line, says what the findings depend on; those of another heading are dropped, and the log says so.
  /// Throws DataError if another process writes the file, Error if it cannot be written.
  Journal(std::filesystem::path file, std::string_view heading);
  /// Stays for the next run, unless it holds nothing.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// The next line of the run before; false when there is none any more.
  bool next(std::string& line);
  /// The line that was read last is of something else: it and all behind it are dropped.
  void reject();
  /// Appends a line without its end; all lines of the run before that are still unread are dropped. Written by `flush`.
  void add(std::string_view line);
  /// Throws Error naming the file if it cannot be written.
  void flush();
  /// It is not needed any more.
  void remove();

 private:
  void begin_anew(std::string_view heading);

  std::filesystem::path file_;
  std::unique_ptr<GrowingFile> open_;
  int fd_ = -1;
  std::ifstream old_;
  bool reading_ = false, cut_ = false;
  std::uint64_t heading_end_ = 0, before_last_ = 0, kept_ = 0;  // bytes
  std::string unwritten_;
};

/// OUT.partial.
std::filesystem::path journal_of(const std::filesystem::path& out);

}  // namespace vicha

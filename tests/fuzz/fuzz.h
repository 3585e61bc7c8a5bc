// What the fuzz targets share. Each is a file NAME_fuzz.cpp: it gives libFuzzer's bytes to a reader as a stranger's
// file. A reader may take them, or refuse them by DataError or UsageError; anything else ends the process, which is a
// finding: another exception, a fault that the sanitizers see, a broken promise (`require`), more than 2 GiB, ten
// seconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

/// A target may define this to load what it needs once: the first input's ten seconds are not for that.
extern "C" __attribute__((weak)) void vicha_fuzz_prepare();

namespace vicha::fuzz {

using Bytes = std::span<const std::uint8_t>;

inline std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Ends the process with `promise` where it does not hold.
void require(bool holds, const char* promise);

/// Whether `read` came to its end; false if it refused what it was given, with a message.
template <class Read>
bool accepted(Read&& read) {
  try {
    read();
    return true;
  } catch (const DataError& error) {
    require(error.what()[0] != '\0', "a refusal says why");
  } catch (const UsageError& error) {
    require(error.what()[0] != '\0', "a refusal says why");
  }
  return false;
}

/// A file that lies in memory alone, for readers that want a path.
class MemoryFile {
 public:
  MemoryFile();
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  /// Replaces what it holds. Nothing of the former content may still be mapped.
  void write(std::string_view content);
  void write(Bytes content) { write(text_of(content)); }
  const std::filesystem::path& path() const { return path_; }

 private:
  int fd_;
  std::filesystem::path path_;
};

/// A folder of this process in TMPDIR, which tools/fuzz.sh has in memory.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  std::filesystem::path write(std::string_view name, std::string_view content) const;
  std::filesystem::path write(std::string_view name, Bytes content) const { return write(name, text_of(content)); }
  std::string read(std::string_view name) const;
  /// Removes all but `kept` names.
  void clear(std::span<const std::string_view> kept = {}) const;
  /// The number of files and folders in it, for "nothing was left behind".
  std::size_t size() const;

 private:
  std::filesystem::path path_;
};

/// libFuzzer's mutation, after which most inputs get the checksums that a stranger would give them, so that what they
/// guard is reached. For LLVMFuzzerCustomMutator.
using Repair = void (*)(std::span<std::uint8_t> file);
std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed, Repair repair);

void repair_zip(std::span<std::uint8_t> file);    ///< CRC-32 of stored entries
void repair_png(std::span<std::uint8_t> file);    ///< CRC-32 of chunks
void repair_tar(std::span<std::uint8_t> file);    ///< sums of headers
void repair_store(std::span<std::uint8_t> file);  ///< all sums of an embedding store

}  // namespace vicha::fuzz

#define VICHA_FUZZ_REPAIRED_BY(repair)                                                                   \
  extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, \
                                                 unsigned seed) {                                        \
    return vicha::fuzz::mutate(data, size, most, seed, repair);                                          \
  }

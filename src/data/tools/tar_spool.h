// What an archive's members bring, kept on the disk until its end: only then is it known which of them are a sample.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/tools/tar_lost.h"

namespace vicha {

class TarSpool {
 public:
  enum class Kind : std::uint8_t { kImage, kText, kOther, kRefused };

  struct Member {
    std::string part;
    Kind kind = Kind::kOther;
    LostCause refused = LostCause::kNoPicture;  ///< of kRefused: why
    std::uint64_t number = 0;                   ///< in the archive, of those that were added
    std::uint64_t offset = 0, size = 0;         ///< of its content in the spool
  };
  struct Sample {
    std::string key;
    std::vector<Member> members = {};  ///< in the archive's order; at most kMaxMembers
    std::uint64_t more = 0;            ///< members beyond that
    bool apart = false;                ///< members of other samples lie between its own
  };
  static constexpr std::size_t kMaxMembers = 1000;

  /// Throws Error if the file cannot be written; it must not be there. It is removed at the end.
  explicit TarSpool(std::filesystem::path file);
  ~TarSpool();
  TarSpool(const TarSpool&) = delete;
  TarSpool& operator=(const TarSpool&) = delete;

  /// `content`: a text's own, or why a member is refused. Memory: 16 bytes a member.
  void add(std::string_view key, std::string_view part, Kind kind, LostCause refused, std::string_view content);
  /// All samples, in the order of their first members. Nothing may be added afterwards.
  void for_each_sample(const std::function<void(const Sample&)>& see);
  std::string content(const Member& member) const;
  bool empty() const { return places_.empty(); }

 private:
  struct Place {
    std::uint64_t hash, offset;
  };
  struct Head;
  [[noreturn]] void fail(std::string_view what) const;
  void write(const void* bytes, std::size_t size);
  void read(std::uint64_t offset, void* bytes, std::size_t size) const;
  /// The samples of members whose keys have one hash.
  std::vector<Sample> samples_of(std::size_t first, std::size_t end) const;

  std::filesystem::path path_;
  std::FILE* file_ = nullptr;
  std::uint64_t end_ = 0;
  std::vector<Place> places_;
};

}  // namespace vicha

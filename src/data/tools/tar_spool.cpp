#include "data/tools/tar_spool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <tuple>
#include <utility>

#include "base/error.h"

namespace vicha {

/// In front of a member's key, part and content.
struct TarSpool::Head {
  std::uint64_t number = 0, size = 0;
  std::uint32_t key = 0, part = 0;  // bytes
  Kind kind = Kind::kOther;
  LostCause refused = LostCause::kNoPicture;
};

TarSpool::TarSpool(std::filesystem::path file) : path_(std::move(file)) {
  file_ = std::fopen(path_.c_str(), "w+bxe");
  if (file_ == nullptr) fail("opened");
}

TarSpool::~TarSpool() {
  std::fclose(file_);
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

void TarSpool::fail(std::string_view what) const {
  throw Error(fmt::format("{}: cannot be {} ({})", path_.string(), what, std::strerror(errno)));
}

void TarSpool::write(const void* bytes, std::size_t size) {
  if (size > 0 && std::fwrite(bytes, 1, size, file_) != size) fail("written");
  end_ += size;
}

void TarSpool::read(std::uint64_t offset, void* bytes, std::size_t size) const {
  if (::fseeko(file_, static_cast<off_t>(offset), SEEK_SET) != 0 || std::fread(bytes, 1, size, file_) != size) {
    fail("read");
  }
}

void TarSpool::add(std::string_view key, std::string_view part, Kind kind, LostCause refused,
                   std::string_view content) {
  Head head;
  std::memset(static_cast<void*>(&head), 0, sizeof head);  // the padding too
  head.number = places_.size();
  head.size = content.size();
  head.key = static_cast<std::uint32_t>(key.size());
  head.part = static_cast<std::uint32_t>(part.size());
  head.kind = kind;
  head.refused = refused;
  places_.push_back({std::hash<std::string_view>{}(key), end_});
  write(&head, sizeof head);
  write(key.data(), key.size());
  write(part.data(), part.size());
  write(content.data(), content.size());
}

std::vector<TarSpool::Sample> TarSpool::samples_of(std::size_t first, std::size_t end) const {
  std::vector<Sample> samples;
  std::vector<std::uint64_t> last;  // number of each sample's member that was seen last
  for (std::size_t i = first; i < end; ++i) {
    Head head;
    std::uint64_t offset = places_[i].offset;
    read(offset, &head, sizeof head);
    offset += sizeof head;
    std::string names(static_cast<std::size_t>(head.key) + head.part, '\0');
    read(offset, names.data(), names.size());
    offset += names.size();
    const std::string_view key = std::string_view(names).substr(0, head.key);
    std::size_t s = 0;
    while (s < samples.size() && samples[s].key != key) ++s;
    if (s == samples.size()) {
      samples.push_back({.key = std::string(key)});
      last.push_back(head.number);
    }
    Sample& sample = samples[s];
    sample.apart = sample.apart || head.number > last[s] + 1;
    last[s] = head.number;
    if (sample.members.size() == kMaxMembers) {
      ++sample.more;
    } else {
      sample.members.push_back({names.substr(head.key), head.kind, head.refused, head.number, offset, head.size});
    }
  }
  return samples;
}

void TarSpool::for_each_sample(const std::function<void(const Sample&)>& see) {
  if (std::fflush(file_) != 0) fail("written");
  std::sort(places_.begin(), places_.end(),
            [](const Place& a, const Place& b) { return std::tie(a.hash, a.offset) < std::tie(b.hash, b.offset); });
  std::vector<std::pair<std::size_t, std::size_t>> ranges;  // of equal hashes
  for (std::size_t first = 0, end = 0; first < places_.size(); first = end) {
    while (end < places_.size() && places_[end].hash == places_[first].hash) ++end;
    ranges.emplace_back(first, end);
  }
  std::sort(ranges.begin(), ranges.end(),
            [this](const auto& a, const auto& b) { return places_[a.first].offset < places_[b.first].offset; });
  for (const auto& [first, end] : ranges) {
    for (const Sample& sample : samples_of(first, end)) see(sample);
  }
}

std::string TarSpool::content(const Member& member) const {
  std::string bytes(member.size, '\0');
  read(member.offset, bytes.data(), bytes.size());
  return bytes;
}

}  // namespace vicha

#include "data/tools/tar_unpack.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "data/manifest/rewrite.h"
#include "data/tools/tar_reader.h"
#include "data/tools/tar_sample.h"
#include "data/tools/tar_spool.h"
#include "image/decode.h"

namespace vicha {
namespace {

using Kind = TarSpool::Kind;

constexpr std::size_t kUnpackNotes = 5;
constexpr std::string_view kSpool = ".members";

/// A new file; fails where the name is taken, by a link too.
bool write_new(const fs::path& path, std::string_view bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0 && (errno == EEXIST || errno == ENOTDIR || errno == EISDIR || errno == ENAMETOOLONG)) return false;
  bool written = fd >= 0;
  while (written && !bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    written = n >= 0;
    if (written) bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  const std::string reason = std::strerror(errno);
  if (fd >= 0) ::close(fd);
  if (!written) throw Error(fmt::format("{}: cannot write ({})", path.string(), reason));
  return true;
}

class Unpacker {
 public:
  Unpacker(const fs::path& tar, const fs::path& folder, const std::string& name, const UnpackOptions& options)
      : options_(options), name_(name), folder_(folder), reader_(tar, options.key_end), spool_(folder / kSpool) {}

  UnpackedTar run() {
    TarMember member;
    bool taken = true;
    try {
      while (reader_.next(member)) {
        taken = false;
        take(member);
        taken = true;
      }
      unpacked_.sha256 = reader_.finish();
    } catch (const DataError&) {
      if (!taken) spool_.add(member.key, member.part, Kind::kOther, {}, "");  // the damage lies in it
      name_the_damaged();
      throw;
    }
    if (!reader_.oddity().empty()) note(std::string(reader_.oddity()));
    ManifestWriter records(folder_ / kTarRecords, true), lost(folder_ / kTarLost, true);
    if (const std::string passed = reader_.passed_over(); !passed.empty()) {
      note(passed);
      lost.add_text(LostSample{LostCause::kDamagedArchive, "", passed}.to_json());
    }
    spool_.for_each_sample([&](const TarSpool::Sample& sample) { join(sample, records, lost); });
    unpacked_.records = records.size();
    records.finish();
    lost.finish();
    return std::move(unpacked_);
  }

 private:
  void note(std::string text) {
    if (unpacked_.notes.size() < kUnpackNotes) unpacked_.notes.push_back(std::move(text));
  }

  void take(const TarMember& member) {
    unpacked_.inventory.add_member(member.part);
    const auto add = [&](Kind kind, LostCause refused, std::string_view content) {
      spool_.add(member.key, member.part, kind, refused, content);
    };
    const auto refuse = [&](LostCause cause, std::string_view why) { add(Kind::kRefused, cause, why); };
    if (!member.why.empty()) return refuse(member.refused, member.why);
    const bool image = is_image_part(member.part, options_.sample);
    if (!image && !is_text_part(member.part, options_.sample)) return add(Kind::kOther, {}, "");
    const std::int64_t most = image ? options_.limits.image_bytes : options_.limits.text_bytes;
    std::optional<std::string> content;
    if (member.bytes <= most) content = reader_.content(most);
    if (!content) return refuse(LostCause::kTooLarge, fmt::format("it has more than {} bytes", most));
    if (!image) return add(Kind::kText, {}, *content);
    if (const std::string what = what_else(*content); !what.empty()) return refuse(LostCause::kNotAPicture, what);
    const fs::path file = folder_ / file_of(member.key, member.part);
    std::error_code failed;
    fs::create_directories(file.parent_path(), failed);
    if (failed || !write_new(file, *content)) {
      return refuse(LostCause::kNameTaken, "another member has taken the name");
    }
    add(Kind::kImage, {}, "");
  }

  /// Why these bytes are no picture; empty if they begin as one.
  static std::string what_else(const std::string& content) {
    const std::span<const std::uint8_t> bytes{reinterpret_cast<const std::uint8_t*>(content.data()), content.size()};
    if (is_known_format(bytes)) return {};
    return content.empty() ? "it is empty" : fmt::format("it is {}", unknown_format(bytes));
  }

  static std::string file_of(const std::string& key, const std::string& part) {
    return part.empty() ? key : key + "." + part;
  }

  void join(const TarSpool::Sample& sample, ManifestWriter& records, ManifestWriter& lost) {
    const ReadSample read = read_sample(
        sample, options_.sample, [this](const TarSpool::Member& member) { return spool_.content(member); },
        unpacked_.inventory);
    for (const TarSpool::Member& member : sample.members) {
      if (member.kind == Kind::kImage && &member != read.image) remove(sample.key, member.part);
    }
    if (read.lost) lost.add_text(read.lost->to_json());
    for (const LostSample& part : read.lost_parts) lost.add_text(part.to_json());
    if (!read.note.empty()) note(read.note);
    if (read.image == nullptr) return;
    unpacked_.apart += sample.apart ? 1 : 0;
    nlohmann::ordered_json record = {{"image", "images/" + name_ + "/" + file_of(sample.key, read.image->part)}};
    if (read.list) {
      record["caption"] = read.captions;
    } else {
      record["caption"] = read.captions.front();
    }
    record["image_id"] = name_ + "/" + sample.key;
    std::string text = json_text(record);
    for (const auto& [field, value] : read.kept) {
      if (record.contains(field)) continue;
      text.back() = ',';
      text += json_text(nlohmann::json(field)) + ":" + json_text(value) + "}";
    }
    records.add_text(text);
  }

  /// The image of a sample that is lost goes, and folders that it leaves empty.
  void remove(const std::string& key, const std::string& part) {
    std::error_code ignored;
    fs::path path = folder_ / file_of(key, part);
    fs::remove(path, ignored);
    for (path = path.parent_path(); path != folder_; path = path.parent_path()) {
      if (!fs::remove(path, ignored)) return;
    }
  }

  /// All samples that were read before the damage: none of them counts.
  void name_the_damaged() {
    if (spool_.empty()) return;
    ManifestWriter lost(folder_ / kTarLost, true);
    spool_.for_each_sample([&](const TarSpool::Sample& sample) {
      LostSample named{LostCause::kDamagedArchive, sample.key, "the archive is damaged or cut short here or behind"};
      for (const TarSpool::Member& member : sample.members) {
        if (named.members.size() < kUnpackNotes) named.members.push_back(member.part);
      }
      lost.add_text(named.to_json());
    });
    lost.finish();
  }

  const UnpackOptions& options_;
  std::string name_;
  fs::path folder_;
  TarReader reader_;
  TarSpool spool_;
  UnpackedTar unpacked_;
};

}  // namespace

UnpackedTar unpack_tar(const fs::path& tar, const fs::path& folder, const std::string& name,
                       const UnpackOptions& options) {
  return Unpacker(tar, folder, name, options).run();
}

}  // namespace vicha

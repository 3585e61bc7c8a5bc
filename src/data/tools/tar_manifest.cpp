#include "data/tools/tar_manifest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/named_outputs.h"
#include "base/threads.h"
#include "data/manifest/moved_names.h"
#include "data/manifest/rewrite.h"
#include "data/tools/tar_summary.h"
#include "data/tools/tar_unpack.h"

namespace vicha {
namespace {

constexpr std::size_t kNotes = 10;

/// One run fills a folder at a time.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& folder) : folder_(folder), was_there_(fs::exists(folder)) {
    std::error_code failed;
    fs::create_directories(folder, failed);
    if (failed) throw DataError(folder.string(), "cannot be made a folder: " + failed.message(), "Name another --out");
    fd_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd_ < 0 || ::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      const bool taken = fd_ >= 0 && errno == EWOULDBLOCK;
      const std::string reason = std::strerror(errno);
      if (fd_ >= 0) ::close(fd_);
      throw DataError(folder.string(), taken ? "another run fills this folder" : "cannot lock the folder: " + reason,
                      taken ? "Wait for it, or name another folder" : "Check that it can be written");
    }
  }
  ~FolderLock() {
    std::error_code ignored;
    if (!was_there_) fs::remove(folder_, ignored);  // only if nothing came into it
    ::close(fd_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// Everything written so far reaches the disk.
  void sync() const {
    if (::syncfs(fd_) != 0) throw Error(fmt::format("cannot sync to disk ({})", std::strerror(errno)));
  }

 private:
  fs::path folder_;
  bool was_there_;
  int fd_ = -1;
};

/// "00012" of "00012.tar", "00012.tar.gz".
std::string name_of(const fs::path& tar) {
  std::string name = tar.filename().string();
  for (const std::string_view suffix : {".gz", ".zst", ".bz2", ".xz", ".tgz", ".tar"}) {
    if (name.ends_with(suffix)) name = name.substr(0, name.size() - suffix.size());
  }
  return name;
}

/// What becomes of an archive that lies elsewhere, and of a folder in its place, is told before the first is unpacked.
void require_archive(const fs::path& tar) {
  std::error_code ignored;
  if (fs::is_directory(tar, ignored)) {
    throw DataError(tar.string(), "is a folder, not a tar archive", "Name the archives themselves");
  }
  require_regular_file(tar);
  require_utf8(tar.filename().string(), tar.string());  // pictures lie in a folder of its name
}

class Run {
 public:
  Run(const std::vector<fs::path>& tars, const UnpackOptions& options)
      : tars_(tars),
        options_(options),
        lock_(options.out),
        images_(options.out / "images"),
        from_(fs::absolute(options.out / "x").lexically_normal().parent_path()),
        to_(fs::absolute(options.out / options.manifest).lexically_normal().parent_path()) {
    const fs::path pictures = fs::absolute(images_).lexically_normal();
    if (const fs::path below = to_.lexically_relative(pictures); !below.empty() && *below.begin() != "..") {
      throw UsageError(fmt::format("--manifest {} lies in {}, where the archives' pictures go. Give it another place",
                                   options.manifest, images_.string()));
    }
    std::set<std::string> names;
    for (const fs::path& tar : tars) {
      require_archive(tar);
      const std::string name = name_of(tar);
      if (name.empty() || name.front() == '.' || name.ends_with(kUnfinished)) {
        throw DataError(tar.string(), "has no name for a folder", "Rename it");
      }
      if (!names.insert(name).second) {
        throw DataError(tar.string(), fmt::format("is the second archive named \"{}\"", name),
                        "Their pictures would mix: unpack them into different folders and use vicha data join");
      }
    }
    if (from_ != to_) {  // names of pictures will begin so
      require_utf8(moved_name("images", from_, to_), (options.out / options.manifest).string());
    }
    // An archive that lies in a folder which is unpacked anew would go with it.
    for (const std::string& name : names) {
      for (const std::string& folder : {name, name + std::string(kUnfinished)})
        require_no_input_below(images_ / folder);
    }
    outputs_.emplace(std::vector<NamedOutput>{{"the list of lost samples", options.out / kLostList},
                                              {"--manifest", options.out / options.manifest}},
                     tars);
    fs::create_directories(images_);
    // What a killed run has left half done.
    for (const fs::directory_entry& entry : fs::directory_iterator(images_)) {
      if (entry.path().filename().string().ends_with(kUnfinished)) fs::remove_all(entry.path());
    }
  }

  ~Run() {
    std::error_code ignored;
    fs::remove(images_, ignored);  // only if no archive could be unpacked
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  UnpackReport run() {
    const int threads =
        static_cast<int>(options_.threads > 0 ? options_.threads : std::max(1u, std::thread::hardware_concurrency()));
    damaged_.resize(tars_.size());
    for_each_index(tars_.size(), threads, [this](std::size_t i) { unpack(i); });
    report_.archives = static_cast<std::int64_t>(tars_.size());
    for (const std::optional<DataError>& damage : damaged_) {
      if (!damage) continue;
      if (!options_.skip_damaged) throw *damage;
      ++report_.damaged;
      report_.notes.emplace_back(damage->what());
    }
    write_manifest();
    return report_;
  }

 private:
  static constexpr std::string_view kUnfinished = ".unfinished";

  void unpack(std::size_t i) {
    const fs::path &tar = tars_[i], folder = images_ / name_of(tar);
    fs::path unfinished = folder, old = folder;
    unfinished += kUnfinished;
    ((old += kUnfinished) += kUnfinished);  // no archive's own: names that end so are refused
    try {
      bool known = true;
      std::optional<TarSummary> summary = known_summary(tar, folder);
      if (!summary) {
        known = false;
        fs::create_directories(unfinished);
        summary.emplace();
        summary->stamp = FileStamp::of(tar);
        summary->unpacked = unpack_tar(tar, unfinished, name_of(tar), options_);
        summary->write(unfinished, options_);
        lock_.sync();
        if (fs::exists(folder)) fs::rename(folder, old);
        fs::rename(unfinished, folder);
        fs::remove_all(old);
      }
      add(tar, summary->unpacked, known);
    } catch (const DataError& error) {
      damaged_[i] = error;
      std::error_code ignored;
      fs::remove(unfinished, ignored);  // only if nothing came out of it; images stay for a look
    }
    const std::lock_guard guard(mutex_);
    ++done_;
    if (options_.progress) options_.progress(done_);
  }

  /// Of a folder that was made from this very archive, by these options; nothing if it is to be made.
  std::optional<TarSummary> known_summary(const fs::path& tar, const fs::path& folder) const {
    if (!fs::exists(folder)) return std::nullopt;
    std::optional<TarSummary> summary = TarSummary::read(folder, options_);
    if (!summary) {
      log::info("{}: unpacked anew, as it was by other options or an earlier program", tar.string());
      return std::nullopt;
    }
    const FileStamp now = FileStamp::of(tar);
    if (now.surely_as(summary->stamp)) return summary;
    if (now.bytes != summary->stamp.bytes || sha256_of(tar) != summary->unpacked.sha256) {
      log::info("{}: unpacked anew, as its content has changed", tar.string());
      return std::nullopt;
    }
    summary->stamp = now;
    summary->write(folder, options_);
    return summary;
  }

  static std::string sha256_of(const fs::path& tar) { return TarReader(tar, KeyEnd::kFirstDot).finish(); }

  void add(const fs::path& tar, const UnpackedTar& part, bool known) {
    const std::lock_guard guard(mutex_);
    report_.known += known ? 1 : 0;
    report_.apart += part.apart;
    report_.inventory.add(part.inventory);
    for (const std::string& note : part.notes) {
      if (report_.notes.size() < kNotes) report_.notes.push_back(tar.string() + ": " + note);
    }
  }

  void write_manifest() {
    ManifestWriter writer(options_.out / options_.manifest);
    for (std::size_t i = 0; i < tars_.size(); ++i) {
      if (damaged_[i]) continue;
      for_each_line(images_ / name_of(tars_[i]) / kTarRecords,
                    [&](const std::string& record) { add_record_of(record, writer); });
    }
    report_.records = writer.size();
    const bool all_damaged = report_.damaged == report_.archives;
    if (!all_damaged) write_lost();
    if (report_.records > 0) return writer.finish();
    throw DataError(tars_.front().string(), "no archive holds a whole sample, a picture with its caption" + why(),
                    remedy(all_damaged));
  }

  /// Its picture's name starts in OUT, and the manifest may lie elsewhere.
  void add_record_of(const std::string& text, ManifestWriter& writer) const {
    if (from_ == to_) return writer.add_text(text);
    nlohmann::ordered_json record = nlohmann::ordered_json::parse(text);
    record["image"] = moved_name(record.at("image").get<std::string>(), from_, to_);
    add_changed(writer, text, record);
  }

  std::string why() const {
    return report_.lost_samples() == 0 ? "" : fmt::format(" (samples: {})", report_.lost_by_cause());
  }

  std::string remedy(bool all_damaged) const {
    if (all_damaged) return "Check the paths, or fetch the archives again";
    std::string text = fmt::format("{} names each of them", (options_.out / kLostList).string());
    if (report_.lost_samples() == 0) text = "Samples are members such as 000012.jpg and 000012.txt";
    for (const std::string& line : report_.advice()) text += ". " + line;
    return text;
  }

  /// The archives' lists as one, counted by cause.
  void write_lost() {
    std::map<std::string, LostCause, std::less<>> causes;
    for (std::size_t i = 0; i < kLostCauses; ++i) {
      causes.emplace(cause_name(static_cast<LostCause>(i)), static_cast<LostCause>(i));
    }
    ManifestWriter writer(options_.out / kLostList, true);
    for (std::size_t i = 0; i < tars_.size(); ++i) {
      fs::path folder = images_ / name_of(tars_[i]);
      if (damaged_[i]) folder += kUnfinished;
      const std::string archive = json_text(nlohmann::json(tars_[i].string()));
      for_each_line(folder / kTarLost, [&](const std::string& line) {
        const nlohmann::json lost = nlohmann::json::parse(line, nullptr, false);
        const auto cause = causes.find(lost.value("cause", ""));
        if (cause == causes.end()) return;
        ++report_.lost[static_cast<std::size_t>(cause->second)];
        writer.add_text(fmt::format("{{\"archive\":{},{}", archive, std::string_view(line).substr(1)));
      });
      if (damaged_[i]) {
        const LostSample lost{LostCause::kDamagedArchive, "", damaged_[i]->what()};
        writer.add_text(fmt::format("{{\"archive\":{},{}", archive, lost.to_json().substr(1)));
      }
    }
    writer.finish();
  }

  /// None where there is no such file.
  static void for_each_line(const fs::path& file, const std::function<void(const std::string&)>& see) {
    std::ifstream lines(file, std::ios::binary);
    for (std::string line; std::getline(lines, line);) see(line);
  }

  const std::vector<fs::path>& tars_;
  const UnpackOptions& options_;
  FolderLock lock_;
  fs::path images_, from_, to_;  // the two: OUT's folder and the manifest's, absolute
  std::optional<GuardedOutputs> outputs_;
  std::mutex mutex_;
  std::int64_t done_ = 0;
  UnpackReport report_;
  std::vector<std::optional<DataError>> damaged_;  // why, of each archive
};

}  // namespace

UnpackReport unpack_tars(const std::vector<fs::path>& tars, const UnpackOptions& options) {
  if (tars.empty()) throw UsageError("Name the archives to unpack");
  require_distinct(
      {{"the list of lost samples", options.out / kLostList}, {"--manifest", options.out / options.manifest}});
  return Run(tars, options).run();
}

}  // namespace vicha

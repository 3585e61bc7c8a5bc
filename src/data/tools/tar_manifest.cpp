#include "data/tools/tar_manifest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/threads.h"
#include "data/manifest/record_reader.h"
#include "data/manifest/rewrite.h"
#include "image/decode.h"
#include "text/utf8.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kExamples = 10;
constexpr std::string_view kRecords = ".records.jsonl";  // in an archive's folder: its part of the manifest
constexpr std::string_view kSummary = ".unpacked.json";  // what it was made from

/// One run fills a folder at a time.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& folder) : folder_(folder), was_there_(fs::exists(folder)) {
    fs::create_directories(folder);
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

std::string trimmed(std::string text) {
  const auto blank = [](char c) { return c == '\n' || c == '\r' || c == ' ' || c == '\t' || c == '\0'; };
  while (!text.empty() && blank(text.back())) text.pop_back();
  return text.substr(static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), blank) - text.begin()));
}

/// "00012" of "00012.tar", "00012.tar.gz".
std::string name_of(const fs::path& tar) {
  std::string name = tar.filename().string();
  for (const std::string_view suffix : {".gz", ".zst", ".tgz", ".tar"}) {
    if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  }
  return name;
}

/// An archive's samples into a folder of its own.
class Unpacker {
 public:
  Unpacker(const fs::path& tar, const fs::path& folder, const UnpackOptions& options)
      : options_(options),
        name_(name_of(tar)),
        folder_(folder),
        reader_(tar, options.limits),
        writer_(folder / kRecords, true) {}

  UnpackReport run() {
    TarSample sample;
    while (reader_.next(sample)) take(sample);
    report_.refused += reader_.refused();
    if (reader_.refused() > 0) report_.examples.push_back(reader_.first_refused());
    report_.records = writer_.size();
    writer_.finish();
    return report_;
  }

 private:
  void take(const TarSample& sample) {
    const auto image = std::find_if(sample.parts.begin(), sample.parts.end(),
                                    [](const auto& part) { return is_image_part(part.first); });
    if (image == sample.parts.end() || !is_known_format(bytes_of(image->second))) {
      ++report_.no_image;
      return;
    }
    const Json details = details_of(sample);
    const std::optional<std::string> caption = caption_of(sample, details);
    if (!caption || !is_utf8(sample.key)) return;
    const std::string file = sample.key + "." + image->first;
    std::error_code failed;
    fs::create_directories((folder_ / file).parent_path(), failed);
    if (failed || !write_new(folder_ / file, image->second)) {
      ++report_.refused;
      if (report_.examples.empty()) report_.examples.push_back(file + ": the name is taken by another member");
      return;
    }
    Json record = {
        {"image", "images/" + name_ + "/" + file}, {"caption", *caption}, {"image_id", name_ + "/" + sample.key}};
    for (const std::string& field : options_.fields) {
      if (const auto value = details.find(field); value != details.end() && !record.contains(field)) {
        record[field] = *value;
      }
    }
    writer_.add(record);
  }

  static std::span<const std::uint8_t> bytes_of(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
  }

  /// The sample's JSON; an empty object where there is none that can be read.
  Json details_of(const TarSample& sample) {
    const auto json = sample.parts.find("json");
    if (json == sample.parts.end()) return Json::object();
    // Values are copied and written by recursion; img2dataset's are flat.
    const auto shallow = [](int depth, Json::parse_event_t, Json&) { return depth < 16; };
    Json details = Json::parse(json->second, shallow, false);
    if (details.is_object()) return details;
    ++report_.bad_text;
    return Json::object();
  }

  std::optional<std::string> caption_of(const TarSample& sample, const Json& details) {
    std::string caption;
    if (const auto text = sample.parts.find("txt"); text != sample.parts.end()) {
      caption = trimmed(text->second);
      if (!is_utf8(caption)) {
        ++report_.bad_text;
        return std::nullopt;
      }
    } else if (const auto field = details.find("caption"); field != details.end() && field->is_string()) {
      caption = trimmed(field->get<std::string>());
    }
    if (!caption.empty()) return caption;
    ++report_.no_caption;
    return std::nullopt;
  }

  const UnpackOptions& options_;
  std::string name_;
  fs::path folder_;
  TarReader reader_;
  ManifestWriter writer_;
  UnpackReport report_;
};

Json summary_of(const fs::path& tar, const UnpackOptions& options) {
  return {{"archive", tar.filename().string()}, {"bytes", fs::file_size(tar)}, {"fields", options.fields}};
}

class Run {
 public:
  Run(const std::vector<fs::path>& tars, const UnpackOptions& options)
      : tars_(tars), options_(options), lock_(options.out), images_(options.out / "images") {
    std::set<std::string> names;
    for (const fs::path& tar : tars) {
      if (!fs::is_regular_file(tar)) throw DataError(tar.string(), "is not there, or no file", "Check the path");
      const std::string name = name_of(tar);
      if (name.empty() || name.front() == '.' || name.ends_with(kUnfinished)) {
        throw DataError(tar.string(), "has no name for a folder", "Rename it");
      }
      if (!names.insert(name).second) {
        throw DataError(tar.string(), fmt::format("is the second archive named \"{}\"", name),
                        "Their pictures would mix: unpack them into different folders and use vicha data join");
      }
    }
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
      report_.examples.emplace_back(damage->what());
    }
    write_manifest();
    return report_;
  }

 private:
  static constexpr std::string_view kUnfinished = ".unfinished";

  void unpack(std::size_t i) {
    const fs::path &tar = tars_[i], folder = images_ / name_of(tar);
    fs::path unfinished = folder;
    unfinished += kUnfinished;
    try {
      const Json summary = summary_of(tar, options_);
      UnpackReport part;
      if (fs::exists(folder)) {
        require_unpacked(folder, summary, tar);
        part.known = 1;
      } else {
        fs::create_directories(unfinished);
        part = Unpacker(tar, unfinished, options_).run();
        write_file_atomic(unfinished / kSummary, summary.dump() + "\n");
        lock_.sync();
        fs::rename(unfinished, folder);
      }
      add(part);
    } catch (const DataError& error) {
      damaged_[i] = error;
      std::error_code ignored;
      fs::remove(unfinished, ignored);  // only if nothing came out of it; images stay for a look
    }
    const std::lock_guard guard(mutex_);
    ++done_;
    if (options_.progress) options_.progress(done_);
  }

  static void require_unpacked(const fs::path& folder, const Json& summary, const fs::path& tar) {
    const fs::path file = folder / kSummary;
    if (!fs::exists(file)) {
      throw DataError(folder.string(), "is there already, but was not made by this command", "Move it away");
    }
    if (Json::parse(read_file(file), nullptr, false) == summary) return;
    throw DataError(tar.string(), "is not what " + folder.string() + " was made from, or other fields were asked for",
                    "Remove that folder to unpack the archive again");
  }

  void add(const UnpackReport& part) {
    const std::lock_guard guard(mutex_);
    report_.known += part.known;
    report_.no_image += part.no_image;
    report_.no_caption += part.no_caption;
    report_.bad_text += part.bad_text;
    report_.refused += part.refused;
    for (const std::string& example : part.examples) {
      if (report_.examples.size() < kExamples) report_.examples.push_back(example);
    }
  }

  void write_manifest() {
    ManifestWriter writer(options_.out / options_.manifest);
    for (std::size_t i = 0; i < tars_.size(); ++i) {
      const fs::path records = images_ / name_of(tars_[i]) / kRecords;
      if (damaged_[i] || fs::file_size(records) == 0) continue;
      RecordReader reader(records);
      RecordText text;
      while (reader.next(text)) writer.add_text(text.json);
    }
    report_.records = writer.size();
    if (report_.records == 0) {
      throw DataError(tars_.empty() ? "" : tars_.front().string(), "no archive holds a picture with a caption",
                      "Samples are members such as 000012.jpg and 000012.txt");
    }
    writer.finish();
  }

  const std::vector<fs::path>& tars_;
  const UnpackOptions& options_;
  FolderLock lock_;
  fs::path images_;
  std::mutex mutex_;
  std::int64_t done_ = 0;
  UnpackReport report_;
  std::vector<std::optional<DataError>> damaged_;  // why, of each archive
};

}  // namespace

UnpackReport unpack_tars(const std::vector<fs::path>& tars, const UnpackOptions& options) {
  if (tars.empty()) throw UsageError("Name the archives to unpack");
  return Run(tars, options).run();
}

}  // namespace vicha

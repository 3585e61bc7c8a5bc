#include "data/tools/dead_images.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/threads.h"
#include "data/manifest/image_paths.h"
#include "data/manifest/record_fields.h"
#include "data/manifest/record_reader.h"
#include "data/manifest/rewrite.h"
#include "data/manifest/string_pool.h"
#include "data/tools/journal.h"

namespace vicha {
namespace {

constexpr std::size_t kRecordsAtOnce = 4096;  // enough work for many threads
constexpr int kStateVersion = 2;              // changes with what is called good

ImageFileState look_at(const std::string& path, bool decode) {
  if (decode) return check_image(path).state;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return ImageFileState::kMissing;
  if (status.type() != fs::file_type::regular) return ImageFileState::kUnreadable;
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) return ImageFileState::kUnreadable;
  return size == 0 ? ImageFileState::kCorrupt : ImageFileState::kGood;
}

class Pruner {
 public:
  Pruner(const fs::path& in, const fs::path& out, const fs::path& list, const PruneOptions& options)
      : options_(options),
        paths_(in, options.image_root, options.strip_parts),
        reader_(in),
        writer_(out, out_in_lines(in, out, reader_.lines())),
        list_(list),
        list_guard_(list),
        journal_(journal_of(out),
                 nlohmann::ordered_json{{"pictures", kStateVersion}, {"decoded", options.decode}}.dump()) {
    threads_ = static_cast<int>(options.threads > 0 ? options.threads
                                                    : std::max<std::int64_t>(1, std::thread::hardware_concurrency()));
  }

  PruneReport run() {
    while (read_some()) {
      for_each_index(fresh_.size(), threads_, [this](std::size_t i) {
        if (!fresh_[i].known) fresh_[i].state = look_at(fresh_[i].path, options_.decode);
      });
      keep_fresh();
      note_fresh();
      for (const Waiting& waiting : waiting_) {
        const bool dead =
            std::ranges::any_of(waiting.images, [this](std::uint32_t image) -> bool { return dead_[image]; });
        if (!dead) add_record(writer_, waiting.text);
      }
      if (options_.progress) options_.progress(report_.records);
    }
    if (report_.images > 0 && report_.dead == report_.images) {
      journal_.remove();
      throw DataError(first_dead_, "cannot be read, nor can any other picture of the manifest",
                      "Check --image-root and --strip-parts");
    }
    report_.kept = writer_.size();
    if (list_writer_) {
      list_writer_->finish();
    } else {
      fs::remove(list_);
    }
    writer_.finish();
    journal_.remove();
    return report_;
  }

 private:
  struct Waiting {
    RecordText text;
    std::vector<std::uint32_t> images;  // their numbers
  };
  struct Fresh {
    std::string image, path;
    std::int64_t record;
    ImageFileState state = ImageFileState::kMissing;
    bool known = false;     // the run before could read it
    bool recalled = false;  // the run before has looked at it
  };

  bool read_some() {
    waiting_.clear();
    fresh_.clear();
    RecordText text;
    while (waiting_.size() < kRecordsAtOnce && reader_.next(text)) {
      const nlohmann::ordered_json record = reader_.parse(text);
      std::vector<std::uint32_t> images;
      for (const auto& [image, suffix] : pictures_of(record, [this] { return reader_.where(); })) {
        images.push_back(names_.intern(image));
        if (images.back() != report_.images) continue;
        ++report_.images;
        fresh_.push_back({image, paths_.path_or_none(image, [this] { return reader_.where(); }), text.number});
        recall(fresh_.back());
      }
      waiting_.push_back({text, std::move(images)});
      ++report_.records;
    }
    return !waiting_.empty();
  }

  /// What the run before has seen of an image. One that it could not read is looked at again: a disk that was not
  /// there may be there now.
  void recall(Fresh& fresh) {
    std::string line;
    if (!journal_.next(line)) return;
    const nlohmann::json found = nlohmann::json::parse(line, nullptr, false);
    if (!found.is_object() || !found.contains("state") || !found.contains("picture") ||
        found["picture"] != fresh.path) {
      return journal_.reject();
    }
    fresh.recalled = true;
    for (const ImageFileState state : {ImageFileState::kGood, ImageFileState::kTruncated}) {
      if (found["state"] != state_name(state)) continue;
      fresh.state = state;
      fresh.known = true;
      ++report_.known;
    }
  }

  void keep_fresh() {
    for (const Fresh& fresh : fresh_) {
      if (fresh.recalled) continue;
      journal_.add(json_text(nlohmann::ordered_json{{"picture", fresh.path}, {"state", state_name(fresh.state)}}));
    }
    journal_.flush();
  }

  void note_fresh() {
    for (const Fresh& fresh : fresh_) {
      const bool truncated = fresh.state == ImageFileState::kTruncated;
      const bool wrong = fresh.state == ImageFileState::kWrongChecksum;
      const bool dead = fresh.state != ImageFileState::kGood && !((truncated || wrong) && options_.keep_truncated);
      report_.truncated += truncated ? 1 : 0;
      report_.wrong_checksums += wrong ? 1 : 0;
      report_.dead += dead ? 1 : 0;
      dead_.push_back(dead);
      if (!dead) continue;
      if (!list_writer_) {
        list_writer_.emplace(list_, true);
        first_dead_ = fresh.path;
      }
      list_writer_->add({{"image", fresh.image}, {"record", fresh.record}, {"state", state_name(fresh.state)}});
    }
  }

  const PruneOptions& options_;
  ImagePaths paths_;
  RecordReader reader_;
  ManifestWriter writer_;
  fs::path list_;
  GuardedOutput list_guard_;  // it is removed where no picture is dead
  std::optional<ManifestWriter> list_writer_;
  Journal journal_;
  int threads_;
  PruneReport report_;
  StringPool names_;
  std::vector<bool> dead_;  // of each image
  std::string first_dead_;
  std::vector<Waiting> waiting_;
  std::vector<Fresh> fresh_;
};

}  // namespace

std::string_view state_name(ImageFileState state) {
  switch (state) {
    case ImageFileState::kGood:
      return "good";
    case ImageFileState::kMissing:
      return "missing";
    case ImageFileState::kUnreadable:
      return "unreadable";
    case ImageFileState::kUnknownFormat:
      return "unknown format";
    case ImageFileState::kTruncated:
      return "truncated";
    case ImageFileState::kWrongChecksum:
      return "wrong checksum";
    case ImageFileState::kCorrupt:
      return "corrupt";
  }
  return "";
}

PruneReport prune_manifest(const fs::path& in, const fs::path& out, const fs::path& list, const PruneOptions& options) {
  return Pruner(in, out, list, options).run();
}

}  // namespace vicha

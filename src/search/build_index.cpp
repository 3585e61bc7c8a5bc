#include "search/build_index.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/file_guard.h"
#include "base/log.h"
#include "base/named_outputs.h"
#include "concepts/embed/embed.h"
#include "nn/kernel_choice.h"
#include "search/background.h"
#include "search/damaged_part.h"
#include "search/earlier_index.h"
#include "search/embed_pictures.h"
#include "search/index_check.h"

namespace vicha {
namespace {

constexpr std::int64_t kExactRows = 1'000'000, kRowsAtOnce = 2048, kRecallQueries = 100;
constexpr std::size_t kShownSkipped = 5;

/// Two libraries multiply with other last bits, and which is faster is measured anew by every process: an index is made
/// by one of them always, so that the same files give the same index. oneDNN loses little where it is the slower one.
void fix_products() {
  try {
    set_matmul_kernel("onednn");
  } catch (const UsageError&) {
    set_matmul_kernel("blas");
  }
}

class IndexBuilder {
 public:
  IndexBuilder(const fs::path& source, const fs::path& out, SearchModel& model, const IndexOptions& options)
      : paths_{out}, model_(model), options_(options), source_(source) {}

  IndexReport run() {
    const auto start = std::chrono::steady_clock::now();
    require_index_folder(paths_);
    require_distinct({{"the list of files", paths_.files()},
                      {"the list of what is skipped", paths_.skipped()},
                      {"the vectors", paths_.vectors()},
                      {"the codes", paths_.codes()},
                      {"the background", paths_.background()},
                      {"the calibration", paths_.calibration()},
                      {"the description", paths_.description()},
                      {"the journal", paths_.journal()}});
    ListOptions list = options_.list;
    list.leave_out = paths_.folder;
    list_ = list_pictures(source_, list);
    begin();
    read_files();
    number_rows();
    if (same_as_earlier()) {
      report_.nothing_changed = true;
      report_.calibration = read_calibration(paths_.calibration(), &*earlier_.description()).describe();
    } else {
      write_vectors();
      write_rest();
      commit();
    }
    std::error_code ignored;
    fs::remove_all(paths_.work(), ignored);
    count();
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report_;
  }

 private:
  const SourceWeights& weights() const { return model_.towers->weights(); }
  StoreShape shape() const { return {model_.towers->width(), 1, StoreType::kFloat16}; }

  /// Makes the folder; after this a search says that the index is half built, where there is none.
  void begin() {
    std::error_code failed;
    fs::create_directories(paths_.work(), failed);
    if (failed) {
      throw UsageError(fmt::format("{}: cannot be made ({}). Give --out a folder that can be written",
                                   paths_.folder.string(), failed.message()));
    }
    if (!options_.rebuild) {
      earlier_ = EarlierIndex(paths_, weights());
      require_source();
    } else {
      for (const fs::path& part : {paths_.description(), paths_.files(), paths_.vectors(), paths_.journal()}) {
        if (fs::exists(part, failed)) go_on_with(part);
      }
      fs::remove(paths_.journal(), failed);
    }
    fix_products();
  }

  bool of_this_source() const {
    const fs::path before = earlier_.description()->source;
    std::error_code ignored;
    return before == list_.source || fs::equivalent(before, list_.source, ignored);
  }

  /// Pictures of another folder would silently take the place of those that are there.
  void require_source() const {
    if (!earlier_.whole() || options_.replace || of_this_source()) return;
    throw UsageError(
        fmt::format("{} is an index of {}, not of {}. Give another --out, or --replace to index the latter "
                    "instead (what both hold is not embedded again)",
                    paths_.folder.string(), earlier_.description()->source, list_.source.string()));
  }

  /// Contents of all files, vectors of those that are new.
  void read_files() {
    std::vector<const ListedPicture*> to_read;
    for (const ListedPicture& picture : list_.pictures) {
      const IndexedFile* before = earlier_.find(picture.name);
      const bool same = before != nullptr && !options_.read_all && before->size == picture.size &&
                        before->modified == picture.modified && earlier_.has(before->content);
      files_.push_back({picture.name, picture.size, picture.modified, same ? before->content : 0, 0});
      if (!same) to_read.push_back(&picture);
    }
    if (to_read.empty()) return;
    drop_damaged_journal();
    EmbeddingStoreWriter journal(paths_.journal(), weights(), shape());
    const std::vector<PictureReading> readings = embed_pictures(
        model_, to_read, [this](std::uint64_t content) { return earlier_.has(content); }, journal,
        {options_.threads, options_.batch}, report_.embedded);
    std::unordered_map<std::string_view, const PictureReading*> reading_of;
    for (std::size_t i = 0; i < to_read.size(); ++i) reading_of.emplace(to_read[i]->name, &readings[i]);
    std::vector<IndexedFile> kept;
    for (IndexedFile& file : files_) {
      if (const auto at = reading_of.find(file.name); at != reading_of.end()) {
        if (!at->second->cause.empty()) {
          list_.skipped.push_back({file.name, at->second->cause});
          continue;
        }
        file.content = at->second->content;
      }
      kept.push_back(std::move(file));
    }
    files_ = std::move(kept);
    std::stable_sort(list_.skipped.begin(), list_.skipped.end(),
                     [](const auto& a, const auto& b) { return a.name < b.name; });
    if (files_.empty()) {
      throw DataError(source_.string(), fmt::format("none of its {} pictures can be read", list_.skipped.size()),
                      fmt::format("The first: {}", list_.skipped.front().cause));
    }
  }

  /// Where only its end is damaged, as a kill leaves it, the writer cuts that off.
  void drop_damaged_journal() const {
    std::error_code ignored;
    if (!fs::exists(paths_.journal(), ignored)) return;
    try {
      const EmbeddingStore found = EmbeddingStore::open(paths_.journal());
      for (std::int64_t record = 0; record < found.size(); ++record) (void)found.stored(record);
    } catch (const DataError&) {
      log::warning("{} is damaged: it is begun anew", paths_.journal().string());
      fs::remove(paths_.journal(), ignored);
    }
  }

  void number_rows() {
    std::unordered_map<std::uint64_t, std::int64_t> row_of;
    for (IndexedFile& file : files_) {
      const auto [at, fresh] = row_of.try_emplace(file.content, static_cast<std::int64_t>(contents_.size()));
      if (fresh) contents_.push_back(file.content);
      file.row = at->second;
    }
    for (const IndexedFile& file : files_) {
      line_begin_.push_back(lines_.size());
      lines_ += file.to_json() + "\n";
    }
    line_begin_.push_back(lines_.size());
    for (const SkippedPicture& skipped : list_.skipped) skipped_lines_ += to_json(skipped) + "\n";
    build_ = build_of(lines_, weights());
  }

  bool skips_as_before() const {
    std::error_code ignored;
    return fs::exists(paths_.skipped(), ignored) && read_file(paths_.skipped()) == skipped_lines_;
  }

  /// Nothing is to be done. Where something is, and be it that a part is damaged, all parts are written anew.
  bool same_as_earlier() {
    if (!earlier_.whole() || earlier_.damaged() || report_.embedded > 0 || !of_this_source() ||
        earlier_.description()->build != build_ || !options_.calibrate.manifest.empty() ||
        options_.approximate != Approximate::kAuto || earlier_.description()->model != model_.spec ||
        earlier_.description()->root != list_.root.string() || !skips_as_before()) {
      return false;
    }
    // Until the next one this is what tells that a part was damaged.
    const auto is_right = [&](const fs::path& part, const std::function<bool()>& check) {
      try {
        if (check()) return;
      } catch (const DataError&) {
      }
      std::error_code ignored;
      earlier_.note(part, fs::exists(part, ignored) ? "is damaged" : "is missing");
    };
    is_right(paths_.codes(), [&] {
      const Codes codes(paths_.codes());
      return codes.right() && codes.header().build == build_ &&
             codes.header().store_bytes == fs::file_size(paths_.vectors()) &&
             codes.rows() == static_cast<std::int64_t>(contents_.size());
    });
    is_right(paths_.background(), [&] { return read_background(paths_.background(), shape().width).size(0) > 0; });
    is_right(paths_.calibration(), [&] {
      (void)read_calibration(paths_.calibration(), &*earlier_.description());
      return true;
    });
    return !earlier_.damaged();
  }

  /// The vectors of all contents in the order of their rows, from the earlier index and the journal.
  void write_vectors() {
    std::error_code ignored;
    const fs::path path = paths_.work() / "pictures.emb";
    fs::remove(path, ignored);
    fs::remove(paths_.work() / paths_.background().filename(), ignored);
    std::optional<EmbeddingStore> journal;
    if (fs::exists(paths_.journal(), ignored)) journal = EmbeddingStore::open(paths_.journal());
    EmbeddingStoreWriter writer(path, weights(), shape());
    for (std::size_t first = 0; first < contents_.size(); first += kRowsAtOnce) {
      const std::size_t count = std::min<std::size_t>(kRowsAtOnce, contents_.size() - first);
      at::Tensor rows = at::empty({static_cast<std::int64_t>(count), 1, shape().width}, at::kFloat);
      std::vector<std::string> keys(count);
      std::vector<std::uint64_t> hashes(count);
      for (std::size_t i = 0; i < count; ++i) keys[i] = content_key(contents_[first + i]);
      const EmbeddingStore* const stores[] = {earlier_.vectors(), journal ? &*journal : nullptr};
      for (const EmbeddingStore* store : stores) {
        if (store == nullptr) continue;
        std::vector<std::int64_t> records, places;
        for (std::size_t i = 0; i < count; ++i) {
          const auto record =
              store == earlier_.vectors() ? earlier_.record_of(contents_[first + i]) : store->find(keys[i]);
          if (!record || hashes[i] != 0) continue;
          records.push_back(*record);
          places.push_back(static_cast<std::int64_t>(i));
          hashes[i] = store->content(*record);
        }
        if (!records.empty()) rows.index_copy_(0, at::tensor(places, at::kLong), store->rows(records));
      }
      VICHA_ASSERT(std::find(hashes.begin(), hashes.end(), 0u) == hashes.end());
      hashes_.insert(hashes_.end(), hashes.begin(), hashes.end());
      writer.add(keys, hashes, rows);
      writer.flush();  // or a slow disk would decide where blocks begin
    }
  }

  void write_rest() {
    const fs::path store = paths_.work() / "pictures.emb", codes_file = paths_.work() / "codes.bin";
    CodesContent content;
    content.build = build_;
    content.vector_offsets = vector_offsets(store);
    content.picture_hashes = std::move(hashes_);
    content.line_begin = line_begin_;
    content.file_begin.assign(contents_.size() + 1, 0);
    for (const IndexedFile& file : files_) ++content.file_begin[static_cast<std::size_t>(file.row) + 1];
    for (std::size_t i = 1; i < content.file_begin.size(); ++i) content.file_begin[i] += content.file_begin[i - 1];
    std::vector<std::uint32_t> next(content.file_begin.begin(), content.file_begin.end() - 1);
    content.files_of_rows.resize(files_.size());
    for (std::size_t i = 0; i < files_.size(); ++i) {
      content.files_of_rows[next[static_cast<std::size_t>(files_[i].row)]++] = static_cast<std::uint32_t>(i);
    }
    const StoredVectors vectors(store, content.vector_offsets, shape().width);
    const bool clusters = options_.approximate == Approximate::kAlways ||
                          (options_.approximate == Approximate::kAuto && vectors.size() > kExactRows);
    if (clusters) {
      RowClusters found = cluster_rows(vectors);
      content.centroids = std::move(found.centroids);
      content.cluster_of_rows = std::move(found.of_rows);
    }
    log::info("writing the codes of {} pictures", vectors.size());
    write_codes(codes_file, vectors, content);
    background_ = embed_unit_texts(model_, background_texts());
    if (clusters) fit_clusters(codes_file, vectors);
    const Codes codes(codes_file);
    EmbeddingStoreWriter background(paths_.work() / paths_.background().filename(), weights(), shape());
    const std::vector<std::string> texts = background_texts();
    background.add(texts, std::vector<std::uint64_t>(texts.size(), 1), background_);
    background.finish();
    calibration_ = make_calibration(codes, vectors);
    report_.calibration = calibration_.describe();
  }

  void fit_clusters(const fs::path& codes_file, const StoredVectors& vectors) {
    std::vector<std::vector<float>> queries;
    for (std::int64_t i = 0; i < std::min(kRecallQueries, background_.size(0)); ++i) {
      const float* row = background_.const_data_ptr<float>() + i * background_.size(1);
      queries.emplace_back(row, row + background_.size(1));
    }
    for (std::int64_t i = 0; i < std::min(kRecallQueries, vectors.size()); ++i) {
      std::vector<float>& query = queries.emplace_back(static_cast<std::size_t>(vectors.width()));
      vectors.unit(i * vectors.size() / kRecallQueries % vectors.size(), query);
    }
    report_.recall = measure_recall(Codes(codes_file), vectors, queries, options_.recall);
    set_looked_at(codes_file, report_.recall->looked_at);
  }

  /// Of the earlier index, whose model is known to be this one, where it is not to be made anew.
  std::optional<Calibration> calibration_by_captions() const {
    std::error_code ignored;
    if (options_.rebuild || !options_.calibrate.manifest.empty() || (!earlier_.whole() && !earlier_.vectors()) ||
        (earlier_.description() && !of_this_source()) || !fs::exists(paths_.calibration(), ignored)) {
      return std::nullopt;
    }
    try {
      Calibration before =
          read_calibration(paths_.calibration(), earlier_.whole() ? &*earlier_.description() : nullptr);
      if (before.by == CalibratedBy::kCaptions) return before;
    } catch (const DataError&) {
      log::warning(
          "{} is damaged: the index is calibrated by background. Repeat with --calibrate if it was by captions",
          paths_.calibration().string());
    }
    return std::nullopt;
  }

  Calibration make_calibration(const Codes& codes, const StoredVectors& vectors) {
    if (std::optional<Calibration> before = calibration_by_captions()) {
      before->nearest_other = nearest_others(codes, vectors, options_.calibrate.pictures);
      if (earlier_.whole() && (codes.rows() > 2 * earlier_.description()->pictures ||
                               2 * codes.rows() < earlier_.description()->pictures)) {
        log::warning("the index has become another since it was calibrated: repeat with --calibrate {}",
                     before->manifest);
      }
      return *std::move(before);
    }
    std::unordered_map<std::uint64_t, std::int64_t> row_of;
    for (std::size_t i = 0; i < contents_.size(); ++i) row_of.emplace(contents_[i], static_cast<std::int64_t>(i));
    const auto find = [&](std::uint64_t content) {
      const auto at = row_of.find(content);
      return at == row_of.end() ? std::nullopt : std::optional(at->second);
    };
    return calibrate_index(codes, vectors, model_, background_, find, options_.calibrate);
  }

  /// Nothing is computed from here on. index.json goes first and comes last: where it is, all parts belong together.
  void commit() {
    IndexDescription description{list_.source.string(), list_.root.string(), model_.spec, weights(), 0, 0, 0, 0, 0};
    description.files = static_cast<std::int64_t>(files_.size());
    description.pictures = static_cast<std::int64_t>(contents_.size());
    description.skipped = static_cast<std::int64_t>(list_.skipped.size());
    description.build = build_;
    description.files_bytes = lines_.size();
    const std::string calibration = calibration_.to_json();
    description.calibration_sum = sum_of(calibration);
    earlier_ = earlier_.whole() ? forget_vectors(std::move(earlier_)) : EarlierIndex();
    std::error_code ignored;
    fs::remove(paths_.description(), ignored);
    for (const fs::path& part : {paths_.vectors(), paths_.codes(), paths_.background()}) {
      GuardedOutput guard(part);
      std::error_code failed;
      fs::rename(paths_.work() / part.filename(), part, failed);
      if (failed) throw Error(fmt::format("{}: cannot be written ({})", part.string(), failed.message()));
      guard.done();
    }
    write_file_atomic(paths_.files(), lines_);
    write_file_atomic(paths_.skipped(), skipped_lines_);
    write_file_atomic(paths_.calibration(), calibration);
    write_file_atomic(paths_.description(), description.to_json());
  }

  /// What counting needs stays; the mapped file is let go before another takes its name.
  EarlierIndex forget_vectors(EarlierIndex earlier) {
    earlier_files_ = earlier.files();
    return {};
  }

  void count() {
    count_changes(report_.nothing_changed ? earlier_.files() : earlier_files_, files_, report_);
    report_.files = static_cast<std::int64_t>(files_.size());
    report_.pictures = static_cast<std::int64_t>(contents_.size());
    report_.skipped = static_cast<std::int64_t>(list_.skipped.size());
    report_.hidden = list_.hidden;
    report_.others = list_.others;
    report_.first_skipped.assign(
        list_.skipped.begin(),
        list_.skipped.begin() + static_cast<std::ptrdiff_t>(std::min(kShownSkipped, list_.skipped.size())));
  }

  IndexPaths paths_;
  SearchModel& model_;
  const IndexOptions& options_;
  fs::path source_;
  PictureList list_;
  EarlierIndex earlier_;
  std::vector<IndexedFile> earlier_files_;
  std::vector<IndexedFile> files_;         // those that can be read, by name
  std::vector<std::uint64_t> contents_;    // of rows
  std::vector<std::uint64_t> hashes_;      // of rows
  std::string lines_, skipped_lines_;      // files.jsonl, skipped.jsonl
  std::vector<std::uint64_t> line_begin_;  // in lines_
  std::uint64_t build_ = 0;
  at::Tensor background_;  // background_texts() by the model
  Calibration calibration_;
  IndexReport report_;
};

}  // namespace

IndexReport build_index(const fs::path& source, const fs::path& out, SearchModel& model, const IndexOptions& options) {
  return IndexBuilder(source, out, model, options).run();
}

std::optional<std::string> model_of_index(const fs::path& index) {
  const IndexPaths paths{index};
  std::error_code ignored;
  if (!fs::exists(paths.description(), ignored)) return std::nullopt;
  go_on_with(paths.description());
  try {
    return read_description(paths.description()).model;
  } catch (const DamagedPart& error) {
    log::warning("{}", error.what());
    return std::nullopt;
  }
}

}  // namespace vicha

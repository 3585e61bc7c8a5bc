#include "concepts/match/assign.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/named_outputs.h"
#include "base/progress.h"
#include "concepts/store/store.h"
#include "data/manifest/record_fields.h"
#include "data/manifest/rewrite.h"

namespace vicha {
namespace {

using Record = nlohmann::ordered_json;

constexpr std::int64_t kAlwaysAllowed = 8;
constexpr std::int64_t kVectorsAtOnce = 4096;

/// Four decimals are more than the stores' half precision tells apart.
double rounded(double x) { return std::round(x * 1e4) / 1e4; }

std::vector<NamedPicture> pictures_named(const Record& record, const fs::path& manifest, std::int64_t number) {
  return pictures_of(record, [&] { return fmt::format("{}, record {}", manifest.string(), number); });
}

/// Where an image's vectors are.
struct Place {
  std::size_t store;
  std::int64_t record;
};

class Stores {
 public:
  Stores(const std::vector<fs::path>& files, const SourceWeights& source, std::string_view where_source) {
    if (files.empty()) throw UsageError("no embedding store is given");
    for (const fs::path& file : files) {
      stores_.push_back(EmbeddingStore::open(file));
      require_embeddings(stores_.back(), FeatureKind::kPooled);
      if (const auto& layout = stores_.back().shape().layout; layout && layout->views > 1) {
        throw DataError(file.string(), fmt::format("holds {}: views are not regions", layout->describe()),
                        "Embed the pictures without --views, or with `vicha concepts embed --regions N`");
      }
      require_same(source, where_source, stores_.back().source(), file.string());
      if (const std::int64_t lost = stores_.back().lost_bytes(); lost > 0) {
        log::warning(
            "{}: cut short, {} bytes at its end are not a whole block; `vicha concepts embed` computes them again",
            file.string(), lost);
      }
      const StoreShape &shape = stores_.back().shape(), &first = stores_.front().shape();
      if (shape.vectors != first.vectors || shape.width != first.width) {
        throw DataError(file.string(),
                        fmt::format("holds {} x {} numbers a picture, and {} holds {} x {}", shape.vectors, shape.width,
                                    files.front().string(), first.vectors, first.width),
                        "Use stores of one kind");
      }
      wanted_.emplace_back(static_cast<std::size_t>(stores_.back().size()), -1);
    }
  }

  std::int64_t vectors() const { return stores_.front().shape().vectors; }
  std::size_t size() const { return stores_.size(); }
  const EmbeddingStore& operator[](std::size_t i) const { return stores_[i]; }

  std::optional<Place> find(std::string_view image) const {
    for (std::size_t s = 0; s < stores_.size(); ++s) {
      if (const auto record = stores_[s].find(image)) return Place{s, *record};
    }
    return std::nullopt;
  }
  void want(const Place& place) { wanted_[place.store][static_cast<std::size_t>(place.record)] = 0; }
  /// Numbers the wanted records in the order of the stores; returns them.
  std::vector<Place> number_wanted() {
    std::vector<Place> places;
    for (std::size_t s = 0; s < stores_.size(); ++s) {
      for (std::size_t r = 0; r < wanted_[s].size(); ++r) {
        if (wanted_[s][r] < 0) continue;
        wanted_[s][r] = static_cast<std::int64_t>(places.size());
        places.push_back({s, static_cast<std::int64_t>(r)});
      }
    }
    return places;
  }
  std::int64_t number(const Place& place) const { return wanted_[place.store][static_cast<std::size_t>(place.record)]; }

  /// (count * vectors, width), the rows in the order of `places`.
  at::Tensor rows(std::span<const Place> places) const {
    std::vector<at::Tensor> parts;
    for (std::size_t i = 0; i < places.size();) {
      std::vector<std::int64_t> records;
      const std::size_t store = places[i].store;
      for (; i < places.size() && places[i].store == store; ++i) records.push_back(places[i].record);
      parts.push_back(stores_[store].rows(records));
    }
    return at::cat(parts);
  }

 private:
  std::vector<EmbeddingStore> stores_;
  std::vector<std::vector<std::int64_t>> wanted_;  // of each record: its number, or -1
};

/// What is written of each image, by its number: words best first.
struct Found {
  std::vector<std::int32_t> words;
  std::vector<float> scores;
  std::vector<std::int32_t> kept;          // how many of the `width` slots are filled
  std::vector<std::int32_t> region_words;  // region mode: -1 for none
  std::int64_t width = 0, regions = 0;

  void keep(std::span<const std::int32_t> w, std::span<const float> s) {
    kept.push_back(static_cast<std::int32_t>(w.size()));
    words.insert(words.end(), w.begin(), w.end());
    scores.insert(scores.end(), s.begin(), s.end());
    words.resize(kept.size() * static_cast<std::size_t>(width), -1);
    scores.resize(words.size(), 0);
  }
};

void keep_nearest(const NearestWords& nearest, double threshold, Found& found) {
  for (std::int64_t i = 0; i < nearest.images; ++i) {
    const std::size_t count = nearest.probable(i, threshold);
    found.keep(nearest.words_of(i).first(count), nearest.cosines_of(i).first(count));
  }
}

void keep_tags(const NearestWords& nearest, std::int64_t vectors, const TagOptions& options, Found& found) {
  for (std::int64_t first = 0; first < nearest.images; first += vectors) {
    const ImageTags tags = tags_of(nearest, first, vectors, options);
    std::vector<std::int32_t> words;
    std::vector<float> probabilities;
    for (const RegionTag& tag : tags.best) {
      words.push_back(tag.word);
      probabilities.push_back(tag.probability);
    }
    found.keep(words, probabilities);
    for (const RegionTag& tag : tags.regions) found.region_words.push_back(tag.word);
  }
}

Found compare(const Stores& stores, const std::vector<Place>& places, const ConceptKit& kit,
              const AssignOptions& options) {
  NearestOptions nearest{.k = options.k, .probabilities = options.threshold > 0, .scale = kit.scale};
  nearest.approximate = options.approximate;
  if (options.regions) {
    nearest.k = 1;
    nearest.probabilities = true;
  }
  WordMatcher matcher(kit.unit_VE, nearest);
  Found found;
  found.width = options.regions ? options.regions->num_tags : matcher.options().k;
  found.regions = options.regions ? stores.vectors() - 1 : 0;
  const auto count = static_cast<std::int64_t>(places.size());
  const std::int64_t at_once = std::max<std::int64_t>(1, kVectorsAtOnce / stores.vectors());
  Progress progress("assigning concepts", "pictures", count);
  for (std::int64_t first = 0; first < count; first += at_once) {
    const auto part = std::span(places).subspan(static_cast<std::size_t>(first),
                                                static_cast<std::size_t>(std::min(at_once, count - first)));
    const at::Tensor rows = stores.rows(part);
    if (options.regions) {
      keep_tags(matcher.nearest(rows.flatten(0, 1)), stores.vectors(), *options.regions, found);
    } else {
      keep_nearest(matcher.nearest(rows.select(1, 0)), options.threshold, found);
    }
    progress.update(first + static_cast<std::int64_t>(part.size()));
  }
  return found;
}

/// `suffix`: of the fields of that picture.
void write_words(Record& record, const std::string& suffix, const Found& found, std::int64_t number,
                 const ConceptVocabulary& vocabulary) {
  Record words = Record::array(), scores = Record::array();
  const std::int64_t first = number * found.width;
  for (std::int64_t i = first; i < first + found.kept[static_cast<std::size_t>(number)]; ++i) {
    words.push_back(vocabulary.word(found.words[static_cast<std::size_t>(i)]));
    scores.push_back(rounded(found.scores[static_cast<std::size_t>(i)]));
  }
  record["kwords" + suffix] = std::move(words);
  record["kword_scores" + suffix] = std::move(scores);
  if (found.regions == 0) return;
  Record tags = Record::array();
  for (std::int64_t i = number * found.regions; i < (number + 1) * found.regions; ++i) {
    const std::int32_t word = found.region_words[static_cast<std::size_t>(i)];
    tags.push_back(word < 0 ? Record() : Record(vocabulary.word(word)));
  }
  record[kRegionTagsField + std::string(suffix)] = std::move(tags);
}

ConceptProvenance provenance_of(const ConceptKit& kit, const AssignOptions& options) {
  ConceptProvenance provenance = kit.provenance;
  provenance.k = options.k;
  provenance.threshold = options.threshold;
  if (options.regions) provenance.source.clear();
  return provenance;
}

}  // namespace

std::int64_t rewrite_with_concepts(const fs::path& manifest, const fs::path& out, const ConceptProvenance& provenance,
                                   const std::function<bool(Record&, std::int64_t)>& edit) {
  const GuardedOutputs outputs({{"--out", out}, {"its identity", concept_provenance_file(out)}}, {manifest});
  std::error_code ignored;
  fs::remove(concept_provenance_file(out), ignored);
  const std::int64_t records = rewrite_manifest(manifest, out, edit);
  set_concept_provenance(out, provenance);
  return records;
}

AssignReport assign_concepts(const fs::path& manifest, const std::vector<fs::path>& files, const ConceptKit& kit,
                             const fs::path& out, const AssignOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  if (options.k < 1) throw UsageError("--k must be at least 1");
  Stores stores(files, kit.provenance.weights, "the vocabulary's embeddings");
  if (options.regions) region_side(stores.vectors(), files.front().string());

  AssignReport report;
  std::string first_missing;
  std::int64_t records = 0;
  for_each_record(manifest, [&](const Record& record, std::int64_t number) {
    ++records;
    std::vector<Place> places;
    for (const NamedPicture& picture : pictures_named(record, manifest, number)) {
      const auto place = stores.find(picture.image);
      if (!place) {
        if (report.left_out++ == 0) first_missing = fmt::format("\"{}\" of record {}", picture.image, number);
        return;
      }
      places.push_back(*place);
    }
    for (const Place& place : places) stores.want(place);
  });
  const auto allowed =
      std::max(kAlwaysAllowed, static_cast<std::int64_t>(options.max_missing_share * static_cast<double>(records)));
  if (report.left_out > allowed || (report.left_out > 0 && report.left_out == records)) {
    throw DataError(manifest.string(),
                    fmt::format("{} of {} records name a picture that is in no store, the first {}", report.left_out,
                                records, first_missing),
                    fmt::format("Embed this manifest's pictures first (`vicha concepts embed`), or raise {}",
                                options.share_option));
  }
  const std::vector<Place> places = stores.number_wanted();
  const Found found = compare(stores, places, kit, options);
  report.images = static_cast<std::int64_t>(places.size());
  report.without_words = std::count(found.kept.begin(), found.kept.end(), 0);
  std::vector<bool> used(static_cast<std::size_t>(kit.vocabulary.size()), false);
  for (const std::int32_t word : found.words) {
    if (word >= 0) used[static_cast<std::size_t>(word)] = true;
  }
  report.words_used = std::count(used.begin(), used.end(), true);
  report.records =
      rewrite_with_concepts(manifest, out, provenance_of(kit, options), [&](Record& record, std::int64_t number) {
        const std::vector<NamedPicture> pictures = pictures_named(record, manifest, number);
        for (const NamedPicture& picture : pictures) {
          if (!stores.find(picture.image)) return false;
        }
        for (const NamedPicture& picture : pictures) {
          write_words(record, picture.suffix, found, stores.number(*stores.find(picture.image)), kit.vocabulary);
        }
        return true;
      });
  if (report.left_out > 0) {
    log::warning("{}: {} records left out whose picture is in no store (unreadable?), the first {}", out.string(),
                 report.left_out, first_missing);
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

AssignReport assign_from_field(const fs::path& manifest, std::string_view field, const fs::path& out, std::int64_t k) {
  const auto start = std::chrono::steady_clock::now();
  if (k < 1) throw UsageError("--k must be at least 1");
  AssignReport report;
  std::unordered_set<std::string> used;
  const std::string name(field);
  report.records =
      rewrite_with_concepts(manifest, out, field_provenance(field, k), [&](Record& record, std::int64_t number) {
        const auto found = record.find(name);
        const bool right = found != record.end() && found->is_array() &&
                           std::all_of(found->begin(), found->end(), [](const Record& w) { return w.is_string(); });
        if (!right) {
          throw DataError(fmt::format("{}, record {}", manifest.string(), number),
                          fmt::format("has no list of words in \"{}\"", name),
                          "Name the field that holds the concepts");
        }
        Record words = Record::array();
        for (const Record& word : *found) {
          if (static_cast<std::int64_t>(words.size()) == k) break;
          words.push_back(word);
          used.insert(word.get<std::string>());
        }
        if (words.empty()) ++report.without_words;
        record.erase("kword_scores");
        record["kwords"] = std::move(words);
        return true;
      });
  report.images = report.records;
  report.words_used = static_cast<std::int64_t>(used.size());
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace vicha

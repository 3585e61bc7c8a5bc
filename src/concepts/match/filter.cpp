#include "concepts/match/filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "data/manifest/not_numbers.h"
#include "data/manifest/record_reader.h"
#include "data/manifest/rewrite.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;
using Pair = std::uint64_t;

/// Drops the pairs of [begin, end) that are not among the best `count`.
void drop_all_but(std::vector<Pair>::iterator begin, std::vector<Pair>::iterator end, std::int64_t count,
                  const std::vector<float>& sims, std::vector<bool>& kept) {
  if (count >= end - begin) return;
  const auto better = [&sims](Pair a, Pair b) { return sims[a] > sims[b] || (sims[a] == sims[b] && a < b); };
  std::nth_element(begin, begin + count, end, better);
  for (auto pair = begin + count; pair != end; ++pair) kept[*pair] = false;
}

void keep_best(const ManifestPairs& pairs, const Share& share, std::vector<bool>& kept) {
  std::vector<Pair> all;
  for (Pair pair = 0; pair < pairs.sims.size(); ++pair) {
    if (!std::isnan(pairs.sims[pair])) all.push_back(pair);
  }
  drop_all_but(all.begin(), all.end(), share.at_least_one_of(static_cast<std::int64_t>(all.size())), pairs.sims, kept);
}

void keep_best_captions(const ManifestPairs& pairs, const Share& share, std::vector<bool>& kept) {
  // Pairs sorted by their image, in the manifest's order within one: a counting sort.
  std::vector<std::uint64_t> begin(static_cast<std::size_t>(pairs.images) + 1);
  const auto for_each_pair = [&pairs](auto&& see) {
    for (std::size_t i = 0; i < pairs.records.size(); ++i) {
      for (Pair pair = pairs.records[i].first_pair; pair < pairs.end_pair(i); ++pair) {
        if (!std::isnan(pairs.sims[pair])) see(pairs.records[i].image, pair);
      }
    }
  };
  for_each_pair([&](std::uint32_t image, Pair) { ++begin[image + 1]; });
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<Pair> sorted(begin.back());
  for_each_pair([&](std::uint32_t image, Pair pair) { sorted[begin[image]++] = pair; });
  // Each entry of `begin` has moved to its image's end.
  std::uint64_t from = 0;
  for (std::size_t image = 0; image + 1 < begin.size(); ++image) {
    const std::uint64_t to = begin[image];
    drop_all_but(sorted.begin() + static_cast<std::ptrdiff_t>(from), sorted.begin() + static_cast<std::ptrdiff_t>(to),
                 share.at_least_one_of(static_cast<std::int64_t>(to - from)), pairs.sims, kept);
    from = to;
  }
}

/// The number that is written: the shortest decimal that reads back as this float.
double shortest(float value) { return std::strtod(fmt::format("{}", value).c_str(), nullptr); }

/// A row of the output: a record, or (split) one of its pairs.
struct Row {
  std::uint32_t record;
  std::uint32_t caption;  // among the record's; of a whole record, its best
};

class FilteredWriter {
 public:
  FilteredWriter(const ManifestPairs& pairs, const std::vector<bool>& kept, const fs::path& out,
                 const FilterOutput& options)
      : pairs_(pairs),
        kept_(kept),
        options_(options),
        file_(pairs.file),
        writer_(out, out_in_lines(pairs.file, out, pairs.lines)) {
    VICHA_ASSERT(kept.size() == pairs.sims.size());
    report_.records = static_cast<std::int64_t>(pairs.records.size());
    report_.pairs = static_cast<std::int64_t>(pairs.sims.size());
    report_.images = pairs.images;
  }

  FilterReport run() {
    collect_rows();
    if (rows_.empty()) {
      throw DataError(pairs_.file.string(), "no pair of picture and caption is kept", "Ask for less: see --min-sim");
    }
    if (!options_.keep_order) {
      std::stable_sort(rows_.begin(), rows_.end(), [this](const Row& a, const Row& b) { return sim(a) > sim(b); });
    }
    if (file_.bytes().size() != pairs_.file_bytes) changed();
    for (const Row& row : rows_) write(row);
    report_.kept_rows = writer_.size();
    writer_.finish();
    return report_;
  }

 private:
  float sim(const Row& row) const { return pairs_.sims[pairs_.records[row.record].first_pair + row.caption]; }

  void collect_rows() {
    std::vector<bool> images(static_cast<std::size_t>(pairs_.images));
    for (std::size_t i = 0; i < pairs_.records.size(); ++i) {
      const ManifestPairs::Record& record = pairs_.records[i];
      const auto number = static_cast<std::uint32_t>(i);
      bool any = false;
      for (std::uint32_t caption = 0; caption < pairs_.end_pair(i) - record.first_pair; ++caption) {
        if (!kept_[record.first_pair + caption]) continue;
        ++report_.kept_pairs;
        const Row row{number, caption};
        if (options_.split_captions || !any) {
          rows_.push_back(row);
        } else if (sim(row) > sim(rows_.back())) {
          rows_.back() = row;
        }
        any = true;
      }
      if (!any || images[record.image]) continue;
      images[record.image] = true;
      ++report_.kept_images;
    }
  }

  void write(const Row& row) {
    const ManifestPairs::Record& place = pairs_.records[row.record];
    const std::string_view text(reinterpret_cast<const char*>(file_.bytes().data()) + place.offset, place.length);
    Json record = value_without_not_numbers(text);
    if (!record.is_object() || !record.contains("caption")) changed();
    Json& caption = record["caption"];
    const std::span<const float> sims = pairs_.sims_of(row.record);
    if (caption.is_array() && caption.size() != sims.size()) changed();
    Json kept_sims = Json::array();
    if (caption.is_array() && options_.split_captions) {
      caption = Json(caption[row.caption]);
    } else if (caption.is_array()) {
      Json captions = Json::array();
      for (std::size_t i = 0; i < sims.size(); ++i) {
        if (!kept_[place.first_pair + i]) continue;
        captions.push_back(caption[i]);
        kept_sims.push_back(shortest(sims[i]));
      }
      caption = std::move(captions);
    }
    record["sim"] = shortest(sim(row));
    if (kept_sims.empty()) {
      record.erase("sims");  // of captions that were a list
    } else {
      record["sims"] = std::move(kept_sims);
    }
    add_changed(writer_, text, record);
  }

  [[noreturn]] void changed() const {
    throw DataError(pairs_.file.string(), "has changed while it was filtered", "Start again");
  }

  const ManifestPairs& pairs_;
  const std::vector<bool>& kept_;
  const FilterOutput& options_;
  MappedFile file_;
  ManifestWriter writer_;
  std::vector<Row> rows_;
  FilterReport report_;
};

}  // namespace

std::vector<bool> select_pairs(const ManifestPairs& pairs, const FilterRules& rules) {
  std::vector<bool> kept(pairs.sims.size());
  for (std::size_t pair = 0; pair < kept.size(); ++pair) {
    const float sim = pairs.sims[pair];
    kept[pair] = !std::isnan(sim) && (!rules.min_sim || sim >= static_cast<float>(*rules.min_sim));
  }
  if (rules.keep_captions) keep_best_captions(pairs, *rules.keep_captions, kept);
  if (rules.keep) keep_best(pairs, *rules.keep, kept);
  return kept;
}

FilterReport write_filtered(const ManifestPairs& pairs, const std::vector<bool>& kept, const fs::path& out,
                            const FilterOutput& options) {
  return FilteredWriter(pairs, kept, out, options).run();
}

}  // namespace vicha

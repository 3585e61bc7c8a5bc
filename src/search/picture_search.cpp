#include "search/picture_search.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <utility>

#include "base/blank.h"
#include "base/error.h"
#include "search/embed_pictures.h"
#include "search/picture_hash.h"

namespace vicha {
namespace {

constexpr double kAlikeCosine = 0.95;
constexpr int kAlikeBits = 6;  ///< of 64

bool looks_like_picture(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.find(' ') != std::string_view::npos) return false;
  std::string suffix(name.substr(dot + 1));
  for (char& c : suffix) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  constexpr std::string_view kSuffixes[] = {"jpg", "jpeg", "png", "webp", "gif", "tif", "tiff", "avif", "heic", "bmp"};
  return std::find(std::begin(kSuffixes), std::end(kSuffixes), suffix) != std::end(kSuffixes);
}

double height(double cosine, const Spread& spread) {
  return spread.deviation > 1e-6 ? (cosine - spread.mean) / spread.deviation : 0;
}

/// Letters, digits, or anything beyond ASCII: marks alone mean nothing to a text encoder, and find what they happen to.
bool has_words(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c >= 0x80 || std::isalnum(c) != 0; });
}

}  // namespace

SearchQuery SearchQuery::parse(std::string_view given) {
  const std::string_view kText = "text:", kImage = "image:";
  SearchQuery query;
  std::error_code ignored;
  if (given.starts_with(kText)) {
    query.text = given.substr(kText.size());
  } else if (given.starts_with(kImage)) {
    query.text = given.substr(kImage.size());
    query.picture = query.text;
    if (!query.text.empty() && !fs::is_regular_file(query.picture, ignored)) {
      throw DataError(query.text, fs::exists(query.picture, ignored) ? "is not a file" : "does not exist",
                      "Give the path of a picture behind image:");
    }
  } else {
    query.text = given;
    if (!query.text.empty() && fs::is_regular_file(query.text, ignored)) {
      query.picture = query.text;
    } else if (looks_like_picture(given)) {
      throw UsageError(fmt::format("there is no picture {}. To look for these words, give text:{}", given, given));
    }
  }
  if (!has_words(query.text)) {
    const bool blank = is_blank(query.text);
    throw UsageError(fmt::format("the query {}. Give words, or the path of a picture",
                                 blank ? "is empty" : fmt::format("\"{}\" has no words", query.text)));
  }
  return query;
}

bool nearly_alike(const PictureIndex& index, std::int64_t a, std::int64_t b) {
  return hash_distance(index.picture_hash(a), index.picture_hash(b)) <= kAlikeBits &&
         index.vectors().cosine_of_rows(a, b) >= kAlikeCosine;
}

struct PictureSearch::Found {
  std::int64_t row;
  double cosine, score;
  double probability = 0;
  std::optional<double> matching = {};
};

PictureSearch::PictureSearch(const PictureIndex& index, SearchModel& model) : index_(index), model_(model) {
  const SourceWeights& of_index = index.description().weights;
  const SourceWeights& of_model = model.towers->weights();
  if (of_index.same(of_model)) return;
  throw DataError(
      index.folder().string(),
      fmt::format("is an index of {}, and the model at {} is {}: its weights have changed, or it is another",
                  of_index.describe(), model.spec, of_model.describe()),
      "Name the index's model with --model, or index again into a new folder");
}

std::vector<PictureSearch::Found> PictureSearch::match(const std::string& text, std::vector<Found> found,
                                                       std::int64_t count) {
  const auto end = found.begin() + std::min<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(found.size()), count);
  std::vector<fs::path> files;
  for (auto at = found.begin(); at != end; ++at) files.push_back(index_.path(index_.files(at->row).front()));
  const std::vector<PictureMatcher::Match> matches = model_.matcher->match(text, files);
  for (Found& f : found) f.score = f.cosine / model_.matcher->temperature();
  for (std::size_t i = 0; i < matches.size(); ++i) {
    if (!matches[i].read) continue;
    found[i].score += model_.matcher->match_weight() * matches[i].log_odds;
    found[i].matching = 1 / (1 + std::exp(-matches[i].log_odds));
  }
  // What was not matched follows in its own order, whatever its score.
  std::stable_sort(found.begin(), end, [](const Found& a, const Found& b) {
    if (a.matching.has_value() != b.matching.has_value()) return a.matching.has_value();
    return a.score > b.score;
  });
  return found;
}

std::vector<SearchHit> PictureSearch::fold(const std::vector<Found>& found, std::uint64_t query_content,
                                           const SearchOptions& options, std::size_t& folded_until) {
  std::vector<SearchHit> hits;
  std::vector<std::int64_t> rows;  // of the hits
  for (folded_until = 0; folded_until < found.size(); ++folded_until) {
    const Found& f = found[folded_until];
    const auto alike =
        std::find_if(rows.begin(), rows.end(), [&](std::int64_t row) { return nearly_alike(index_, row, f.row); });
    const bool full = static_cast<std::int64_t>(hits.size()) >= options.k;
    if (full && (options.all || alike == rows.end())) {
      if (options.all) break;
      continue;  // a later one may still be like a hit
    }
    const std::vector<IndexedFile> files = index_.files(f.row);
    const bool itself = query_content != 0 && files.front().content == query_content;
    if (!options.all && alike != rows.end()) {
      SearchHit& hit = hits[static_cast<std::size_t>(alike - rows.begin())];
      for (const IndexedFile& file : files) hit.duplicates.push_back(index_.path(file));
      hit.itself = hit.itself || itself;
      continue;
    }
    for (std::size_t i = 0; i < files.size(); ++i) {
      const bool own = i == 0 || options.all;
      if (!own) {
        hits.back().duplicates.push_back(index_.path(files[i]));
      } else if (static_cast<std::int64_t>(hits.size()) < options.k) {
        hits.push_back(
            {index_.path(files[i]), files[i].name, f.score, f.cosine, f.probability, f.matching, itself, {}});
        rows.push_back(f.row);
      }
    }
  }
  return hits;
}

SearchResult PictureSearch::search(const SearchQuery& query, const SearchOptions& options) {
  std::uint64_t content = 0;
  at::Tensor unit;
  if (query.picture.empty()) {
    unit = embed_unit_texts(model_, {query.text});
  } else {
    const EmbeddedFiles file = embed_files(model_, {query.picture});
    if (std::string cause = file.readings.front().cause; !cause.empty()) {
      if (const std::string name = query.picture.string() + ": "; cause.starts_with(name)) cause.erase(0, name.size());
      throw DataError(query.picture.string(), "cannot be looked for: " + cause);
    }
    content = file.readings.front().content;
    unit = file.unit;
  }
  unit = unit.contiguous();
  const std::span<const float> vector(unit.const_data_ptr<float>(), static_cast<std::size_t>(unit.numel()));

  SearchResult result;
  const bool matching = options.rerank > 0 && model_.matcher != nullptr && query.picture.empty();
  const Calibration& calibration = index_.calibration();
  const double familiarity = query.picture.empty() ? index_.familiarity(vector) : 0;
  std::int64_t wanted = std::max({3 * options.k + 20, matching ? options.rerank : 0});
  for (;; wanted *= 4) {
    const auto start = std::chrono::steady_clock::now();
    const std::vector<Neighbour> nearest = index_.nearest(vector, wanted);
    const Spread spread = index_.spread(vector);
    result.milliseconds += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    std::vector<Found> found;
    for (const Neighbour& n : nearest) {
      const Standing standing{n.cosine, height(n.cosine, spread), familiarity};
      const double p =
          query.picture.empty() ? calibration.text_probability(standing) : calibration.picture_probability(n.cosine);
      found.push_back({n.row, n.cosine, n.cosine, p, {}});
    }
    result.best_probability = found.front().probability;
    if (query.picture.empty() && !options.min_probability) {
      const double best = found.front().cosine;
      result.meaning = calibration.meaning.probability({best, height(best, spread), familiarity});
      result.least_meaning = calibration.cut_off;
      if (result.meaning < result.least_meaning) return result;
    }
    if (options.min_probability) {
      std::erase_if(found, [&](const Found& f) { return f.probability < *options.min_probability; });
    }
    if (matching) {
      found = match(query.text, std::move(found), options.rerank);
      result.by_matching = true;
    }
    std::size_t seen = 0;
    result.hits = fold(found, content, options, seen);
    const bool enough = static_cast<std::int64_t>(result.hits.size()) >= options.k;
    if (enough || found.size() < nearest.size() || static_cast<std::int64_t>(nearest.size()) >= index_.rows()) break;
    if (static_cast<std::int64_t>(nearest.size()) < wanted) break;  // the clusters have no more
  }
  return result;
}

}  // namespace vicha

// `vicha search`: pictures of an index for words, or for a picture.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "search/picture_index.h"
#include "search/search_model.h"

namespace vicha {

struct SearchQuery {
  std::string text;               ///< as it is shown, too
  std::filesystem::path picture;  ///< not empty: the picture is what is looked for

  /// "text:…" and "image:…" say which it is; otherwise it is a picture if it names a file. Throws UsageError if it is
  /// empty, or looks like the name of a picture and none is there.
  static SearchQuery parse(std::string_view given);
};

struct SearchOptions {
  std::int64_t k = 10;
  bool all = false;  ///< pictures that are nearly alike are hits of their own
  /// Hits below are left out. Nothing: a query of words that mean nothing here finds nothing (Calibration::cut_off).
  std::optional<double> min_probability = {};
  std::int64_t rerank = 32;  ///< best hits that are matched, where the model can; 0: none
};

struct SearchHit {
  std::filesystem::path path;
  std::string name;  ///< as the index lists it
  double score = 0;  ///< the cosine, or what matching made of it: SearchResult::by_matching
  double cosine = 0;
  double probability = 0;                              ///< by the cosine: docs/search.md
  std::optional<double> matching = {};                 ///< probability that the model's matching gives, where it looked
  bool itself = false;                                 ///< the picture that was looked for
  std::vector<std::filesystem::path> duplicates = {};  ///< the same bytes, or nearly the same picture
};

struct SearchResult {
  std::vector<SearchHit> hits;
  bool by_matching = false;     ///< whether scores are cosine / temperature + log-odds of matching (where it looked)
  double best_probability = 0;  ///< of the best hit by cosine
  double meaning = 1, least_meaning = 0;  ///< how likely it is that the words mean something here; what is asked for
  double milliseconds = 0;                ///< from the query's vector to the nearest pictures
};

class PictureSearch {
 public:
  /// Throws DataError naming both if the model is not the index's.
  PictureSearch(const PictureIndex& index, SearchModel& model);

  /// Throws DataError if the query's picture cannot be read.
  SearchResult search(const SearchQuery& query, const SearchOptions& options);

 private:
  struct Found;
  std::vector<Found> match(const std::string& text, std::vector<Found> found, std::int64_t count);
  std::vector<SearchHit> fold(const std::vector<Found>& found, std::uint64_t query_content,
                              const SearchOptions& options, std::size_t& folded_until);

  const PictureIndex& index_;
  SearchModel& model_;
};

/// Whether two pictures of an index count as one: nearly the same direction, and nearly the same hash.
bool nearly_alike(const PictureIndex& index, std::int64_t a, std::int64_t b);

}  // namespace vicha

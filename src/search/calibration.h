// From scores to probabilities. What the numbers mean is said in docs/search.md; in short:
//   captions     how often a hit that scores like this is the picture that its caption belongs to, on a manifest whose
//                captions were looked for in this index
//   background   how likely it is that a best hit that scores like this is that of words that name something, and not
//   of
//                words that name nothing, both being equally frequent
//   pictures     of how many pictures of the index the nearest other one is less alike (for a picture as query)
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {

/// How a hit stands.
struct Standing {
  double cosine = 0;
  double height = 0;  ///< deviations above the mean of the query's cosines with all pictures of the index
  /// Of the query's words: their cosine with the background text that is nearest, which meaningless ones are far from.
  double familiarity = 0;
};

struct LabelledStanding {
  Standing standing;
  bool right = false;
  double weight = 1;
};

/// Log-odds that are linear in a standing's numbers and fall in none of them: so for one query the order of the
/// probabilities is that of the cosines.
struct LogOdds {
  double constant = 0, per_cosine = 0, per_height = 0, per_familiarity = 0;

  double probability(const Standing& s) const;
};
/// By maximum likelihood, with a faint pull to 0 for what separates without error. A slope that would be negative is
/// left out.
LogOdds fit_log_odds(std::span<const LabelledStanding> examples, bool use_familiarity);

enum class CalibratedBy { kNothing, kBackground, kCaptions };

struct Calibration {
  CalibratedBy by = CalibratedBy::kNothing;
  LogOdds text;     ///< of a hit, by its cosine and height
  LogOdds meaning;  ///< of a query, by all of its best hit's standing: that it means something here
  /// Queries that are less likely to mean something find nothing, unless the user says otherwise.
  double cut_off = 0;
  /// Cosines of the sampled pictures with their nearest other picture, ascending.
  std::vector<double> nearest_other;
  std::string manifest;  ///< of the captions

  // What it was made of, and what it does there.
  std::int64_t queries = 0;        ///< captions, or background texts
  double share_kept = 0;           ///< of them: above the cut-off
  double share_nonsense = 0;       ///< of nonsense texts: the same
  double expected = 0, found = 0;  ///< captions: mean probability of the best hit; how often it was right

  double text_probability(const Standing& s) const;
  double picture_probability(double cosine) const;

  std::string to_json() const;
  /// Lines that say how good it is, for people.
  std::string describe() const;
};
/// Throws DataError naming `where`.
Calibration calibration_from_json(std::string_view json, std::string_view where);

/// Best hits of texts that name something, in so many captions' case with right and wrong hits of each, and of
/// nonsense.
struct CalibrationQueries {
  std::vector<std::vector<LabelledStanding>> queries;  ///< hits of each, best first; background: the best alone
  std::vector<Standing> nonsense;                      ///< best hits
};
/// Fits both log-odds and the cut-off: 5 % of the nonsense may find something, but 5 % of the queries may be lost at
/// most, and that goes first.
Calibration calibrate(const CalibrationQueries& examples, CalibratedBy by);

}  // namespace vicha

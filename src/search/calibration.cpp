#include "search/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/json_number.h"
#include "base/json_text.h"
#include "base/printable.h"
#include "config/choice.h"
#include "search/damaged_part.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

constexpr Choice<CalibratedBy> kCalibratedByNames[] = {{"nothing", CalibratedBy::kNothing},
                                                       {"background", CalibratedBy::kBackground},
                                                       {"captions", CalibratedBy::kCaptions}};

constexpr double kPull = 0.05;  ///< of the squared slopes of standardised features
constexpr double kMayPass = 0.05, kMayBeLost = 0.05, kHighestCutOff = 0.5;
constexpr int kSteps = 50;

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

constexpr std::size_t kTerms = 4;  ///< the constant, then a standing's numbers
using Terms = std::array<double, kTerms>;

Terms terms_of(const Standing& s) { return {1, s.cosine, s.height, s.familiarity}; }

/// Solves A x = b, A symmetric and positive definite.
Terms solve(std::array<Terms, kTerms> a, Terms b) {
  for (std::size_t i = 0; i < kTerms; ++i) {
    for (std::size_t j = i + 1; j < kTerms; ++j) {
      const double f = a[j][i] / a[i][i];
      for (std::size_t k = i; k < kTerms; ++k) a[j][k] -= f * a[i][k];
      b[j] -= f * b[i];
    }
  }
  for (std::size_t i = kTerms; i-- > 0;) {
    for (std::size_t k = i + 1; k < kTerms; ++k) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  return b;
}

/// Newton's method on standardised numbers; slopes that are not used stay at 0.
Terms fit(std::span<const LabelledStanding> examples, const std::array<bool, kTerms>& used) {
  Terms mean{}, deviation{};
  double weight = 0;
  for (const LabelledStanding& e : examples) {
    const Terms x = terms_of(e.standing);
    for (std::size_t i = 1; i < kTerms; ++i) mean[i] += e.weight * x[i];
    weight += e.weight;
  }
  for (double& m : mean) m /= weight;
  for (const LabelledStanding& e : examples) {
    const Terms x = terms_of(e.standing);
    for (std::size_t i = 1; i < kTerms; ++i) deviation[i] += e.weight * std::pow(x[i] - mean[i], 2);
  }
  for (double& d : deviation) d = d / weight > 1e-18 ? std::sqrt(d / weight) : 1;

  Terms w{};
  for (int step = 0; step < kSteps; ++step) {
    std::array<Terms, kTerms> hessian{};
    Terms gradient{};
    for (std::size_t i = 0; i < kTerms; ++i) {
      hessian[i][i] = i == 0 ? 1e-6 : 2 * kPull;
      gradient[i] = i == 0 ? 0 : 2 * kPull * w[i];
    }
    for (const LabelledStanding& e : examples) {
      Terms x = terms_of(e.standing);
      double sum = w[0];
      for (std::size_t i = 1; i < kTerms; ++i) {
        x[i] = used[i] ? (x[i] - mean[i]) / deviation[i] : 0;
        sum += w[i] * x[i];
      }
      const double p = sigmoid(sum), curve = e.weight * std::max(p * (1 - p), 1e-9);
      for (std::size_t i = 0; i < kTerms; ++i) {
        gradient[i] += e.weight * (p - (e.right ? 1 : 0)) * x[i];
        for (std::size_t j = 0; j < kTerms; ++j) hessian[i][j] += curve * x[i] * x[j];
      }
    }
    const Terms move = solve(hessian, gradient);
    double largest = 0;
    for (const double m : move) largest = std::max(largest, std::abs(m));
    const double shorter = largest > 2 ? 2 / largest : 1;
    for (std::size_t i = 0; i < kTerms; ++i) w[i] -= shorter * move[i];
    if (largest < 1e-9) break;
  }
  for (std::size_t i = 1; i < kTerms; ++i) {
    w[i] /= deviation[i];
    w[0] -= w[i] * mean[i];
  }
  return w;
}

/// The value below which a share of them lies.
double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

double share_above(const std::vector<double>& values, double least) {
  const auto above = std::count_if(values.begin(), values.end(), [&](double v) { return v >= least; });
  return values.empty() ? 0 : static_cast<double>(above) / static_cast<double>(values.size());
}

Json json_of(const LogOdds& odds) {
  return {{"constant", odds.constant},
          {"per_cosine", odds.per_cosine},
          {"per_height", odds.per_height},
          {"per_familiarity", odds.per_familiarity}};
}

LogOdds log_odds_of(const Json& json) {
  return {json.at("constant").get<double>(), json.at("per_cosine").get<double>(), json.at("per_height").get<double>(),
          json.at("per_familiarity").get<double>()};
}

double rounded(double x) { return std::round(x * 1e6) / 1e6; }

}  // namespace

double LogOdds::probability(const Standing& s) const {
  return sigmoid(constant + per_cosine * s.cosine + per_height * s.height + per_familiarity * s.familiarity);
}

LogOdds fit_log_odds(std::span<const LabelledStanding> examples, bool use_familiarity) {
  if (examples.empty()) return {};
  std::array<bool, kTerms> used = {true, true, true, use_familiarity};
  for (;;) {
    const Terms w = fit(examples, used);
    const std::size_t least = static_cast<std::size_t>(std::min_element(w.begin() + 1, w.end()) - w.begin());
    if (w[least] >= 0) return {w[0], w[1], w[2], w[3]};
    used[least] = false;
  }
}

Calibration calibrate(const CalibrationQueries& examples, CalibratedBy by) {
  Calibration result;
  result.by = by;
  result.queries = static_cast<std::int64_t>(examples.queries.size());
  std::vector<LabelledStanding> first, all;  // best hits; every hit
  for (const auto& hits : examples.queries) {
    all.insert(all.end(), hits.begin(), hits.end());
    if (!hits.empty()) first.push_back({hits.front().standing, true, 1});
  }
  const double weight =
      static_cast<double>(first.size()) / static_cast<double>(std::max<std::size_t>(1, examples.nonsense.size()));
  for (const Standing& s : examples.nonsense) first.push_back({s, false, weight});
  result.text = fit_log_odds(by == CalibratedBy::kBackground ? first : all, false);
  result.meaning = fit_log_odds(first, true);
  std::vector<double> best, best_nonsense;
  for (const auto& hits : examples.queries) {
    if (hits.empty()) continue;
    best.push_back(result.meaning.probability(hits.front().standing));
    result.expected += result.text.probability(hits.front().standing);
    result.found += hits.front().right ? 1 : 0;
  }
  for (const Standing& s : examples.nonsense) best_nonsense.push_back(result.meaning.probability(s));
  if (!best.empty()) {
    result.expected /= static_cast<double>(best.size());
    result.found /= static_cast<double>(best.size());
  }
  result.cut_off = std::min({quantile(best_nonsense, 1 - kMayPass), quantile(best, kMayBeLost), kHighestCutOff});
  result.share_kept = share_above(best, result.cut_off);
  result.share_nonsense = share_above(best_nonsense, result.cut_off);
  return result;
}

double Calibration::text_probability(const Standing& s) const {
  return by == CalibratedBy::kNothing ? 0.5 : text.probability(s);
}

double Calibration::picture_probability(double cosine) const {
  if (nearest_other.empty()) return 0.5;
  const auto below = std::upper_bound(nearest_other.begin(), nearest_other.end(), cosine) - nearest_other.begin();
  // Half an observation aside at each end: what was seen in 500 pictures is never certain.
  return (static_cast<double>(below) + 0.5) / (static_cast<double>(nearest_other.size()) + 1);
}

std::string Calibration::to_json() const {
  Json json;
  json["by"] = name_of(kCalibratedByNames, by);
  json["hit"] = json_of(text);
  json["meaning"] = json_of(meaning);
  json["cut_off"] = cut_off;
  json["manifest"] = manifest;
  json["queries"] = queries;
  json["share_kept"] = rounded(share_kept);
  json["share_nonsense"] = rounded(share_nonsense);
  if (by == CalibratedBy::kCaptions) {
    json["best_hit_expected"] = rounded(expected);
    json["best_hit_right"] = rounded(found);
  }
  json["nearest_other"] = nearest_other;
  return json_text(json, 1) + "\n";
}

Calibration calibration_from_json(std::string_view text, std::string_view where) {
  try {
    const Json json = Json::parse(text);
    Calibration c;
    const auto by = value_named(kCalibratedByNames, json.at("by").get<std::string>());
    if (!by) throw DataError(where, "is of a kind that this program does not know", kRepeatIndex);
    c.by = *by;
    c.text = log_odds_of(json.at("hit"));
    c.meaning = log_odds_of(json.at("meaning"));
    c.cut_off = json.at("cut_off").get<double>();
    c.manifest = json.at("manifest").get<std::string>();
    c.queries = whole_number<std::int64_t>(json, "queries");
    c.share_kept = json.at("share_kept").get<double>();
    c.share_nonsense = json.at("share_nonsense").get<double>();
    c.expected = json.value("best_hit_expected", 0.0);
    c.found = json.value("best_hit_right", 0.0);
    c.nearest_other = json.at("nearest_other").get<std::vector<double>>();
    return c;
  } catch (const Json::exception& error) {
    throw DataError(where, fmt::format("is damaged ({})", printable(json_reason(error.what()))), kRepeatIndex);
  }
}

std::string Calibration::describe() const {
  if (by == CalibratedBy::kNothing) return "not calibrated";
  const std::string rest = fmt::format(
      "below {:.3f} nothing is found: {:.0f} % of {} and {:.0f} % of texts without meaning find something", cut_off,
      100 * share_kept, by == CalibratedBy::kCaptions ? "captions" : "texts about common things", 100 * share_nonsense);
  if (by == CalibratedBy::kBackground)
    return fmt::format("calibrated by {} texts about common things; {}", queries, rest);
  return fmt::format(
      "calibrated by {} captions, whose best hit is right in {:.1f} % of the cases (expected {:.1f} %); {}", queries,
      100 * found, 100 * expected, rest);
}

}  // namespace vicha

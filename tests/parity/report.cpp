#include "report.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

namespace vicha::parity {

double relative_l2(const at::Tensor& ours, const at::Tensor& theirs) {
  if (!ours.defined() || ours.sizes() != theirs.sizes()) return std::numeric_limits<double>::infinity();
  const at::Tensor a = ours.detach().to(at::kDouble), b = theirs.to(at::kDouble);
  return (a - b).norm().item<double>() / std::max(b.norm().item<double>(), 1e-12);
}

void Report::add(std::string_view what, double error, double tolerance) {
  entries_.push_back(
      {std::string(what), std::isnan(error) ? std::numeric_limits<double>::infinity() : error, tolerance});
}

void Report::tensor(std::string_view what, const at::Tensor& ours, const at::Tensor& theirs, double tolerance) {
  add(what, relative_l2(ours, theirs), tolerance);
}

void Report::close(std::string_view group) {
  const auto beyond = [](const Entry& e) { return e.error > e.tolerance; };
  const auto bad = std::count_if(entries_.begin(), entries_.end(), beyond);
  // The worst is the one that uses up the largest share of its tolerance.
  const auto share = [](const Entry& e) {
    return e.tolerance > 0 ? e.error / e.tolerance : (e.error > 0 ? 1e300 : 0.0);
  };
  std::sort(entries_.begin(), entries_.end(), [&](const Entry& a, const Entry& b) { return share(a) > share(b); });
  const bool failed = bad > 0 || entries_.empty();
  ++groups_;
  failed_ += failed;
  const Entry none{"-", 0, 0};
  const Entry& worst = entries_.empty() ? none : entries_.front();
  std::printf("%s %-36.*s %5zu compared, worst %.1e (allowed %.0e) at %s", failed ? "FAIL" : "ok  ",
              static_cast<int>(group.size()), group.data(), entries_.size(), worst.error, worst.tolerance,
              worst.what.c_str());
  if (bad > 1) std::printf("; %ld beyond", static_cast<long>(bad));
  std::printf("\n");
  if (verbose_) {
    for (std::size_t i = 0; i < std::min<std::size_t>(entries_.size(), 12); ++i) {
      std::printf("       %.2e %s\n", entries_[i].error, entries_[i].what.c_str());
    }
  }
  std::fflush(stdout);
  entries_.clear();
}

}  // namespace vicha::parity

// R@1, R@5 and R@10 of both directions as a table of the report.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "metrics/recall.h"
#include "report/comparison.h"
#include "report/html.h"

namespace vicha {

class RecallTable {
 public:
  RecallTable(Html& html, std::string_view caption);

  /// `kind`: class of the row ("best", "chance", "").
  void add(const std::string& name, const RetrievalMetrics& metrics, std::string_view kind);
  /// "23.1 ± 0.6".
  void add(const std::string& name, const MetricsSpread& metrics, std::int64_t runs, std::string_view kind);
  /// "+0.4 ± 0.6": a difference and its margin, without bars.
  void add_gain(const std::string& name, const MetricsSpread& metrics, std::int64_t runs);

 private:
  struct Cell {
    std::string text;
    double share = -1;  ///< percent that the bar behind fills; below 0: no bar
  };
  using Fill = std::function<Cell(Recalls RetrievalMetrics::*way, double Recalls::*at)>;
  void add_row(const std::string& name, std::string_view kind, const Fill& fill);

  Html& html_;
  Html::Element scroll_, table_;
};

}  // namespace vicha

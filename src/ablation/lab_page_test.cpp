#include "ablation/lab_page.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "report/report_test_support.h"

namespace vicha {
namespace {

using report_testing::Page;
using report_testing::parse_page;

/// Two rows at three shares, two seeds; the second row gains 2 and 4 points over the first, and has failed once.
LabTable share_table() {
  LabTable table;
  table.lab.title = "<b>Shares</b> & \"more\"";
  table.lab.seeds = {1, 2};
  LabAxis axis;
  axis.key = "lab.share";
  axis.title = "pairs";
  axis.values = {"1/4", "1/2", "1"};
  axis.log = true;
  table.lab.axes = {{"share", axis}};
  table.lab.rows = {{"plain", LabRow()}, {"all", LabRow()}};
  table.measures = {{"mean", "mean recall"}};
  for (std::size_t row = 0; row < 2; ++row) {
    for (const std::string& value : axis.values) {
      MeasuredRow& one = table.rows.emplace_back();
      one.plan.row_title = row == 0 ? "plain" : "all";
      one.plan.name = one.plan.title = one.plan.row_title + " " + value;
      one.plan.at = {{"share", value}};
      one.plan.runs = {0, 1};
      const std::vector<double> values = row == 0 ? std::vector<double>{10, 12} : std::vector<double>{12, 16};
      MeasuredRow::Cell& cell = one.cells.emplace_back();
      for (const double x : values) cell.values.emplace_back(x);
      cell.spread = spread_over_seeds(values);
      one.seconds = one.samples_per_s = one.steps = spread_over_seeds({60, 60});
      if (row == 0) continue;
      one.plan.baseline = table.rows.size() - 1 - axis.values.size();
      cell.difference = PairedDifference{spread_over_seeds({2, 4}), Interval{1, 5}};
    }
  }
  table.rows.back().failures = {{2, "the loss is NaN at step 3 <of 4>"}};
  return table;
}

TEST(LabPage, IsWellFormedAndSelfContained) {
  const std::string html = lab_page(share_table());
  const Page page = parse_page(html);
  EXPECT_NE(page.text.find("<b>Shares</b> & \"more\""), std::string::npos);
  EXPECT_NE(page.text.find("the loss is NaN at step 3 <of 4>"), std::string::npos);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("http://"), std::string::npos);
  EXPECT_EQ(html.find("https://"), std::string::npos);
  // Differences, measures, and the curve over shares.
  EXPECT_EQ(page.all("figure", "chart").size(), 3u);
  EXPECT_EQ(page.all("path", "line").size(), 2u) << "a line for each row of the curve";
  EXPECT_NE(page.text.find("pairs, log scale"), std::string::npos);
  EXPECT_EQ(html.find("nan,"), std::string::npos);
}

TEST(LabPage, AnEmptyTableIsAPageTooAndSaysWhatIsMissing) {
  LabTable table = share_table();
  for (MeasuredRow& row : table.rows) {
    row.cells = {MeasuredRow::Cell{{std::nullopt, std::nullopt}, {}, {}}};
    row.seconds = row.samples_per_s = row.steps = {};
    row.missing = 2;
  }
  const Page page = parse_page(lab_page(table));
  EXPECT_TRUE(page.all("svg").empty());
  EXPECT_NE(page.text.find("12 runs are still to be done"), std::string::npos);
}

// Differences 2 and 4: mean 3, deviation sqrt(2), Student's factor of one degree of freedom 12.706 over sqrt(2): 3
// ± 12.71.
TEST(LabTable, TextAndJsonSayTheSame) {
  const LabTable table = share_table();
  const std::string text = table.to_text();
  EXPECT_NE(text.find("14.00 ± 2.83"), std::string::npos) << text;
  EXPECT_NE(text.find("+3.00 ± 12.71"), std::string::npos) << text;
  EXPECT_NE(text.find("seed 2 failed: the loss is NaN"), std::string::npos) << text;
  const auto json = nlohmann::json::parse(table.to_json());
  EXPECT_FALSE(json.at("complete").get<bool>());
  const auto& cell = json.at("rows").at(3).at("measures").at("mean");
  EXPECT_DOUBLE_EQ(cell.at("mean"), 14);
  EXPECT_DOUBLE_EQ(cell.at("difference").at("mean"), 3);
  EXPECT_NEAR(cell.at("difference").at("interval").at(1).get<double>(), 3 + 12.706, 1e-3);
  EXPECT_EQ(cell.at("difference").at("bootstrap"), nlohmann::json({1.0, 5.0}));
  EXPECT_EQ(json["rows"][3]["baseline"], "plain 1/4");
}

}  // namespace
}  // namespace vicha

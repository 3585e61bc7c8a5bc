#include "report/chart.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>

#include "report/chart_axis.h"
#include "report/report_test_support.h"

namespace vicha {
namespace {

using report_testing::Page;
using report_testing::parse_page;

std::string written(const std::vector<double>& ticks) {
  std::vector<std::string> out;
  for (const double tick : ticks) out.push_back(format_number(tick));
  return fmt::format("{}", fmt::join(out, " "));
}

TEST(FormatNumber, IsShort) {
  EXPECT_EQ(format_number(0), "0");
  EXPECT_EQ(format_number(0.07), "0.07");
  EXPECT_EQ(format_number(3.14159), "3.14");
  EXPECT_EQ(format_number(-12), "-12");
  EXPECT_EQ(format_number(999.7), "1000");
  EXPECT_EQ(format_number(1234), "1234");
  EXPECT_EQ(format_number(12345), "12.3k");
  EXPECT_EQ(format_number(1e6), "1M");
  EXPECT_EQ(format_number(2.5e9), "2.5G");
  EXPECT_EQ(format_number(0.0001), "0.0001");
  EXPECT_EQ(format_number(1e-5), "1e-05");
  EXPECT_EQ(format_number(std::nan("")), "–");
}

TEST(FormatCount, SetsThousandsApart) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1\u202F000");
  EXPECT_EQ(format_count(1234567), "1\u202F234\u202F567");
  EXPECT_EQ(format_count(-123456), "-123\u202F456");
}

TEST(Axis, HasRoundTicks) {
  EXPECT_EQ(written(Axis(0, 10000, false, false).ticks(5)), "0 2000 4000 6000 8000 10k");
  EXPECT_EQ(written(Axis(0, 0.37, false, true).ticks(5)), "0 0.1 0.2 0.3 0.4");
  EXPECT_EQ(written(Axis(-0.3, 0.3, false, false).ticks(5)), "-0.2 0 0.2");
  EXPECT_EQ(written(Axis(0.9, 1.04, false, true).ticks(5)), "0.9 0.95 1 1.05");
  EXPECT_EQ(written(Axis(0.02, 6, true, false).ticks(5)), "0.1 1");
  EXPECT_EQ(written(Axis(0.4, 9, true, false).ticks(5)), "0.5 1 2 5");
  EXPECT_EQ(written(Axis(1e-6, 1e6, true, false).ticks(5)), "1e-06 0.001 1 1000 1M");
}

TEST(Axis, PlacesValuesBetweenItsEnds) {
  EXPECT_DOUBLE_EQ(Axis(2, 4, false, false).place(3), 0.5);
  EXPECT_DOUBLE_EQ(Axis(1, 100, true, false).place(10), 0.5);
  EXPECT_DOUBLE_EQ(Axis(0.013, 0.087, false, true).low(), 0.0);
  EXPECT_NEAR(Axis(0.013, 0.087, false, true).high(), 0.1, 1e-12);
}

TEST(Axis, OfOneValueHasWidth) {
  for (const double value : {0.0, 3.0, -3.0}) {
    const Axis axis(value, value, false, true);
    EXPECT_LT(axis.low(), value);
    EXPECT_GT(axis.high(), value);
    EXPECT_GE(axis.ticks(5).size(), 2u);
  }
}

TEST(Axis, OfValuesTooLargeForItsStepsEnds) {
  EXPECT_LE(Axis(1e16, 1e16 + 2, false, false).ticks(5).size(), 12u);
  EXPECT_LE(Axis(-1e300, 1e300, false, true).ticks(5).size(), 12u);
}

TEST(Smooth, KeepsAConstantAndFollowsAStep) {
  Curve curve;
  for (int i = 0; i < 400; ++i) curve.push_back({static_cast<double>(i), i < 200 ? 2.0 : 5.0});
  const Curve out = smooth(curve, 10);
  ASSERT_EQ(out.size(), curve.size());
  EXPECT_NEAR(out[0].y, 2.0, 1e-12);
  EXPECT_NEAR(out[199].y, 2.0, 1e-12);
  EXPECT_NEAR(out[209].y, 5.0 - 3.0 * std::exp(-1.0), 1e-6);  // ten points on, 1/e of the step is left
  EXPECT_NEAR(out[399].y, 5.0, 1e-6);
  EXPECT_EQ(smooth(curve, 0)[7].y, curve[7].y);
  EXPECT_EQ(smooth(curve, 10, {199.5})[200].y, 5.0);  // told of the step, it does not lag
  EXPECT_EQ(smooth(curve, 10, {200})[200].y, 5.0);
  EXPECT_NEAR(smooth(curve, 10, {100})[199].y, 2.0, 1e-12);
}

TEST(Thin, KeepsTheEndsAndOnlyRealPoints) {
  Curve curve;
  for (int i = 0; i < 10007; ++i) curve.push_back({static_cast<double>(i), i * 2.0});
  const Curve out = thin(curve, 600);
  ASSERT_EQ(out.size(), 600u);
  EXPECT_EQ(out.front().x, 0);
  EXPECT_EQ(out.back().x, 10006);
  for (std::size_t i = 1; i < out.size(); ++i) {
    EXPECT_LT(out[i - 1].x, out[i].x);
    EXPECT_EQ(out[i].y, out[i].x * 2);
  }
  EXPECT_EQ(thin(out, 600).size(), 600u);
}

TEST(RangeWithoutOutliers, LeavesOutBothTails) {
  Curve curve;
  for (int i = 0; i < 1000; ++i) curve.push_back({static_cast<double>(i), static_cast<double>(i)});
  curve[500].y = 1e9;
  EXPECT_EQ(range_without_outliers(curve, 0.005), (std::pair<double, double>{5, 995}));
  EXPECT_EQ(range_without_outliers({{0, 3}}, 0.005), (std::pair<double, double>{3, 3}));
}

Chart example() {
  Chart chart{.id = "c", .title = "Loss <&>", .summary = "1.5", .description = "falls", .y_label = "nats"};
  chart.x_high = 100;
  for (int i = 1; i <= 100; ++i) {
    const double x = i, y = 10.0 / i;
    if (chart.series.empty()) chart.series.emplace_back();
    chart.series[0].line.push_back({x, y});
    chart.series[0].points.push_back({x, y});
  }
  return chart;
}

TEST(DrawChart, HasTitleDescriptionAxesAndCurve) {
  Html html;
  Chart chart = example();
  chart.may_be_log = true;
  chart.marks = {{50, "+ itm"}};
  chart.levels = {{0.5, "chance"}};
  draw_chart(html, chart);
  const Page page = parse_page(html.str());
  ASSERT_EQ(page.all("svg").size(), 1u);
  EXPECT_EQ(page.all("svg")[0]->attributes.at("aria-labelledby"), "c-title c-desc");
  EXPECT_EQ(page.all("svg")[0]->attributes.at("data-log"), "1");
  EXPECT_EQ(page.all("title")[0]->text, "Loss <&>");
  EXPECT_EQ(page.all("desc")[0]->text, "falls");
  for (const char* text : {"1.5", "nats, log scale", "step", "+ itm", "chance"}) {
    EXPECT_NE(page.text.find(text), std::string::npos) << text;
  }
  ASSERT_EQ(page.all("path", "line").size(), 1u);
  const std::string& d = page.all("path", "line")[0]->attributes.at("d");
  EXPECT_EQ(std::count(d.begin(), d.end(), 'L'), 99);
  EXPECT_EQ(d.find("nan"), std::string::npos);
  EXPECT_EQ(page.all("path", "mark").size(), 1u);
  EXPECT_EQ(page.all("path", "level").size(), 1u);
}

TEST(DrawChart, StaysWithinItsFrame) {
  Chart chart = example();
  chart.series[0].points[50].y = 1e6;  // an outlier decides nothing and is not drawn
  Html html;
  draw_chart(html, chart);
  const Page page = parse_page(html.str());
  const std::string& dots = page.all("path", "dots")[0]->attributes.at("d");
  EXPECT_EQ(std::count(dots.begin(), dots.end(), 'M'), 99);
  EXPECT_EQ(page.all("svg")[0]->attributes.at("data-y"), "0 10");
}

TEST(DrawChart, NothingToDrawIsNothing) {
  Html html;
  draw_chart(html, {.id = "c", .title = "empty", .y_label = "", .series = {{}, {}}});
  EXPECT_EQ(html.str(), "");
}

TEST(DrawChart, NamesOfLinesThatEndTogetherDoNotOverlap) {
  Chart chart{.id = "c", .title = "R", .y_label = "%"};
  chart.x_high = 10;
  for (const char* name : {"a", "b", "c"}) chart.series.push_back({name, {{1, 5.0}, {10, 5.0}}, {}});
  Html html;
  draw_chart(html, chart);
  const Page page = parse_page(html.str());
  const auto names = page.all("text", "name");
  ASSERT_EQ(names.size(), 3u);
  for (std::size_t i = 1; i < names.size(); ++i) {
    EXPECT_GE(std::stod(names[i]->attributes.at("y")) - std::stod(names[i - 1]->attributes.at("y")), 11.9);
  }
}

}  // namespace
}  // namespace vicha

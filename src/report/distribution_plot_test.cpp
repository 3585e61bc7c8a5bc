#include "report/distribution_plot.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"

namespace vicha {
namespace {

std::size_t times(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(DistributionPlot, HasABarABinAndWholeCounts) {
  const fs::path folder = fs::path(testing::TempDir()) / "vicha_distribution_plot";
  fs::create_directories(folder);
  const std::vector<float> values = {0.11f, 0.12f, 0.21f, 0.22f, 0.23f, 0.31f};
  const Distribution distribution = distribution_of(values, {false, false, true, true, true, true}, 3);
  write_plot(distribution, "A & B", folder / "p.svg");
  const std::string svg = read_file(folder / "p.svg");
  EXPECT_EQ(svg.rfind("<svg", 0), 0U);
  EXPECT_NE(svg.find(">A &amp; B</text>"), std::string::npos);
  EXPECT_EQ(times(svg, "class=\"rest\""), distribution.bins.size());
  for (const char* count : {">0</text>", ">1</text>", ">2</text>", ">3</text>"})
    EXPECT_EQ(times(svg, count), 1U) << count;
  EXPECT_EQ(times(svg, "class=\"grid\""), 4U);  // no 0.5

  write_plot(distribution, "A & B", folder / "p.html");
  const std::string page = read_file(folder / "p.html");
  EXPECT_NE(page.find("<th>lowest</th><td>0.1100</td>"), std::string::npos) << page;
  EXPECT_THROW(write_plot(distribution, "", folder / "p.png"), UsageError);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace vicha

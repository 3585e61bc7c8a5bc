#include "base/progress.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/log.h"

namespace vicha {
namespace {

TEST(Progress, Durations) {
  EXPECT_EQ(format_duration(7.4), "7 s");
  EXPECT_EQ(format_duration(200.0), "3 min 20 s");
  EXPECT_EQ(format_duration(59.7), "1 min 00 s");
  EXPECT_EQ(format_duration(7500.0), "2 h 05 min");
  EXPECT_EQ(format_duration(-3.0), "0 s");
}

TEST(Progress, SaysRateAndWhatIsLeft) {
  EXPECT_EQ(format_progress({"embedding pictures", 120, 320, {}, 34.51, "pictures", 20.2}),
            "embedding pictures 120/320  34.5 pictures/s  left 20 s");
  EXPECT_EQ(format_progress({"step", 2, 9, "  epoch 1", 512.3, "samples", 7200}),
            "step 2/9  epoch 1  512 samples/s  left 2 h 00 min");
  EXPECT_EQ(format_progress({"a", 1, 3, {}, 0.25, "b", 8}), "a 1/3  0.25 b/s  left 8 s");
  EXPECT_EQ(format_progress({"embedding words", 5, 9, {}, 0, "words", 0}), "embedding words 5/9");
}

TEST(Progress, LogsWhenItIsDueWhereThereIsNoTerminal) {
  std::vector<std::string> lines;
  log::set_sink([&](log::Level, std::string_view line) { lines.emplace_back(line); });
  int made = 0;
  {
    ProgressLine line;
    for (int i = 0; i < 10; ++i) {
      line.show(i % 4 == 3, i == 9, [&] {
        ++made;
        return "at " + std::to_string(i);
      });
    }
    Progress progress("embedding pictures", "pictures", 3);
    for (int i = 1; i <= 3; ++i) progress.update(i);  // far below half a minute
  }
  log::set_sink({});
  EXPECT_EQ(lines, (std::vector<std::string>{"at 3", "at 7"}));
  EXPECT_EQ(made, 2);
}

}  // namespace
}  // namespace vicha

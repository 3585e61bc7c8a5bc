#include "tasks/downstream/explanation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/file_guard.h"
#include "base/files.h"
#include "image/decode.h"

namespace vicha {
namespace {

class ExplanationSheet : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    Image grey(120, 60, 3);
    std::ranges::fill(grey.pixels, std::uint8_t{128});
    write_file_atomic(folder_ / "grey.png", encode_png(grey));
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_ = fs::temp_directory_path() / ("vicha_explanation_" + std::to_string(::getpid()));
};

TEST_F(ExplanationSheet, HasAPictureForEachWord) {
  at::Tensor left = at::zeros({2, 4}), right = at::zeros({2, 4});
  left[0][0] = 1;
  right[1][3] = 5;
  const Explanation::Picture picture{.file = folder_ / "grey.png",
                                     .maps = {{"", left + right}, {"<left>", left}, {"right", right}},
                                     .boxes = {{{0, 0, 30, 30}, "", true}, {{90, 30, 30, 30}, "", false}}};
  write_explanation(folder_ / "one.png", {.pictures = {picture}, .title = "a & b"});
  write_explanation(folder_ / "two.png", {.pictures = {picture, picture}, .title = "a & b"});
  const Image one = load_rgb(folder_ / "one.png"), two = load_rgb(folder_ / "two.png");
  EXPECT_EQ(one.width, two.width);
  EXPECT_GT(two.height, one.height);
  // The chosen box is red in the picture's corner, below title and margin; the map of "right" leaves that corner dark.
  std::int64_t red = 0;
  for (int y = 0; y < one.height; ++y) {
    for (int x = 0; x < one.width; ++x) {
      const std::uint8_t* p = one.row(y) + 3 * x;
      red += p[0] == 230 && p[1] == 40 && p[2] == 40 ? 1 : 0;
    }
  }
  EXPECT_GT(red, 4 * 4 * 40);
}

TEST_F(ExplanationSheet, WritesOverNoPictureThatItReads) {
  const FileGuard watched;
  const fs::path file = folder_ / "grey.png";
  const std::string before = read_file(file);
  EXPECT_THROW(write_explanation(file, {.pictures = {{.file = file, .maps = {}, .boxes = {}}}}), UsageError);
  EXPECT_EQ(read_file(file), before);
  EXPECT_THROW(
      write_explanation(folder_ / "x.png", {.pictures = {{.file = folder_ / "none.png", .maps = {}, .boxes = {}}}}),
      Error);
}

}  // namespace
}  // namespace vicha

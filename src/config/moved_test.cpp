// Keys and sections that had another name in older recipes.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "config/serialize.h"

namespace vicha {
namespace {

struct DecoderOptions {
  std::int64_t width = 512, layers = 8;
  void describe(Visitor& v) {
    v.field({"width", "", "Width", 1}, width);
    v.field({"layers", "", "Layers", 1}, layers);
  }
};

struct MaskingOptions {
  DecoderOptions decoder;
  double ratio = 0.75;
  void describe(Visitor& v) {
    v.field({"ratio", "", "Share of the patches", 0, 1}, ratio);
    v.section("decoder", "Decoder", decoder);
    v.moved("model.mae_decoder", "mae.decoder");
  }
};

struct TodaysOptions {
  MaskingOptions mae;
  std::string name = "demo";
  void describe(Visitor& v) {
    v.field({"name", "", "Name"}, name);
    v.section("mae", "Masked pictures", mae);
    v.moved("title", "name");
    v.moved("mae.masked", "mae.ratio");
    v.moved("gone", "not.described");
  }
};

TodaysOptions read(const std::string& text) {
  TodaysOptions options;
  apply_toml(options, text, "dir/r.toml");
  return options;
}

template <class ErrorType, class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const ErrorType& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Moved, OldNamesReadAsTheNew) {
  const TodaysOptions options =
      read("title = 'old'\n[mae]\nmasked = 0.5\n[model.mae_decoder]\nwidth = 16\nlayers = 2\n");
  EXPECT_EQ(options.name, "old");
  EXPECT_EQ(options.mae.ratio, 0.5);
  EXPECT_EQ(options.mae.decoder.width, 16);
  EXPECT_EQ(options.mae.decoder.layers, 2);
  EXPECT_EQ(read("model = {mae_decoder = {width = 8}}\n").mae.decoder.width, 8);
}

TEST(Moved, OverridesTakeOldNames) {
  TodaysOptions options = read("[mae.decoder]\nwidth = 16\n");
  apply_overrides(options, {"model.mae_decoder.layers=3", "title=2024", "mae.masked=1"});
  EXPECT_EQ(options.mae.decoder.width, 16);
  EXPECT_EQ(options.mae.decoder.layers, 3);
  EXPECT_EQ(options.name, "2024");
  EXPECT_EQ(options.mae.ratio, 1);
  apply_override(options, "model.mae_decoder={width = 5, layers = 6}");
  EXPECT_EQ(options.mae.decoder.layers, 6);
}

TEST(Moved, OneKeyUnderBothNamesIsAnError) {
  const auto error = [](const std::string& text) { return error_of<DataError>([&] { read(text); }); };
  EXPECT_EQ(error("name = 'a'\ntitle = 'b'\n"),
            "dir/r.toml:2: 'title' is the old name of 'name', which is given too. Keep 'name'");
  EXPECT_EQ(error("[model.mae_decoder]\nlayers = 1\nwidth = 2\n[mae.decoder]\nwidth = 2\n"),
            "dir/r.toml:3: 'model.mae_decoder.width' is the old name of 'mae.decoder.width', which is given too. "
            "Keep 'mae.decoder.width'");
  const TodaysOptions options = read("[model.mae_decoder]\nlayers = 1\n[mae.decoder]\nwidth = 2\n");
  EXPECT_EQ(options.mae.decoder.layers, 1);
  EXPECT_EQ(options.mae.decoder.width, 2);
}

TEST(Moved, ErrorsNameTheLine) {
  const auto error = [](const std::string& text) { return error_of<DataError>([&] { read(text); }); };
  EXPECT_EQ(error("\ntitle = 3\n"), "dir/r.toml:2: 'name' must be a string, but got the integer 3");
  EXPECT_EQ(error("[model.mae_decoder]\n\nwidht = 3\n"),
            "dir/r.toml:3: unknown key 'mae.decoder.widht'. Did you mean 'mae.decoder.width'?");
  EXPECT_EQ(error("[model]\nmae_decoder = 3\n"),
            "dir/r.toml:2: 'mae.decoder' is a section, not a value, but got the integer 3. Set its keys below a line "
            "[mae.decoder]");
  EXPECT_EQ(error("mae = 3\n[model.mae_decoder]\nwidth = 3\n"),
            "dir/r.toml:1: 'mae' is a section, not a value, but got the integer 3. Set its keys below a line [mae]");
  EXPECT_EQ(error("[model]\nwidth = 3\n").substr(0, 39), "dir/r.toml:1: unknown section 'model'. ");
  EXPECT_EQ(error("gone = 3\n"), "dir/r.toml:1: unknown key 'gone'. Did you mean 'name'?");
}

TEST(Moved, OldNamesAreNotWritten) {
  const TodaysOptions options = read("title = 'old'\n[model.mae_decoder]\nwidth = 16\n");
  EXPECT_EQ(to_toml(options, {.only_changes = true}), "name = \"old\"\n\n[mae.decoder]\nwidth = 16\n");
  const std::string all = to_markdown(options, "Options") + to_json(options) + to_toml(options, {.comments = true});
  EXPECT_EQ(all.find("mae_decoder"), std::string::npos);
  EXPECT_EQ(all.find("title"), std::string::npos);
  const auto moved = moved_keys(options);
  ASSERT_EQ(moved.size(), 3);
  EXPECT_EQ(moved[0].from, "model.mae_decoder");
  EXPECT_EQ(moved[1].to, "name");
}

TEST(Moved, TheLogSaysSo) {
  std::vector<std::pair<log::Level, std::string>> lines;
  log::set_level(log::Level::kDebug);
  log::set_sink([&](log::Level level, std::string_view line) { lines.emplace_back(level, line); });
  read("title = 'old'\n");
  log::set_sink(nullptr);
  log::set_level(log::Level::kInfo);
  ASSERT_EQ(lines.size(), 1);
  EXPECT_EQ(lines[0].first, log::Level::kDebug);
  EXPECT_EQ(lines[0].second, "dir/r.toml:1: 'title' is called 'name' now");
}

}  // namespace
}  // namespace vicha

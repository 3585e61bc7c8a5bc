#include "config/serialize.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "config/suggestion.h"

namespace vicha {
namespace {

enum class Counted { kIndex, kCaption, kUnnamed };
constexpr Choice<Counted> kCountedNames[] = {{"index", Counted::kIndex}, {"caption", Counted::kCaption}};

struct ContrastOptions {
  std::int64_t queue_size = 65536;
  double temperature = 0.07;
  Counted positives = Counted::kIndex;
  void describe(Visitor& v) {
    v.field({"queue_size", "features", "Momentum features kept as negatives", 1}, queue_size);
    v.field({"temperature", "", "Where the learned temperature starts", 0.001, 0.5}, temperature);
    v.choice({.key = "positives", .meaning = "Which pairs count | as one"}, positives, kCountedNames);
  }
  bool operator==(const ContrastOptions&) const = default;
};

struct InnerOptions {
  std::vector<double> weights = {1, 0.5};
  void describe(Visitor& v) { v.field({"weights", "", "Weight a level", 0}, weights); }
  bool operator==(const InnerOptions&) const = default;
};

struct TrainOptions {
  InnerOptions levels;
  double lr = 1e-4;
  bool clip = false;
  void describe(Visitor& v) {
    v.section("levels", "Levels of the hierarchy", levels);  // a section before a field, which TOML cannot write so
    v.field({"lr", "", "Peak learning rate", 0}, lr);
    v.field({"clip", "", "Clip the gradient"}, clip);
  }
  bool operator==(const TrainOptions&) const = default;
};

struct RootOptions {
  std::string name = "demo";
  ContrastOptions itc;
  TrainOptions train;
  std::vector<std::string> freeze;
  void describe(Visitor& v) {
    v.field({"name", "", "Name of the run"}, name);
    v.section("itc", "Image–text contrast", itc);
    v.section("train", "The loop", train);
    v.field({"freeze", "", "Frozen parts"}, freeze);
  }
  bool operator==(const RootOptions&) const = default;
};

template <class ErrorType, class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const ErrorType& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

std::string toml_error(const std::string& text) {
  return message_of<DataError>([&] {
    RootOptions options;
    apply_toml(options, text, "dir/r.toml");
  });
}

std::string set_error(const std::string& assignment) {
  return message_of<UsageError>([&] {
    RootOptions options;
    apply_override(options, assignment);
  });
}

RootOptions all_different() {
  RootOptions options;
  options.name = "a \"toml_string\" \\ name\twith\nlines\x01, ünïcode = # [x]";
  options.itc = {std::numeric_limits<std::int64_t>::max(), 0.1 + 0.2, Counted::kCaption};
  options.train = {{{1e-300, 3, std::numeric_limits<double>::max()}}, 123456789.0, true};
  options.freeze = {"text", "", "image, \"x\""};
  return options;
}

TEST(Recipe, ReadsEveryTypeAndKeepsTheRest) {
  RootOptions options;
  apply_toml(options,
             "name = 'x'\nfreeze = [\"text\"]\n[itc]\nqueue_size = 4_096\ntemperature = 0.1\n"
             "[train]\nlr = 1\nclip = true\n[train.levels]\nweights = [1, 2.5]\n",
             "r.toml");
  EXPECT_EQ(options.name, "x");
  EXPECT_EQ(options.freeze, std::vector<std::string>{"text"});
  EXPECT_EQ(options.itc, (ContrastOptions{4096, 0.1, Counted::kIndex}));
  EXPECT_EQ(options.train, (TrainOptions{{{1, 2.5}}, 1.0, true}));
}

TEST(Recipe, RoundTrips) {
  const RootOptions options = all_different();
  for (const bool only_changes : {false, true}) {
    for (const bool comments : {false, true}) {
      RootOptions read;
      apply_toml(read, to_toml(options, {only_changes, comments}), "r.toml");
      EXPECT_EQ(read, options) << to_toml(options, {only_changes, comments});
    }
  }
  EXPECT_EQ(to_toml(RootOptions{}, {.only_changes = true}), "");
}

TEST(Recipe, WritesOnlyChanges) {
  RootOptions options;
  options.train.lr = 3;
  options.train.levels.weights.clear();
  EXPECT_EQ(to_toml(options, {.only_changes = true}), "[train]\nlr = 3.0\n\n[train.levels]\nweights = []\n");
  EXPECT_EQ(
      to_toml(options, {.only_changes = true, .comments = true}),
      "# The loop\n[train]\n# Peak learning rate (at least 0; default 0.0001)\nlr = 3.0\n\n"
      "# Levels of the hierarchy\n[train.levels]\n# Weight a level (at least 0; default [1.0, 0.5])\nweights = []\n");
}

TEST(Recipe, NamesUnknownKeysWithTheNearest) {
  EXPECT_EQ(toml_error("\n[itc]\nqueue_sise = 3\n"),
            "dir/r.toml:3: unknown key 'itc.queue_sise'. Did you mean 'itc.queue_size'?");
  EXPECT_EQ(toml_error("queue_size = 3\n"), "dir/r.toml:1: unknown key 'queue_size'. Did you mean 'itc.queue_size'?");
  EXPECT_EQ(toml_error("[tarin]\nlr = 3\n"), "dir/r.toml:1: unknown section 'tarin'. Did you mean 'train'?");
  EXPECT_EQ(toml_error("[train.level]\nweights = []\n"),
            "dir/r.toml:1: unknown section 'train.level'. Did you mean 'train.levels'?");
  EXPECT_EQ(set_error("train.rl=3"), "--set train.rl=3: unknown key 'train.rl'. Did you mean 'train.lr'?");
}

TEST(Recipe, NamesWrongValues) {
  EXPECT_EQ(toml_error("[itc]\nqueue_size = 1.5\n"),
            "dir/r.toml:2: 'itc.queue_size' must be an integer, but got the number 1.5. Allowed: at least 1");
  EXPECT_EQ(toml_error("[itc]\nqueue_size = 0\n"),
            "dir/r.toml:2: 'itc.queue_size' is out of range: the integer 0. Allowed: at least 1");
  EXPECT_EQ(toml_error("[itc]\ntemperature = 1\n"),
            "dir/r.toml:2: 'itc.temperature' is out of range: the integer 1. Allowed: from 0.001 to 0.5");
  EXPECT_EQ(toml_error("[itc]\npositives = 'all'\n"),
            "dir/r.toml:2: 'itc.positives' cannot be \"all\". Allowed: \"index\", \"caption\"");
  EXPECT_EQ(toml_error("name = 3\n"), "dir/r.toml:1: 'name' must be a string, but got the integer 3");
  EXPECT_EQ(toml_error("freeze = 'text'\n"),
            "dir/r.toml:1: 'freeze' must be a list of strings, as [\"one\", \"two\"], but got the string \"text\"");
  EXPECT_EQ(toml_error("freeze = ['a',\n 2]\n"),
            "dir/r.toml:2: 'freeze' must be a list of strings, as [\"one\", \"two\"], but got the integer 2");
  EXPECT_EQ(toml_error("[train]\nclip = 1\n"),
            "dir/r.toml:2: 'train.clip' must be true or false, but got the integer 1");
  EXPECT_EQ(toml_error("[train]\nlr = nan\n"),
            "dir/r.toml:2: 'train.lr' must be a finite number, but got the number nan. Allowed: at least 0");
  EXPECT_EQ(toml_error("[train]\nlr = inf\n"),
            "dir/r.toml:2: 'train.lr' must be a finite number, but got the number inf. Allowed: at least 0");
  EXPECT_NE(toml_error("[train.levels]\nweights = [1, 1e999]\n").find("dir/r.toml:2: "), std::string::npos);
  EXPECT_EQ(toml_error("[train.levels]\nweights = [1, -1]\n"),
            "dir/r.toml:2: 'train.levels.weights' is out of range: the integer -1. Allowed: at least 0");
  EXPECT_EQ(toml_error("itc = 3\n"),
            "dir/r.toml:1: 'itc' is a section, not a value, but got the integer 3. Set its keys below a line [itc]");
  EXPECT_NE(toml_error("name = \n").find("dir/r.toml:1: "), std::string::npos);
  for (const std::string letters : {"\u03DA", "cl\u00E9", "\u0499", "\u3042", "\u200B"}) {
    EXPECT_NE(toml_error("tatr " + letters + "ain = 1\n").find("dir/r.toml:1: "), std::string::npos) << letters;
    EXPECT_NE(toml_error(letters + " = 1\n").find("dir/r.toml:1: "), std::string::npos) << letters;
  }
  EXPECT_NE(toml_error("name = 'a'\nname = 'b'\n").find("dir/r.toml:2: "), std::string::npos);
  EXPECT_NE(toml_error("name = '\xff'\n").find("dir/r.toml:1: "), std::string::npos);
}

TEST(Recipe, Overrides) {
  RootOptions options;
  apply_overrides(
      options, {"itc.queue_size=4096", "train.lr = 2", "name=a run, with = and [brackets", "train.levels.weights=[3]",
                "freeze=[\"a\", 'b']", "itc.positives=caption", "train.clip=true"});
  EXPECT_EQ(options.itc, (ContrastOptions{4096, 0.07, Counted::kCaption}));
  EXPECT_EQ(options.train, (TrainOptions{{{3}}, 2, true}));
  EXPECT_EQ(options.name, "a run, with = and [brackets");
  EXPECT_EQ(options.freeze, (std::vector<std::string>{"a", "b"}));
  apply_override(options, "name=2024-01-01");
  EXPECT_EQ(options.name, "2024-01-01");
  apply_override(options, "name=\"12\"");
  EXPECT_EQ(options.name, "12");
  apply_override(options, "name=");
  EXPECT_EQ(options.name, "");
  apply_override(options, "name=a\nname='b'");
  EXPECT_EQ(options.name, "a\nname='b'");
  apply_override(options, "itc={queue_size = 5, positives = 'index'}");
  EXPECT_EQ(options.itc, (ContrastOptions{5, 0.07, Counted::kIndex}));
}

TEST(Recipe, OverrideErrors) {
  EXPECT_EQ(set_error("itc.queue_size"), "--set itc.queue_size: not an assignment. Write it as section.key=value");
  EXPECT_EQ(set_error("itc.queue_size=many"),
            "--set itc.queue_size=many: 'itc.queue_size' must be an integer, but got the string \"many\". "
            "Allowed: at least 1");
  EXPECT_NE(set_error("name=\xff\xfe").find("not UTF-8"), std::string::npos);
  EXPECT_NE(set_error(".=1").find("unknown section ''"), std::string::npos);
  EXPECT_NE(set_error("itc.queue_size.x=1").find("must be an integer, but got a table"), std::string::npos);
}

class RecipeFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("vicha_recipe_test_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_ / "sub");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  std::filesystem::path folder_;
};

TEST_F(RecipeFiles, BaseIsAppliedFirst) {
  write("base.toml", "name = 'base'\n[itc]\nqueue_size = 10\n");
  write("middle.toml", "base = 'base.toml'\n[itc]\ntemperature = 0.2\n");
  const auto top = write("sub/top.toml", "base = '../middle.toml'\nname = 'top'\n");
  RootOptions options;
  load_recipe(options, top);
  EXPECT_EQ(options.name, "top");
  EXPECT_EQ(options.itc, (ContrastOptions{10, 0.2, Counted::kIndex}));
}

TEST_F(RecipeFiles, RefusesCyclesAndMissingBases) {
  const auto a = write("a.toml", "\nbase = 'sub/b.toml'\n");
  write("sub/b.toml", "base = '../sub/../a.toml'\n");
  RootOptions options;
  const auto cycle = message_of<DataError>([&] { load_recipe(options, a); });
  EXPECT_NE(cycle.find("b.toml:1: recipes are each other's base: a.toml → b.toml → a.toml"), std::string::npos)
      << cycle;
  const auto self = write("self.toml", "base = 'self.toml'\n");
  EXPECT_THROW(load_recipe(options, self), DataError);
  const auto lost = write("lost.toml", "base = 'none.toml'\n");
  const auto missing = message_of<DataError>([&] { load_recipe(options, lost); });
  EXPECT_NE(missing.find("lost.toml:1: the base recipe"), std::string::npos) << missing;
  EXPECT_THROW(load_recipe(options, folder_ / "none.toml"), DataError);
  EXPECT_THROW(load_recipe(options, folder_), DataError);
  EXPECT_THROW(load_recipe(options, write("number.toml", "base = 3\n")), DataError);
  for (const std::string& odd :
       {std::string(300, 'x'), std::string("base.toml\\u0000")}) {  // no file can have the name
    const auto file = write("odd.toml", "base = \"" + odd + "\"\n");
    EXPECT_THROW(load_recipe(options, file), DataError) << odd;
    EXPECT_EQ(root_string(file, "task"), std::nullopt) << odd;
  }
}

TEST(Recipe, Json) {
  const auto json = nlohmann::json::parse(to_json(all_different()));
  EXPECT_EQ(json["itc"]["queue_size"], std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(json["itc"]["temperature"], 0.1 + 0.2);
  EXPECT_EQ(json["name"], all_different().name);
  EXPECT_EQ(json["train"]["clip"], true);
  EXPECT_EQ(json["train"]["levels"]["weights"], nlohmann::json::parse("[1e-300, 3.0, 1.7976931348623157e308]"));
  EXPECT_EQ(json["freeze"].size(), 3);
}

TEST(Recipe, Markdown) {
  const auto text = to_markdown(RootOptions{}, "Options");
  EXPECT_NE(text.find("# Options\n"), std::string::npos);
  EXPECT_NE(text.find("## `[train.levels]`\nLevels of the hierarchy\n"), std::string::npos);
  EXPECT_NE(text.find("| `queue_size` | integer | `65536` | features | at least 1 | Momentum features"),
            std::string::npos);
  EXPECT_NE(
      text.find("| `positives` | string | `\"index\"` |  | \"index\", \"caption\" | Which pairs count \\| as one |"),
      std::string::npos);
}

struct ChoiceOptions {
  std::string text = "a";
  std::vector<std::string> several = {"a"};
  Counted braced = Counted::kCaption;
  double upper = 0;
  void describe(Visitor& v) {
    v.field({.key = "text", .choices = {"a", "b"}}, text);
    v.field({.key = "several", .choices = {"a", "b"}}, several);
    v.choice({"braced", "", ""}, braced, {{"first", Counted::kCaption}, {"second", Counted::kIndex}});
    v.field({.key = "upper", .max = 1}, upper);
  }
};

TEST(Choices, AreReadAndWrittenAsTheStringsTheyAre) {
  ChoiceOptions options;
  const auto page = to_markdown(options, "Options");
  EXPECT_NE(page.find("| `braced` | string | `\"first\"` |  | \"first\", \"second\" |"), std::string::npos);
  EXPECT_NE(page.find("| at most 1 |"), std::string::npos);
  apply_overrides(options, {"text=b", "several=['b', 'a']", "braced=second", "upper=-1e300"});
  EXPECT_EQ(to_toml(options), "text = \"b\"\nseveral = [\"b\", \"a\"]\nbraced = \"second\"\nupper = -1e+300\n");
  EXPECT_EQ(nlohmann::json::parse(to_json(options))["braced"], "second");
  EXPECT_THROW(apply_override(options, "text=c"), UsageError);
  EXPECT_THROW(apply_override(options, "several=['c']"), UsageError);
  EXPECT_THROW(apply_override(options, "upper=1.5"), UsageError);
  EXPECT_EQ(message_of<UsageError>([&] { apply_override(options, "braced=2"); }),
            "--set braced=2: 'braced' cannot be \"2\". Allowed: \"first\", \"second\"");
  EXPECT_EQ(message_of<DataError>([&] { apply_toml(options, "braced = 2\n", "r.toml"); }),
            "r.toml:1: 'braced' must be a string, but got the integer 2. Allowed: \"first\", \"second\"");
  EXPECT_EQ(options.braced, Counted::kIndex);
}

TEST(Choices, Names) {
  EXPECT_EQ(name_of(kCountedNames, Counted::kCaption), "caption");
  EXPECT_EQ(value_named(kCountedNames, "index"), Counted::kIndex);
  EXPECT_EQ(value_named(kCountedNames, "Index"), std::nullopt);
}

// Visitors may keep `set` (options of a command line do): it must work after the visit.
TEST(Choices, MayBeSetLater) {
  class Keeper final : public Visitor {
   public:
    void field(const Field&, bool&) override {}
    void field(const Field&, std::int64_t&) override {}
    void field(const Field&, double&) override {}
    void field(const Field&, std::string&) override {}
    void field(const Field&, std::vector<double>&) override {}
    void field(const Field&, std::vector<std::string>&) override {}
    std::function<void(std::string_view)> kept;

   protected:
    void named(const Field&, std::string_view name, std::function<void(std::string_view)> set) override {
      EXPECT_EQ(name, "first");
      kept = std::move(set);
    }
    void begin_section(std::string_view, std::string_view) override {}
    void end_section() override {}
  };
  ChoiceOptions options;
  Keeper keeper;
  options.describe(keeper);
  keeper.kept("second");
  EXPECT_EQ(options.braced, Counted::kIndex);
}

TEST(Nearest, Distances) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("abc", ""), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("train", "tarin"), 1);
  const std::vector<std::string> known = {"a.first", "b.second"};
  EXPECT_EQ(nearest_name("a.second", known), "b.second");
  EXPECT_EQ(nearest_name("a.fist", known), "a.first");
  EXPECT_EQ(nearest_name("x", {}), "");
}

}  // namespace
}  // namespace vicha

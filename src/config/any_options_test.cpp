#include "config/any_options.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "config/serialize.h"

namespace vicha {
namespace {

struct LossOptions {
  double weight = 1.0;
  void describe(Visitor& v) { v.field({"weight", "", "Factor of the loss", 0}, weight); }
};

struct WordLossOptions : LossOptions {
  double share = 0.15;
  std::vector<std::string> words = {"a"};
  void describe(Visitor& v) {
    LossOptions::describe(v);
    v.field({"share", "", "Share of the words", 0, 1}, share);
    v.field({"words", "", "Words"}, words);
  }
};

using AnyLoss = AnyOptions<LossOptions>;

struct PluginRecipe {
  std::string name = "demo";
  std::vector<std::pair<std::string, AnyLoss>> losses;

  void describe(Visitor& v) {
    v.field({"name", "", "Name"}, name);
    for (auto& [key, options] : losses) v.section(key, "A loss", options);
  }
  PluginRecipe defaults() const {
    PluginRecipe out;
    for (const auto& [key, options] : losses) out.losses.emplace_back(key, options.defaults());
    return out;
  }
};

PluginRecipe two_losses() {
  PluginRecipe recipe;
  recipe.losses.emplace_back("plain", LossOptions());
  recipe.losses.emplace_back("words", WordLossOptions());
  return recipe;
}

TEST(AnyOptions, GivesTheStructAndItsBase) {
  AnyLoss loss = WordLossOptions{{.weight = 3}, 0.5, {}};
  EXPECT_TRUE(loss.holds<WordLossOptions>());
  EXPECT_FALSE(loss.holds<LossOptions>());
  EXPECT_EQ(loss->weight, 3);
  loss->weight = 4;
  loss.get<WordLossOptions>().share = 0.25;
  const AnyLoss& read = loss;
  EXPECT_EQ(read.get<WordLossOptions>().weight, 4);
  EXPECT_EQ((*read).weight, 4);
  EXPECT_EQ(read.defaults().get<WordLossOptions>().share, 0.15);
  EXPECT_EQ(read.get<WordLossOptions>().share, 0.25);
}

TEST(AnyOptions, CopiesAreDeep) {
  AnyLoss first = WordLossOptions();
  AnyLoss second = first;
  second.get<WordLossOptions>().words.emplace_back("b");
  EXPECT_EQ(first.get<WordLossOptions>().words.size(), 1);
  first = second;
  second->weight = 7;
  EXPECT_EQ(first->weight, 1);
  EXPECT_EQ(first.get<WordLossOptions>().words.size(), 2);
  first = LossOptions{.weight = 9};
  EXPECT_TRUE(first.holds<LossOptions>());
  const AnyLoss& itself = first;
  first = itself;
  EXPECT_EQ(first->weight, 9);

  PluginRecipe recipe = two_losses();
  PluginRecipe copy = recipe;
  apply_override(copy, "words.share=0.5");
  EXPECT_EQ(recipe.losses[1].second.get<WordLossOptions>().share, 0.15);
  EXPECT_EQ(copy.losses[1].second.get<WordLossOptions>().share, 0.5);
}

TEST(AnyOptions, RecipesReadAndWriteSectionsOfRunTime) {
  PluginRecipe recipe = two_losses();
  EXPECT_EQ(to_toml(recipe, {.only_changes = true}), "");
  apply_toml(recipe, "name = 'x'\n[words]\nweight = 2\nwords = []\n", "r.toml");
  EXPECT_EQ(recipe.losses[1].second->weight, 2);
  EXPECT_TRUE(recipe.losses[1].second.get<WordLossOptions>().words.empty());
  EXPECT_EQ(to_toml(recipe, {.only_changes = true}), "name = \"x\"\n\n[words]\nweight = 2.0\nwords = []\n");
  EXPECT_EQ(recipe.losses[0].second->weight, 1);

  EXPECT_NE(to_markdown(recipe, "Options").find("## `[words]`"), std::string::npos);
}

TEST(AnyOptions, IsDescribedAlone) {
  AnyLoss loss = WordLossOptions();
  apply_override(loss, "share=0.75");
  EXPECT_EQ(to_toml(loss, {.only_changes = true}), "share = 0.75\n");
}

}  // namespace
}  // namespace vicha

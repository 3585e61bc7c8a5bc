// The recipes that others derive from.
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/files.h"
#include "tasks/host/recipe_files.h"
#include "tasks/pretrain/pretrain_recipe.h"

namespace vicha {
namespace {

const fs::path kRecipes = fs::path(VICHA_SOURCE_DIR) / "recipes";

class BaseRecipes : public testing::TestWithParam<const char*> {};

TEST_P(BaseRecipes, BringNothingOfADataSet) {
  const fs::path file = fs::temp_directory_path() / ("vicha_mine_" + std::to_string(::getpid()) + ".toml");
  write_file_atomic(file,
                    "base = \"" + (kRecipes / GetParam()).string() + "\"\n[data]\nmanifests = [\"pairs.jsonl\"]\n");
  const AnyOptions<TaskRecipe> mine = load_task_recipe(file);
  fs::remove(file);
  EXPECT_EQ(mine->data.manifests, std::vector<std::string>{"pairs.jsonl"});
  EXPECT_EQ(mine->data.image_root, "");
  EXPECT_EQ(mine->data.strip_parts, 0);
  EXPECT_EQ(mine->evaluation_manifest(), "");
  EXPECT_TRUE(load_task_recipe(kRecipes / GetParam())->data.manifests.empty());
}

INSTANTIATE_TEST_SUITE_P(All, BaseRecipes,
                         testing::Values("vicha-base.toml", "vicha-small.toml", "albef-base.toml",
                                         "retrieval-coco.toml", "retrieval-flickr.toml", "grounding.toml"));

class SceneRecipes : public testing::TestWithParam<const char*> {};

/// Those of `make bench-tasks`.
TEST_P(SceneRecipes, TellTheFusionSimilaritiesThatThePretrainingTeaches) {
  const std::string task = GetParam();
  const AnyOptions<TaskRecipe> recipe = load_task_recipe(kRecipes / ("scenes-" + task + ".toml"));
  EXPECT_EQ(recipe->task, task);
  EXPECT_TRUE(recipe->model.fusion.similarity);
  EXPECT_EQ(recipe->model.fusion.images, 1);
  EXPECT_EQ(recipe->init.checkpoint, task == "pretrain" ? "" : "runs/tasks/pretrain");
  EXPECT_EQ(recipe->evaluation_manifest().empty(), task == "pretrain");
}

INSTANTIATE_TEST_SUITE_P(All, SceneRecipes,
                         testing::Values("pretrain", "retrieval", "vqa", "nlvr2", "entailment", "grounding"));

TEST(Recipes, TheReleasedManifestsHaveARecipeOfTheirOwn) {
  const AnyOptions<TaskRecipe> paper = load_task_recipe(kRecipes / "vicha-paper.toml");
  EXPECT_EQ(paper->data.manifests.size(), 3u);
  EXPECT_EQ(paper->data.strip_parts, 4);
  EXPECT_EQ(paper->training.length.epochs, 11);
}

}  // namespace
}  // namespace vicha

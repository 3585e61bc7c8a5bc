#include "tasks/align/aligned_source.h"

#include <ATen/ATen.h>

#include "tasks/align/align_world_test.h"

namespace vicha {
namespace {

class AlignedSourceTest : public AlignWorld {
 protected:
  at::Tensor picture(ConceptSource& source, const std::string& name) const {
    const std::string file = read_file(folder_ / name);
    at::Tensor pixels = at::empty({1, 3, source.side(), source.side()});
    source.prepare({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}, name,
                   {pixels.data_ptr<float>(), static_cast<std::size_t>(pixels.numel())});
    return source.embed_images(pixels);
  }
};

TEST_F(AlignedSourceTest, KnowsTheColourOfAPicture) {
  const RunResult run = run_align(align_recipe(), "run");
  const std::string spec = "aligned:" + (folder_ / "run").string();
  const auto source = open_concept_source(spec, {.device = "cpu"});
  EXPECT_EQ(source->width(), 16);
  EXPECT_EQ(source->side(), 64);
  EXPECT_EQ(source->weights().kind, "aligned");
  EXPECT_GT(source->scale(), 1.0);
  std::vector<std::string> texts;
  for (const auto& [colour, rgb] : kColours) texts.push_back("a " + colour + " picture");
  const at::Tensor words = source->embed_texts(texts);
  int right = 0;
  for (std::size_t i = 0; i < kColours.size(); ++i) {
    const at::Tensor row = picture(*source, "images/" + kColours[i].first + "100.png");
    EXPECT_NEAR(row.norm().item<double>(), 1.0, 1e-5);
    right += at::mm(row, words.t()).argmax().item<std::int64_t>() == static_cast<std::int64_t>(i);
  }
  EXPECT_GE(right, 6);

  // The same weights under another name are the same source, other weights another one.
  fs::copy(run.best_checkpoint, folder_ / "copy", fs::copy_options::recursive);
  EXPECT_TRUE(source->weights().same(open_aligned_source(folder_ / "copy", {.device = "cpu"})->weights()));
  const fs::path first = folder_ / "run/checkpoints/step-000030";
  if (first != run.best_checkpoint) {
    EXPECT_FALSE(source->weights().same(open_aligned_source(first, {.device = "cpu"})->weights()));
  }
}

TEST_F(AlignedSourceTest, FormsOfNamesAreKnownFromATable) {
  EXPECT_EQ(concept_source_forms(), "clip:FILE, vicha:CHECKPOINT or aligned:RUN");
  EXPECT_EQ(field_of_source("manifest:words"), "words");
  EXPECT_EQ(store_of_source("tower:train.emb"), "train.emb");
  EXPECT_EQ(store_of_source("clip:file"), std::nullopt);
  const auto refused = [](const std::string& spec) {
    return refusal_of<UsageError>([&] { open_concept_source(spec); });
  };
  EXPECT_TRUE(
      says(refused("clap:file"), "\"clap:file\" is not a source of concepts. Give clip:FILE (weights of CLIP)"));
  EXPECT_TRUE(says(refused("aligned:"), "is not a source of concepts"));
  EXPECT_TRUE(says(refused("tower:train.emb"), "knows pictures and no words"));
  EXPECT_TRUE(says(refused("manifest:words"), "holds words, not a model"));
}

TEST_F(AlignedSourceTest, WhatIsNoAlignedModelIsSaidToBeSo) {
  EXPECT_TRUE(says(refusal_of([&] { open_aligned_source(folder_ / "images"); }), "is neither a checkpoint"));
  run_align(align_recipe(), "run");
  const fs::path last = folder_ / "run/checkpoints/step-000090";
  write_file_atomic(last / "towers.json", "{\"image\": 7}");
  EXPECT_TRUE(says(refusal_of([&] { open_aligned_source(last); }), "does not say which towers"));
  fs::remove(last / "towers.json");
  EXPECT_TRUE(says(refusal_of([&] { open_aligned_source(last); }), "towers.json: is missing"));
}

}  // namespace
}  // namespace vicha

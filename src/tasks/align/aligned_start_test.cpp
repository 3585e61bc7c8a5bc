// A model whose contrast starts as the heads of `vicha align` (init.heads), on the stored features that they were
// trained on and on others.
#include "tasks/host/aligned_start.h"

#include "features/feature_embed.h"
#include "nn/norm.h"
#include "tasks/align/align_world_test.h"
#include "tasks/host/feature_tower.h"
#include "tasks/host/model_files.h"
#include "tasks/host/stored_pictures.h"
#include "tasks/pretrain/pretrain.h"

namespace vicha {
namespace {

class AlignedStart : public AlignWorld {
 protected:
  void SetUp() override {
    AlignWorld::SetUp();
    const auto encoder = PictureEncoder::open("vit:" + (folder_ / "vit").string(), "cpu");
    FeatureEmbedOptions options;
    options.patches = true;
    embed_features(*encoder, list_images({folder_ / "train.json"}), folder_ / "train.fst", options);
  }

  /// Patches (n, N, 48) of the training pictures.
  at::Tensor maps() const {
    const FeatureStore store = FeatureStore::open(folder_ / "train.fst.patches", FeatureKind::kPatches);
    const PretrainRecipe r = on_heads("");
    const auto loaded = load_manifests(r.data, {});
    const Manifest& manifest = *loaded;
    const auto features = training_features(open_feature_store(r.data.features), manifest, r.data);
    at::Tensor all = at::empty({manifest.image_count(), features->patches(), features->width()});
    for (std::int64_t i = 0; i < all.size(0); ++i) {
      features->read(i, 0, {all[i].data_ptr<float>(), static_cast<std::size_t>(all[i].numel())});
    }
    return all;
  }

  /// Heads of random weights, as a file, for means of patches that are `shift` deviations from where they are; `ema`:
  /// with their means over steps beside them.
  AlignModel write_heads(const std::string& name, double ema, double shift = 0) const {
    AlignOptions options;
    options.embed_dim = 16;
    options.ema = ema;
    options.image_head.blocks = 2;
    options.text_head.width_factor = 3;
    AlignModel model(options, {48, 32}, 9);
    const at::NoGradGuard guard;
    ParameterStore& store = model.parameters();
    for (std::size_t i = 0; i < store.parameters().size(); ++i) {
      if (store.parameters()[i].in("heads")) store.value(i).normal_(0.0, 0.2);
    }
    for (const auto& [copy, original] : store.twins()) store.value(copy).normal_(0.0, 0.2);
    const at::Tensor means = maps().mean(1), deviation = means.std(0).clamp_min(1e-4);
    model.set_moments({means.mean(0) + shift * deviation, deviation}, {at::zeros({32}), at::ones({32})});
    StateDict weights;
    for (const ParameterStore::Released& r : store.released()) weights.set(r.name, store.view(r));
    write_safetensors(folder_ / name, weights);
    return model;
  }

  PretrainRecipe on_heads(const std::string& heads) const {
    PretrainRecipe r = recipe();
    r.model.vit.picture.input = PictureInput::kFeatures;
    r.data.features.store = (folder_ / "train.fst.patches").string();
    r.data.features.tower = "vit:" + (folder_ / "vit").string();
    r.init.heads = heads.empty() ? "" : (folder_ / heads).string();
    return r;
  }
};

TEST_F(AlignedStart, TheContrastIsAtFirstTheHeads) {
  for (const double ema : {0.0, 0.9}) {
    SCOPED_TRACE(ema);
    const AlignModel heads = write_heads("heads.safetensors", ema);
    PretrainRecipe r = on_heads("heads.safetensors");
    r.read_sizes("cpu");
    EXPECT_TRUE(r.model.heads.enabled);
    EXPECT_EQ(r.model.heads.image_blocks, 2);
    EXPECT_EQ(r.model.heads.text_width_factor, 3);
    const auto model = pretrain_kind().make_model(r, 1);
    initialise_model(*model, r.init);
    const at::NoGradGuard guard;
    const at::Tensor pictures = maps();
    for (const Encoders* encoders : {&std::as_const(*model).vicha().online(), &model->vicha().momentum()}) {
      const ImageStates image =
          encoders->encode_image({patch_rows(pictures, r.model.vit), pictures.size(0)}, Dropout());
      EXPECT_TRUE(at::allclose(encoders->image_features(image), heads.embed_images(pictures.mean(1)), 1e-4, 1e-5));
      const Tokens tokens{at::tensor({2, 5, 8, 6, 2, 5, 9, 0}, at::kLong).view({2, 4}), {4, 3}};
      const TextStates text = encoders->encode_text(PackedText::packed(tokens, at::kCPU), Dropout());
      const at::Tensor mean = at::stack({text.states.slice(0, 0, 4).mean(0), text.states.slice(0, 4, 7).mean(0)});
      EXPECT_TRUE(at::allclose(encoders->text_features(text), heads.embed_texts(mean), 1e-4, 1e-5));
    }
    EXPECT_NEAR(model->vicha().temperature().item<double>(), 0.07, 1e-6);
  }
}

TEST_F(AlignedStart, TrainsResumesToTheSameBitsAndIsAStart) {
  write_heads("heads.safetensors", 0.9);
  const RunResult whole = run(on_heads("heads.safetensors"), "whole");
  run(on_heads("heads.safetensors"), "parts");
  fs::remove_all(folder_ / "parts" / "checkpoints" / whole.last_checkpoint.filename());
  const RunResult parts = run(on_heads("heads.safetensors"), "parts");
  EXPECT_EQ(read_file(whole.last_checkpoint / "model.safetensors"),
            read_file(parts.last_checkpoint / "model.safetensors"));
  // What it learnt, its heads among it, is where another run starts; or they are left aside.
  PretrainRecipe next = on_heads("");
  next.init.checkpoint = whole.last_checkpoint.string();
  EXPECT_TRUE(run(next, "without").finished);
  next.model.heads = load_trained(whole.last_checkpoint, "cpu").recipe->model.heads;
  EXPECT_TRUE(run(next, "with").finished);
  next.init.checkpoint = (folder_ / "without").string();
  EXPECT_TRUE(says(refusal_of([&] { run(next, "none"); }), "has no aligned heads"));
}

TEST_F(AlignedStart, HeadsOfOtherFeaturesAreRefused) {
  write_heads("shifted.safetensors", 0.0, 3.0);
  EXPECT_TRUE(says(refusal_of([&] { run(on_heads("shifted.safetensors"), "out"); }), "other features than this model"));
  write_heads("heads.safetensors", 0.0);
  PretrainRecipe narrow = on_heads("heads.safetensors");
  narrow.model.embed_dim = 8;
  EXPECT_TRUE(says(refusal_of<UsageError>([&] { narrow.read_sizes("cpu"); }), "model.embed_dim = 8"));
  PretrainRecipe none = on_heads("vit/model.safetensors");
  EXPECT_TRUE(says(refusal_of([&] { none.read_sizes("cpu"); }), "not heads of `vicha align`"));
  PretrainRecipe pixels = on_heads("heads.safetensors");
  pixels.model.vit.picture.input = PictureInput::kPixels;
  pixels.data.features.store.clear();
  EXPECT_TRUE(says(refusal_of<UsageError>([&] { pixels.read_sizes("cpu"); }), "model.image.width"));
  // Where weights to go on with belong, a run of align names the place where it belongs.
  PretrainRecipe misplaced = on_heads("");
  misplaced.init.checkpoint = (folder_ / "aligned").string();
  fs::create_directories(folder_ / "aligned");
  write_file_atomic(folder_ / "aligned/recipe.toml", "task = \"align\"\n");
  EXPECT_TRUE(says(refusal_of([&] { run(misplaced, "misplaced"); }), "Name it in init.heads"));
  PretrainRecipe nobodys = on_heads("");
  nobodys.model.heads.enabled = true;
  EXPECT_TRUE(says(refusal_of<UsageError>([&] { run(nobodys, "nobodys"); }), "init.heads"));
}

}  // namespace
}  // namespace vicha

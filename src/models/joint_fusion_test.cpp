// Joint fusion against the formulas, one sequence at a time and without padding; its gradient against finite
// differences; and what it is told of similarities, as if the rows of the pictures had been others.
#include "models/joint_fusion.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "models/regions.h"
#include "models/vicha.h"

namespace vicha {
namespace {

constexpr std::int64_t kWidth = 16, kImageWidth = 12, kHeads = 4, kRowsOfImage = 4;  // class token and three regions

TextOptions joint_text(std::int64_t fusion_layers) {
  TextOptions options;
  options.vocabulary = 30;
  options.max_positions = 8;
  options.width = kWidth;
  options.heads = kHeads;
  options.inner = 24;
  options.text_layers = 1;
  options.fusion_layers = fusion_layers;
  options.dropout = 0.0;
  return options;
}

/// Lively weights, under the names of checkpoints.
struct JointBert {
  ParameterStore store{3};
  Bert bert;
  std::int64_t layers;

  JointBert(std::int64_t fusion_layers, std::int64_t images)
      : bert(store, "text_encoder.", joint_text(fusion_layers), kImageWidth,
             {.kind = FusionKind::kJoint, .images = images}),
        layers(fusion_layers) {
    const at::NoGradGuard guard;
    at::manual_seed(2);
    for (const ParameterStore::Released& r : store.released()) store.view(r).add_(at::randn_like(store.view(r)) * 0.3);
  }
  at::Tensor released(const std::string& name) const {
    for (const ParameterStore::Released& r : store.released()) {
      if (r.name == "text_encoder.bert." + name) return store.view(r);
    }
    ADD_FAILURE() << name;
    return {};
  }
  at::Tensor linear(const at::Tensor& x, const std::string& name) const {
    return at::linear(x, released(name + ".weight"), released(name + ".bias"));
  }
  at::Tensor norm(const at::Tensor& x, const std::string& name) const {
    return at::layer_norm(x, {kWidth}, released(name + ".weight"), released(name + ".bias"), kBertEps);
  }
  /// One sequence: text rows (L, D) behind the rows of its pictures (F, D_image) each.
  at::Tensor plain(const at::Tensor& text_LD, const std::vector<at::Tensor>& pictures) const {
    std::vector<at::Tensor> parts;
    for (std::size_t c = 0; c < pictures.size(); ++c) {
      at::Tensor type = released("image_embeddings.type");
      if (c > 0) type = type + released("image_embeddings.type_" + std::to_string(c));
      parts.push_back(norm(linear(pictures[c], "image_embeddings.dense") + type, "image_embeddings.LayerNorm"));
    }
    parts.push_back(text_LD);
    at::Tensor x = at::cat(parts);
    for (std::int64_t i = 0; i < layers; ++i) {
      const std::string layer = "encoder.layer." + std::to_string(1 + i) + ".";
      const auto heads = [&](const char* name) {
        return linear(x, layer + "attention.self." + name).view({-1, kHeads, kWidth / kHeads}).transpose(0, 1);
      };
      const at::Tensor scores =
          at::matmul(heads("query"), heads("key").transpose(1, 2)) / std::sqrt(static_cast<double>(kWidth / kHeads));
      const at::Tensor attended = at::matmul(scores.softmax(-1), heads("value")).transpose(0, 1).reshape({-1, kWidth});
      x = norm(x + linear(attended, layer + "attention.output.dense"), layer + "attention.output.LayerNorm");
      const at::Tensor inner = at::gelu(linear(x, layer + "intermediate.dense"));
      x = norm(x + linear(inner, layer + "output.dense"), layer + "output.LayerNorm");
    }
    return x;
  }
};

FusedImages images_of(std::int64_t count) {
  FusedImages images;
  for (std::int64_t i = 0; i < count; ++i) images.add(kRowsOfImage, kRowsOfImage);
  return images;
}

bool close(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && at::allclose(a, b, 1e-4, 1e-5);
}

/// The rows that are read of each sequence, those of the text first.
at::Tensor plainly(const JointBert& model, const at::Tensor& texts, const at::Tensor& pictures,
                   const FusionPlan& plan) {
  std::vector<at::Tensor> read;
  for (const FusionPlan::Sequence& s : plan.sequences) {
    std::vector<at::Tensor> of_text;
    for (const std::int64_t image : s.images) {
      of_text.push_back(pictures.slice(0, image * kRowsOfImage, (image + 1) * kRowsOfImage));
    }
    const at::Tensor states = model.plain(texts.slice(0, s.begin, s.begin + s.real), of_text);
    const std::int64_t before = static_cast<std::int64_t>(s.images.size()) * kRowsOfImage;
    for (const std::int64_t j : s.read) read.push_back(states[before + j]);
    for (const std::int64_t j : s.read_image) read.push_back(states[j]);
  }
  return at::stack(read);
}

class JointFusionOf : public testing::TestWithParam<std::int64_t> {};

/// Row 7 of the texts is padding of the first and the third sequence.
TEST_P(JointFusionOf, EqualsOneSequenceAtATime) {
  const JointBert model(GetParam(), 1);
  const at::Tensor texts = at::randn({8, kWidth}), pictures = at::randn({12, kImageWidth});
  const FusedImages images = images_of(3);
  const FusionPlan plan{{{5, 3, 2, {2}, {0, 1}, {0, 3}},
                         {0, 3, 3, {1}, {2}},
                         {5, 3, 2, {0}, {}, {1}},
                         {1, 2, 2, {1}, {}},
                         {3, 2, 2, {2}, {0}}}};
  const auto fused = [&](const at::Tensor& words, const at::Tensor& rows, at::Tensor* all = nullptr) {
    return fuse(model.bert, words, model.bert.image_kv(rows), plan, images, Dropout(), all);
  };
  const at::Tensor joined = fused(texts, pictures);
  ASSERT_EQ(plan.rows_read(), 7);
  EXPECT_TRUE(close(joined, plainly(model, texts, pictures, plan)));
  at::Tensor all_rows;
  EXPECT_TRUE(close(joined, fused(texts, pictures, &all_rows)));
  EXPECT_EQ(all_rows.size(0), 5 * kRowsOfImage + 3 + 3 + 3 + 2 + 2);

  // Padding is seen by nobody, a picture by its own texts alone, whose every row sees all of it.
  at::Tensor padded = texts.clone(), other = pictures.clone();
  padded[7].fill_(9.0);
  EXPECT_TRUE(close(fused(padded, pictures), joined));
  other[7].fill_(9.0);  // the last region of picture 1
  const at::Tensor changed = fused(texts, other);
  const std::vector<std::int64_t> of_second = {4}, of_others = {0, 1, 2, 3, 5, 6};
  const auto rows = [](const at::Tensor& x, const std::vector<std::int64_t>& at) {
    return x.index_select(0, at::tensor(at, at::kLong));
  };
  EXPECT_TRUE(close(rows(changed, of_others), rows(joined, of_others)));
  EXPECT_FALSE(at::allclose(rows(changed, of_second), rows(joined, of_second), 1e-2, 1e-2));
}

INSTANTIATE_TEST_SUITE_P(Layers, JointFusionOf, testing::Values(1, 2, 3));

TEST(JointFusion, OfTwoPicturesTellsThemApartByTheirTypes) {
  const JointBert model(2, 2);
  const at::Tensor texts = at::randn({5, kWidth}), pictures = at::randn({12, kImageWidth});
  // Row 5 of the pictures: region 0 of the second one.
  const FusionPlan plan{{{0, 5, 5, {0, 2}, {0, 4}, {0, 5}}, {1, 3, 3, {1, 1}, {0}}}};
  const auto fused = [&](const FusionPlan& of) {
    return fuse(model.bert, texts, model.bert.image_kv(pictures), of, images_of(3), Dropout());
  };
  EXPECT_TRUE(close(fused(plan), plainly(model, texts, pictures, plan)));
  FusionPlan swapped = plan;
  std::swap(swapped.sequences[0].images[0], swapped.sequences[0].images[1]);
  EXPECT_FALSE(at::allclose(fused(swapped)[0], fused(plan)[0], 1e-2, 1e-2));
  // No layer stands there twice.
  EXPECT_FALSE(model.store.has_parameter("text_encoder.bert.encoder.layer.3.output.dense.weight"));
}

/// The slope of a random sum of the rows that are read, along its own gradient, of weights and of inputs.
TEST(JointFusion, GradientMatchesFiniteDifferences) {
  JointBert model(2, 2);
  at::Tensor texts = at::randn({6, kWidth}).requires_grad_(), pictures = at::randn({8, kImageWidth}).requires_grad_();
  const FusionPlan plan{{{0, 4, 3, {0, 1}, {0, 2}, {3, 6}}, {4, 2, 2, {1, 0}, {0}}}};
  const at::Tensor weights = at::randn({5, kWidth});
  const auto loss = [&] {
    const at::Tensor rows = fuse(model.bert, texts, model.bert.image_kv(pictures), plan, images_of(2), Dropout());
    return (rows * weights).sum();
  };
  std::vector<at::Tensor> learned = {texts, pictures};
  for (const Parameter& p : model.store.parameters()) {
    if (p.in("fusion")) learned.push_back(p.value);
  }
  EXPECT_EQ(learned.size(), 2U + 6 + 2 * 12);
  const auto grads = torch::autograd::grad({loss()}, learned);
  for (std::size_t i = 0; i < learned.size(); ++i) {
    const double length = grads[i].norm().item<double>();
    ASSERT_GT(length, 1e-4) << i;
    const double h = 3e-3;
    const at::NoGradGuard guard;
    learned[i].add_(grads[i], h / length);
    const double up = loss().item<double>();
    learned[i].sub_(grads[i], 2 * h / length);
    const double down = loss().item<double>();
    learned[i].add_(grads[i], h / length);
    EXPECT_NEAR((up - down) / (2 * h), length, 0.02 * length + 2e-3) << i;
  }
}

ModelOptions compared_model(bool similarity) {
  ModelOptions m;
  m.vit = {24, 8, 20, 2, 4};
  m.text = joint_text(2);
  m.text.vocabulary = 40;
  m.concepts.layers = 1;
  m.embed_dim = 6;
  m.queue_size = 4;
  m.fusion = {.kind = FusionKind::kJoint, .images = 1, .similarity = similarity};
  m.regions.rows = 1;
  m.regions.columns = 2;
  return m;
}

/// What words and regions gain where they agree is what those rows would be if they had come so: text by text.
TEST(JointFusion, ToldSimilaritiesReadsChangedRegions) {
  const Vicha model(compared_model(true), 3), untold(compared_model(false), 3);
  const at::NoGradGuard guard;
  at::manual_seed(5);
  for (const char* name : {"word_similarity", "patch_similarity"}) {
    at::Tensor(model.parameters().parameter(name).value).normal_();
  }
  const VitOptions& vit = model.options().vit;
  const Tokens words{at::randint(5, 40, {3, 4}, at::kLong), {4, 2, 3}};
  const ImageStates image = model.online().encode_image(
      {patch_rows(at::randn({2, 3, 24, 24}), vit), 2, {at::full({2, 2}, 9, at::kLong), {2, 1}}}, Dropout());
  EXPECT_EQ(image.patches.sizes(), (at::IntArrayRef{2, 2, 6})) << "regions, not the nine patches";
  EXPECT_TRUE(at::allclose(image.regions, pool_regions(image.states, image.tokens, region_weights(model.options()))));
  const TextStates text = model.online().encode_text(PackedText::packed(words, at::kCPU), Dropout());
  FusionPlan plan;
  for (std::int64_t i = 0; i < 3; ++i)
    plan.sequences.push_back(FusionPlan::sequence(text.pack, i, 0, 1 - i % 2, {0, 1}));
  const Bert& bert = model.online().text;
  const at::Tensor ours =
      fuse(bert, text.states, bert.image_kv(image.fusion_rows()), plan, FusedImages(image), Dropout());

  const WordPatchSimilarity& similarity = *model.online().similarity;
  std::vector<at::Tensor> alone;
  for (FusionPlan::Sequence s : plan.sequences) {
    const at::Tensor own = text.states.slice(0, s.begin, s.begin + s.rows);
    const at::Tensor cosine = at::mm(similarity.words(own), image.patches[s.images[0]].t());
    const at::Tensor best = cosine.amax(1).slice(0, 1);
    const at::Tensor rows = own + at::outer(at::cat({best.mean().view({1}), best}), similarity.word_vector(0));
    const at::Tensor of_regions = at::cat({at::zeros({1}), cosine.slice(0, 1).amax(0)});
    const at::Tensor picture =
        image.fusion_rows().view({2, 3, -1})[s.images[0]] + at::outer(of_regions, similarity.patch_vector());
    FusedImages one;
    one.add(3, 3);
    s.begin = s.images[0] = 0;
    const Bert& plain = untold.online().text;
    alone.push_back(fuse(plain, rows, plain.image_kv(picture), FusionPlan{{s}}, one, Dropout()));
  }
  EXPECT_TRUE(close(ours, at::cat(alone)));
}

}  // namespace
}  // namespace vicha

// Draws of text assignment, and that each picture of a statement is read with its own concepts, in its own place.
#include "tasks/nlvr2/network/nlvr2_net.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <array>

#include "base/error.h"
#include "tasks/downstream/network/pairs.h"
#include "tasks/nlvr2/network/assignment_net.h"

namespace vicha {
namespace {

TEST(RandomAssignment, DrawsByTheRowsWeights) {
  Rng rng(5);
  RandomAssignment draws(rng);
  // Picture 0 stands in for nobody but by the lack of others (row 3, which has no weight at all).
  const at::Tensor weights =
      at::tensor({0.0F, 3.0F, 1.0F, 0.0F, 0.0F, 0.0F, 1.0F, 1.0F, 0.0F, 1.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F})
          .view({4, 4});
  std::array<std::int64_t, 3> labels{};
  std::array<std::int64_t, 4> of_first{}, of_last{};
  constexpr int kRounds = 3000;
  for (int round = 0; round < kRounds; ++round) {
    const Assignment a = draws.draw(weights);
    for (std::size_t i = 0; i < 4; ++i) {
      const auto own = static_cast<std::int64_t>(i);
      ++labels.at(static_cast<std::size_t>(a.labels[i]));
      EXPECT_NE(a.first[i], a.second[i]);
      EXPECT_EQ(a.first[i] == own, a.labels[i] == Assignment::kFirst);
      EXPECT_EQ(a.second[i] == own, a.labels[i] == Assignment::kSecond);
    }
    if (a.labels[0] == Assignment::kFirst) ++of_first.at(static_cast<std::size_t>(a.second[0]));
    if (a.labels[3] == Assignment::kFirst) ++of_last.at(static_cast<std::size_t>(a.second[3]));
  }
  for (const std::int64_t count : labels) EXPECT_NEAR(static_cast<double>(count) / (4 * kRounds), 1.0 / 3, 0.02);
  EXPECT_EQ(of_first[3], 0) << "no weight";
  EXPECT_NEAR(static_cast<double>(of_first[1]) / static_cast<double>(of_first[1] + of_first[2]), 0.75, 0.06);
  for (std::size_t j = 0; j < 3; ++j) EXPECT_GT(of_last.at(j), kRounds / 12) << "all alike";

  const Assignment two = draws.draw(at::tensor({0.0F, 1.0F, 1.0F, 0.0F}).view({2, 2}));
  for (const std::int64_t label : two.labels) EXPECT_NE(label, Assignment::kNeither);
}

ModelOptions tiny_model(std::int64_t images) {
  ModelOptions options;
  options.vit = {16, 8, 16, 2, 2};
  options.text.vocabulary = 30;
  options.text.max_positions = 8;
  options.text.width = 16;
  options.text.heads = 2;
  options.text.inner = 24;
  options.text.text_layers = 1;
  options.text.fusion_layers = 2;
  options.text.dropout = 0.0;
  options.fusion.images = images;
  options.concepts.layers = 1;
  options.embed_dim = 8;
  options.queue_size = 4;
  return options;
}

Tokens some_tokens(std::int64_t rows, std::int64_t length) {
  return {at::randint(5, 30, {rows, length}, at::kLong),
          std::vector<std::int64_t>(static_cast<std::size_t>(rows), length)};
}

TEST(Nlvr2Net, ReadsOneOrTwoPicturesWithAText) {
  EXPECT_THROW(require_two_images(tiny_model(1)), UsageError);
  EXPECT_THROW(require_pictures_of_statement(tiny_model(3)), UsageError);
  Vicha together(tiny_model(2), 4), apart(tiny_model(1), 4);
  const Nlvr2Net both(together, TeacherVit::kMomentum), each(apart, TeacherVit::kMomentum);
  EXPECT_EQ(together.parameters().parameter("cls_head.0.weight").value.sizes(), at::IntArrayRef({16, 16}));
  EXPECT_EQ(apart.parameters().parameter("cls_head.0.weight").value.sizes(), at::IntArrayRef({16, 32}));
}

/// 2: each copy of a fusion layer reads one picture. 1: the text is read with either picture apart.
class PicturesOfAPass : public testing::TestWithParam<std::int64_t> {};
INSTANTIATE_TEST_SUITE_P(Nlvr2Net, PicturesOfAPass, testing::Values(1, 2));

TEST_P(PicturesOfAPass, EachIsReadWithItsConceptsInItsPlace) {
  at::manual_seed(3);
  Vicha model(tiny_model(GetParam()), 4);
  const Nlvr2Net net(model, TeacherVit::kMomentum);
  const at::NoGradGuard guard;
  for (const ParameterStore::Released& r : model.parameters().released()) {
    if (r.name.ends_with("weight")) model.parameters().view(r).normal_(0.0, 0.2);
  }
  StatementInput input{{StatementInput::Side{at::randn({3, 3, 16, 16}), some_tokens(3, 2)},
                        StatementInput::Side{at::randn({3, 3, 16, 16}), some_tokens(3, 5)}},
                       some_tokens(3, 4)};
  const at::Tensor logits = net.logits(input, Dropout());
  EXPECT_EQ(logits.sizes(), at::IntArrayRef({3, 2}));
  const auto changed = [&](const StatementInput& other) {
    return net.logits(other, Dropout()).sub(logits).abs().amax(1).gt(1e-6);
  };
  std::swap(input.sides[0], input.sides[1]);
  EXPECT_TRUE(changed(input).all().item<bool>()) << "the order matters";
  std::swap(input.sides[0], input.sides[1]);
  for (std::size_t side = 0; side < 2; ++side) {
    StatementInput other = input;
    other.sides[side].concepts = {other.sides[side].concepts.ids.clone(), other.sides[side].concepts.lengths};
    other.sides[side].concepts.ids[1][1] = (other.sides[side].concepts.ids[1][1].item<std::int64_t>() + 1) % 25 + 5;
    const at::Tensor moved = changed(other);
    EXPECT_TRUE(moved[1].item<bool>());
    EXPECT_FALSE(moved[0].item<bool>() || moved[2].item<bool>()) << "another statement's";
  }
}

/// Read apart, a statement's states are those of the text with either picture alone.
TEST(Nlvr2Net, ApartIsTwoPassesSideBySide) {
  at::manual_seed(3);
  Vicha model(tiny_model(1), 4);
  const Nlvr2Net net(model, TeacherVit::kMomentum);
  const at::NoGradGuard guard;
  const Encoders& encoders = model.online();
  const StatementInput input{{StatementInput::Side{at::randn({2, 3, 16, 16}), some_tokens(2, 2)},
                              StatementInput::Side{at::randn({2, 3, 16, 16}), some_tokens(2, 3)}},
                             some_tokens(2, 4)};
  const TextStates text = encoders.encode_text(PackedText::packed(input.texts, at::kCPU), Dropout());
  std::vector<at::Tensor> alone;
  for (const StatementInput::Side& side : input.sides) {
    const ImageStates image =
        encoders.encode_image({patch_rows(side.pictures, encoders.vit.options()), 2, side.concepts}, Dropout());
    alone.push_back(fuse_texts(encoders, text, encoders.text.image_kv(image.fusion_rows()), FusedImages(image), {0, 1},
                               FusedRows::kCls, Dropout()));
  }
  const at::Tensor fused = encode_statements(encoders, input, Dropout());
  EXPECT_TRUE(fused.allclose(at::cat(alone, 1), 1e-4, 1e-6));
  EXPECT_TRUE(net.logits(input, Dropout()).allclose(net.logits(fused)));
}

/// Of each side the layer's own copy is looked at, and a statement's maps are those that it has alone.
TEST_P(PicturesOfAPass, MapsAreOfEachSidesPictures) {
  at::manual_seed(3);
  Vicha model(tiny_model(GetParam()), 4);
  const Nlvr2Net net(model, TeacherVit::kMomentum);
  const at::NoGradGuard guard;
  for (const ParameterStore::Released& r : model.parameters().released()) {
    if (r.name.ends_with("weight")) model.parameters().view(r).normal_(0.0, 0.3);
  }
  const Encoders& encoders = model.online();
  StatementInput input{{StatementInput::Side{at::randn({2, 3, 16, 16}), some_tokens(2, 2)},
                        StatementInput::Side{at::randn({2, 3, 16, 16}), some_tokens(2, 2)}},
                       {at::randint(5, 30, {2, 4}, at::kLong), {4, 3}}};
  const auto truth = [&](const at::Tensor& fused) { return net.logits(fused).select(1, 1); };
  const auto maps_of = [&](const StatementInput& of, std::size_t side) {
    return statement_maps(encoders, statement_states(encoders, of, Dropout()), side, truth);
  };
  for (const std::size_t side : {0, 1}) {
    const at::Tensor maps = maps_of(input, side);
    ASSERT_EQ(maps.size(0), 7);
    EXPECT_EQ(maps.size(1), model.options().vit.patches());
    EXPECT_GE(maps.min().item<float>(), 0.0F);
    EXPECT_GT(maps.sum().item<float>(), 0.0F);
    StatementInput second = input;
    for (StatementInput::Side& s : second.sides) {
      s.pictures = s.pictures.slice(0, 1);
      s.concepts = {s.concepts.ids.slice(0, 1), {s.concepts.lengths[1]}};
    }
    second.texts = {second.texts.ids.slice(0, 1, 2, 1).slice(1, 0, 3).contiguous(), {3}};
    EXPECT_TRUE(at::allclose(maps.slice(0, 4), maps_of(second, side), 1e-4, 1e-8)) << side;
  }
  // The same picture twice has a map for each place: each copy of the layer has its own queries, or the head its own
  // weights.
  input.sides[1] = input.sides[0];
  EXPECT_FALSE(at::allclose(maps_of(input, 0), maps_of(input, 1), 1e-3, 1e-8));
}

class TeacherOf : public testing::TestWithParam<TeacherVit> {};
INSTANTIATE_TEST_SUITE_P(Vit, TeacherOf, testing::Values(TeacherVit::kMomentum, TeacherVit::kReleased));

TEST_P(TeacherOf, SeesWithTheImageEncoderThatItIsTold) {
  at::manual_seed(3);
  Vicha model(tiny_model(2), 4);
  const Nlvr2Net ours(model, GetParam());
  const StatementInput input{{StatementInput::Side{at::randn({2, 3, 16, 16}), some_tokens(2, 2)},
                              StatementInput::Side{at::randn({2, 3, 16, 16}), some_tokens(2, 3)}},
                             some_tokens(2, 4)};
  const at::Tensor labels = at::tensor({0, 1}, at::kLong);
  {
    const at::NoGradGuard guard;
    for (const ParameterStore::Released& r : model.parameters().released()) {
      if (r.name.ends_with("weight")) model.parameters().view(r).normal_(0.0, 0.2);
    }
  }
  model.reset_momentum();
  const Nlvr2Net::Step same = ours.step(input, labels, 0.4, Dropout());
  EXPECT_TRUE(same.momentum_logits.allclose(same.logits, 1e-5, 1e-6));
  EXPECT_FALSE(ours.step(input, labels, 0.0, Dropout()).momentum_logits.defined());
  {
    const at::NoGradGuard guard;
    model.parameters().parameter("visual_encoder.cls_token").value.normal_();
  }
  const Nlvr2Net::Step moved = ours.step(input, labels, 0.4, Dropout());
  EXPECT_EQ(moved.momentum_logits.allclose(same.momentum_logits, 1e-5, 1e-6), GetParam() == TeacherVit::kMomentum)
      << "the copy has not moved";
  EXPECT_FALSE(moved.logits.allclose(same.logits, 1e-5, 1e-6));
}

}  // namespace
}  // namespace vicha

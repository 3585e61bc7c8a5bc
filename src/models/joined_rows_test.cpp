// Passes joined to one, and texts packed to one: each part comes back as it went in.
#include "models/joined_rows.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <stdexcept>

#include "models/bert.h"

namespace vicha {
namespace {

using Places = std::vector<std::int64_t>;

std::vector<Places> as_numbers(const Segments& segments) {
  std::vector<Places> list;
  for (const Segment& s : segments.list) list.push_back({s.q_begin, s.q_len, s.k_begin, s.k_len});
  return list;
}

Places ids_of(const at::Tensor& ids) {
  return Places(ids.data_ptr<std::int64_t>(), ids.data_ptr<std::int64_t>() + ids.numel());
}

TEST(JoinedRows, OnePartIsThePassItself) {
  JoinedRows pass;
  const at::Tensor rows = at::randn({6, 3}), states = at::randn({6, 3});
  const SegmentsPtr segments = Segments::uniform(2, 3);
  const JoinedRows::Part own = pass.add(rows, segments);
  EXPECT_TRUE(pass.rows().is_same(rows));
  EXPECT_EQ(pass.segments(), segments);
  pass.set_states(states);
  EXPECT_TRUE(pass.states(own).is_same(states));
}

TEST(JoinedRows, PartsStandOneAfterTheOther) {
  JoinedRows pass;
  const at::Tensor a = at::randn({6, 3}), b = at::randn({3, 3}), c = at::randn({4, 3});
  const auto first = pass.add(a, Segments::uniform(2, 3, Places{3, 2}));
  const auto second = pass.add(b, Segments::packed(Places{1, 2}));
  const auto third = pass.add(c, Segments::uniform(1, 4));
  EXPECT_TRUE(at::equal(pass.rows(), at::cat({a, b, c})));
  EXPECT_EQ(pass.segments()->q_rows, 13);
  EXPECT_EQ(as_numbers(*pass.segments()),
            (std::vector<Places>{{0, 3, 0, 3}, {3, 3, 3, 2}, {6, 1, 6, 1}, {7, 2, 7, 2}, {9, 4, 9, 4}}));
  pass.set_states(pass.rows() * 2.0);
  EXPECT_TRUE(at::equal(pass.states(first), a * 2.0));
  EXPECT_TRUE(at::equal(pass.states(second), b * 2.0));
  EXPECT_TRUE(at::equal(pass.states(third), c * 2.0));
}

TEST(JoinedRows, APartsGradientStaysWithIt) {
  JoinedRows pass;
  const at::Tensor a = at::randn({2, 3}).set_requires_grad(true), b = at::randn({4, 3}).set_requires_grad(true);
  pass.add(a, Segments::uniform(1, 2));
  const auto part = pass.add(b, Segments::uniform(2, 2));
  pass.set_states(pass.rows().pow(2));
  const auto grads = torch::autograd::grad({pass.states(part).sum()}, {a, b});
  EXPECT_EQ(grads[0].abs().max().item<double>(), 0.0);
  EXPECT_TRUE(at::allclose(grads[1], 2 * b));
}

TEST(JoinedRows, RefusesRowsThatAreNotTheSegments) {
  JoinedRows pass;
  EXPECT_THROW(pass.add(at::randn({5, 3}), Segments::uniform(2, 3)), std::logic_error);
  EXPECT_THROW(pass.states(0), std::out_of_range) << "nothing has run yet";
}

Tokens two_texts() { return {at::tensor(Places{2, 7, 8, 2, 9, 0}).view({2, 3}), {3, 2}}; }

TEST(PackedText, LeavesOutOrKeepsThePadding) {
  const PackedText packed = PackedText::packed(two_texts(), at::kCPU);
  EXPECT_EQ(ids_of(packed.ids), (Places{2, 7, 8, 2, 9}));
  EXPECT_EQ(ids_of(packed.positions), (Places{0, 1, 2, 0, 1}));
  EXPECT_EQ(packed.begin, (Places{0, 3}));
  EXPECT_EQ(packed.strides, (Places{3, 2}));
  EXPECT_EQ(as_numbers(*packed.segments), (std::vector<Places>{{0, 3, 0, 3}, {3, 2, 3, 2}}));
  const PackedText padded = PackedText::padded(two_texts(), at::kCPU);
  EXPECT_EQ(ids_of(padded.ids), (Places{2, 7, 8, 2, 9, 0}));
  EXPECT_EQ(padded.begin, (Places{0, 3}));
  EXPECT_EQ(padded.strides, (Places{3, 3}));
  EXPECT_EQ(padded.lengths, (Places{3, 2}));
  EXPECT_EQ(as_numbers(*padded.segments), (std::vector<Places>{{0, 3, 0, 3}, {3, 3, 3, 2}})) << "nobody asks padding";
}

TEST(PackedText, JoinedStandsOneAfterTheOther) {
  const PackedText a = PackedText::packed(two_texts(), at::kCPU),
                   b = PackedText::padded({at::tensor(Places{2, 5}).view({1, 2}), {1}}, at::kCPU);
  EXPECT_TRUE(PackedText::joined({&a}).ids.is_same(a.ids)) << "one is itself";
  const PackedText all = PackedText::joined({&a, &b, &a});
  EXPECT_EQ(ids_of(all.ids), (Places{2, 7, 8, 2, 9, 2, 5, 2, 7, 8, 2, 9}));
  EXPECT_EQ(ids_of(all.positions), (Places{0, 1, 2, 0, 1, 0, 1, 0, 1, 2, 0, 1}));
  EXPECT_EQ(all.begin, (Places{0, 3, 5, 7, 10}));
  EXPECT_EQ(all.strides, (Places{3, 2, 2, 3, 2}));
  EXPECT_EQ(all.lengths, (Places{3, 2, 1, 3, 2}));
  EXPECT_EQ(all.size(), 5);
  EXPECT_EQ(all.rows(), 12);
  EXPECT_EQ(as_numbers(*all.segments),
            (std::vector<Places>{{0, 3, 0, 3}, {3, 2, 3, 2}, {5, 2, 5, 1}, {7, 3, 7, 3}, {10, 2, 10, 2}}));
}

}  // namespace
}  // namespace vicha

// The store of parameters: what a scope reaches, copies that follow, and the names under which tensors are released.
#include "nn/parameters.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace vicha {
namespace {

using Names = std::vector<std::string>;
using Scope = ParameterStore::Scope;

/// body: in "tower"; head: in "heads" and, within, "head".
ParameterStore store_with_scopes() {
  ParameterStore store(7);
  {
    const Scope tower(store, "tower");
    store.add("body.weight", {4, 3}, Init::kNormal002);
  }
  {
    const Scope heads(store, "heads");
    store.add("shared.bias", {2}, Init::kZeros);
    const Scope head(store, "head");
    store.add("head.weight", {2, 3}, Init::kLinearDefault, 3);
  }
  store.add("free", {}, Init::kOnes);
  return store;
}

TEST(ParameterStore, ScopesNestAndEnd) {
  const ParameterStore store = store_with_scopes();
  EXPECT_EQ(store.parameter("head.weight").scopes, (Names{"heads", "head"}));
  EXPECT_EQ(store.parameter("shared.bias").scopes, (Names{"heads"}));
  EXPECT_TRUE(store.parameter("free").scopes.empty());
  EXPECT_EQ(store.scopes(), (Names{"tower", "heads", "head"}));
  EXPECT_TRUE(store.parameter("head.weight").in("heads"));
  EXPECT_FALSE(store.parameter("shared.bias").in("head"));
}

TEST(ParameterStore, FreezesExactlyAScope) {
  ParameterStore store = store_with_scopes();
  EXPECT_FALSE(store.frozen("heads"));
  store.freeze("head");
  EXPECT_TRUE(store.frozen("head"));
  EXPECT_FALSE(store.frozen("heads")) << "the shared bias still learns";
  EXPECT_TRUE(store.parameter("shared.bias").value.requires_grad());
  store.freeze("heads");
  EXPECT_TRUE(store.frozen("heads"));
  EXPECT_TRUE(store.parameter("body.weight").value.requires_grad());
  EXPECT_TRUE(store.parameter("free").value.requires_grad());
  store.freeze("nobody");
  EXPECT_FALSE(store.frozen("nobody")) << "nothing is there that could be frozen";
}

TEST(ParameterStore, LearningRatesAndBeginningsAreOfAScope) {
  ParameterStore store = store_with_scopes();
  store.set_lr_scale("heads", 10.0);
  store.set_begin("heads", 0.25);
  store.set_begin("head", 0.5);  // the later call counts
  EXPECT_EQ(store.parameter("head.weight").lr_scale, 10.0);
  EXPECT_EQ(store.parameter("head.weight").begins, 0.5);
  EXPECT_EQ(store.parameter("shared.bias").begins, 0.25);
  for (const char* other : {"body.weight", "free"}) {
    EXPECT_EQ(store.parameter(other).lr_scale, 1.0);
    EXPECT_EQ(store.parameter(other).begins, 0.0);
  }
}

TEST(ParameterStore, TwinsStartEqualAndNeverLearn) {
  ParameterStore store(7);
  store.add("before", {2}, Init::kOnes);
  const auto twins = store.add_twins([&](const std::string& suffix) {
    const Scope scope(store, "tower");
    store.add("tower" + suffix + ".bias", {3}, Init::kZeros);
    return store.add("tower" + suffix + ".weight", {3, 3}, Init::kNormal002);
  });
  EXPECT_TRUE(at::equal(twins.online, twins.momentum)) << "though their names would draw other values";
  EXPECT_FALSE(twins.online.is_alias_of(twins.momentum));
  EXPECT_TRUE(twins.online.requires_grad());
  EXPECT_FALSE(twins.momentum.requires_grad());
  ASSERT_EQ(store.twins().size(), 2u);
  for (const auto& [copy, original] : store.twins()) {
    std::string name = store.parameters()[original].name;
    EXPECT_EQ(store.parameters()[copy].name, name.insert(name.find('.'), "_m"));
    EXPECT_TRUE(store.parameters()[copy].follower);
    EXPECT_FALSE(store.parameters()[original].follower);
  }
  // No scope counts a copy: it is neither frozen, nor does it keep a scope from being so.
  EXPECT_FALSE(store.parameter("tower_m.weight").in("tower"));
  store.set_lr_scale("tower", 3.0);
  store.set_begin("tower", 0.5);
  EXPECT_EQ(store.parameter("tower_m.weight").lr_scale, 1.0);
  EXPECT_EQ(store.parameter("tower_m.weight").begins, 0.0);
  EXPECT_FALSE(store.frozen("tower"));
  store.freeze("tower");
  EXPECT_TRUE(store.frozen("tower"));
}

TEST(ParameterStore, TwinsMustBeAlike) {
  ParameterStore more(1), wider(1);
  EXPECT_THROW(more.add_twins([&](const std::string& suffix) {
    if (suffix.empty()) more.add("extra", {1}, Init::kZeros);
    return more.add("x" + suffix, {2}, Init::kZeros);
  }),
               std::logic_error);
  EXPECT_THROW(wider.add_twins([&](const std::string& suffix) {
    return wider.add("x" + suffix, {suffix.empty() ? 2 : 1}, Init::kZeros);
  }),
               std::logic_error);
}

TEST(ParameterStore, ValuesFollowFromSeedAndName) {
  ParameterStore one(7), two(7), other(8);
  const at::Tensor a = one.add("a", {40, 5}, Init::kTruncatedNormal002), b = one.add("b", {40, 5}, Init::kNormal002);
  EXPECT_TRUE(at::equal(two.add("b", {40, 5}, Init::kNormal002), b));
  EXPECT_TRUE(at::equal(two.add("a", {40, 5}, Init::kTruncatedNormal002), a)) << "whatever came before";
  EXPECT_FALSE(at::equal(other.add("b", {40, 5}, Init::kNormal002), b));
  EXPECT_FALSE(at::equal(two.add("c", {40, 5}, Init::kNormal002), b));
  EXPECT_LE(a.abs().max().item<double>(), 0.04 + 1e-6);
  EXPECT_NEAR(b.std().item<double>(), 0.02, 0.005);
  const at::Tensor linear = one.add("linear", {40, 5}, Init::kLinearDefault, 4);
  EXPECT_LE(linear.abs().max().item<double>(), 0.5);
  EXPECT_GT(linear.abs().max().item<double>(), 0.4);
}

TEST(ParameterStore, DecayLeavesVectorsAndBiasesAlone) {
  ParameterStore store(1);
  store.add("w", {2, 2}, Init::kZeros);
  store.add("norm", {2}, Init::kOnes);
  store.add("table.bias", {2, 2}, Init::kZeros);
  store.add("temp", {}, Init::kZeros);
  EXPECT_TRUE(store.parameter("w").decayed);
  EXPECT_FALSE(store.parameter("norm").decayed);
  EXPECT_FALSE(store.parameter("table.bias").decayed);
  EXPECT_TRUE(store.parameter("temp").decayed) << "0-D, as the public implementation has it";
}

TEST(ParameterStore, PartsAliasesBuffersAndTablesAreViews) {
  ParameterStore store(7);
  const at::Tensor fused = store.add_fused("qkv", {"query", "key", "value"}, {6, 2}, Init::kNormal002);
  store.alias("tied", "qkv");
  const at::Tensor buffer = store.add_buffer("queue", at::zeros({3}));
  store.add_table("positions", at::ones({2}));
  Names names;
  for (const ParameterStore::Released& r : store.released()) names.push_back(r.name);
  ASSERT_EQ(names, (Names{"query", "key", "value", "tied", "queue", "positions"}));
  EXPECT_EQ(store.parameters().size(), 1u);

  const auto& released = store.released();
  for (std::int64_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(at::equal(store.view(released[static_cast<std::size_t>(i)]), fused.slice(0, 2 * i, 2 * i + 2)));
    EXPECT_FALSE(store.grad_view(released[static_cast<std::size_t>(i)]).defined());
  }
  store.view(released[1]).fill_(5.0);
  EXPECT_TRUE(fused.slice(0, 2, 4).eq(5.0).all().item<bool>());
  (fused.slice(0, 4, 6) * 3.0).sum().backward();
  EXPECT_TRUE(store.grad_view(released[0]).eq(0.0).all().item<bool>());
  EXPECT_TRUE(store.grad_view(released[2]).eq(3.0).all().item<bool>());

  EXPECT_TRUE(released[3].is_alias);
  EXPECT_TRUE(store.view(released[3]).is_alias_of(fused));
  EXPECT_TRUE(at::equal(store.grad_view(released[3]), fused.grad()));
  store.view(released[4]).fill_(2.0);
  EXPECT_EQ(buffer.sum().item<double>(), 6.0);
  EXPECT_FALSE(released[4].is_table);
  EXPECT_TRUE(released[5].is_table);
  EXPECT_FALSE(store.grad_view(released[4]).defined());
}

TEST(ParameterStore, NamesAreThereOnce) {
  ParameterStore store = store_with_scopes();
  EXPECT_TRUE(store.has_parameter("free"));
  EXPECT_FALSE(store.has_parameter("nobody"));
  EXPECT_THROW(store.parameter("nobody"), std::logic_error);
  EXPECT_THROW(store.add("free", {2}, Init::kZeros), std::logic_error);
  EXPECT_THROW(store.alias("second", "nobody"), std::logic_error);
}

}  // namespace
}  // namespace vicha

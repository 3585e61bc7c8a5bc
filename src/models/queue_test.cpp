// The queue of momentum features: what stands where after it has gone round.
#include "models/queue.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace vicha {
namespace {

constexpr std::int64_t kEmbed = 3, kLength = 5;

at::Tensor numbered_ids(std::int64_t first, std::int64_t count) { return at::arange(first, first + count, at::kLong); }

TEST(QueueTest, StartsWithNoiseOfLengthOneUnderReleasedNames) {
  ParameterStore store(1), other(2);
  const Queue queue(store, kEmbed, kLength, 9), again(other, kEmbed, kLength, 9);
  EXPECT_TRUE(at::allclose(queue.images().norm(2, {0}), at::ones({kLength})));
  EXPECT_TRUE(at::allclose(queue.texts().norm(2, {0}), at::ones({kLength})));
  EXPECT_FALSE(at::equal(queue.images(), queue.texts()));
  EXPECT_TRUE(at::equal(queue.images(), again.images())) << "from its own seed";
  EXPECT_FALSE(queue.ids().defined());
  std::vector<std::string> names;
  for (const ParameterStore::Released& r : store.released()) names.push_back(r.name);
  EXPECT_EQ(names, (std::vector<std::string>{"image_queue", "text_queue", "queue_ptr"}));
  EXPECT_TRUE(store.parameters().empty()) << "nothing of it learns";
}

TEST(QueueTest, WrapsRoundWithItsIds) {
  ParameterStore store(1);
  Queue queue(store, kEmbed, kLength, 9);
  queue.keep_ids(store);
  EXPECT_TRUE(queue.ids().eq(-100).all().item<bool>());
  EXPECT_EQ(queue.ids().sizes(), (at::IntArrayRef{1, kLength}));
  std::vector<std::int64_t> expected(kLength, -100);
  at::Tensor images = queue.images().clone(), texts = queue.texts().clone();
  std::int64_t at = 0;
  for (const std::int64_t batch : {2, 2, 2, 5, 1, 4, 7, 13}) {  // the last two are longer than the queue
    const at::Tensor image = at::randn({batch, kEmbed}), text = at::randn({batch, kEmbed});
    queue.push(image, text, numbered_ids(100 * at, batch));
    for (std::int64_t i = 0; i < batch; ++i) {
      const std::int64_t place = (at + i) % kLength;
      images.select(1, place).copy_(image[i]);
      texts.select(1, place).copy_(text[i]);
      expected[static_cast<std::size_t>(place)] = 100 * at + i;
    }
    at += batch;
    EXPECT_TRUE(at::equal(queue.images(), images)) << "after " << at;
    EXPECT_TRUE(at::equal(queue.texts(), texts)) << "after " << at;
    EXPECT_TRUE(at::equal(queue.ids()[0], at::tensor(expected))) << "after " << at;
    EXPECT_EQ(store.view(store.released()[2]).item<std::int64_t>(), at % kLength);
  }
}

TEST(QueueTest, IdsAreKeptOnlyWhereAsked) {
  ParameterStore store(1), with(1);
  Queue without(store, kEmbed, kLength, 9), queue(with, kEmbed, kLength, 9);
  const at::Tensor f = at::randn({2, kEmbed});
  without.push(f, f, numbered_ids(1, 2));
  EXPECT_FALSE(without.ids().defined());
  queue.keep_ids(with);
  queue.push(f, f, {});
  EXPECT_TRUE(queue.ids().eq(-100).all().item<bool>());
  EXPECT_THROW(queue.keep_ids(with), std::logic_error) << "a second table would be saved under the same name";
}

TEST(QueueTest, FeaturesGoInWithoutTheirGraph) {
  ParameterStore store(1);
  Queue queue(store, kEmbed, kLength, 9);
  const at::Tensor f = at::randn({2, kEmbed}).set_requires_grad(true);
  queue.push(f * 2.0, (f * 3.0).to(at::kBFloat16), {});
  EXPECT_FALSE(queue.images().requires_grad());
  EXPECT_EQ(queue.texts().scalar_type(), at::kFloat);
  EXPECT_TRUE(at::equal(queue.images().slice(1, 0, 2), (f.detach() * 2.0).t()));
}

}  // namespace
}  // namespace vicha

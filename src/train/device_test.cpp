#include "train/device.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/signals.h"
#include "nn/kernel_choice.h"

namespace vicha {
namespace {

struct Words : BatchTargets {
  at::Tensor ids;
  void for_each_tensor(const TensorVisit& visit) override { visit(ids); }
};

TEST(Device, Names) {
  EXPECT_TRUE(choose_device("cpu").is_cpu());
  EXPECT_EQ(choose_device("auto").is_cpu(), !at::hasCUDA());
  for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "", "CPU"}) {
    EXPECT_THROW(choose_device(name), UsageError) << name;
  }
  try {
    choose_device("cuda:99");
    FAIL();
  } catch (const UsageError& e) {
    EXPECT_NE(std::string(e.what()).find("cuda:99"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("'cpu'"), std::string::npos);
  }
}

TEST(Device, Precision) {
  EXPECT_TRUE(use_bf16(Precision::kBf16, at::kCPU));
  EXPECT_FALSE(use_bf16(Precision::kFp32, at::kCPU));
  EXPECT_EQ(use_bf16(Precision::kAuto, at::kCPU), kernel_choice().bf16_is_faster);
  EXPECT_TRUE(use_bf16(Precision::kAuto, at::Device(at::kCUDA, 0)));
  EXPECT_EQ(parse_precision("bf16"), Precision::kBf16);
  EXPECT_THROW(parse_precision("fp16"), UsageError);
}

TEST(Device, ABatchMoves) {
  Batch batch;
  batch.image = at::zeros({2, 3, 4, 4});
  batch.add<Words>().ids = at::ones({2, 5}, at::kLong);
  batch = to_device(std::move(batch), at::kCPU);
  EXPECT_TRUE(batch.image.is_cpu());
  const Batch moved = to_device(std::move(batch), at::kMeta);
  EXPECT_TRUE(moved.image.is_meta());
  EXPECT_TRUE(moved.get<Words>().ids.is_meta());
}

int seen = 0;

TEST(StopSignals, TheFirstIsNotedAndTheOldHandlerComesBack) {
  std::signal(SIGTERM, [](int signal) { seen = signal; });
  {
    const StopSignals signals;
    EXPECT_EQ(signals.caught(), 0);
    std::raise(SIGTERM);
    EXPECT_EQ(signals.caught(), SIGTERM);
    EXPECT_EQ(seen, 0);
  }
  std::raise(SIGTERM);
  EXPECT_EQ(seen, SIGTERM);
  std::signal(SIGTERM, SIG_DFL);
  const StopSignals again;
  EXPECT_EQ(again.caught(), 0);
}

}  // namespace
}  // namespace vicha

#include "tasks/retrieval/score_gate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/error.h"
#include "base/log.h"
#include "data/manifest/data_test_support.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

class ScoreGates : public ::testing::Test {
 protected:
  ScoreGates() {
    const fs::path file = folder_.write("m.json", R"([{"image": "a.png", "caption": ["one", "two"]},
                                                      {"image": "b.png", "caption": "three"}])");
    DataOptions options;
    options.manifests = {file.string()};
    set_.emplace(std::make_shared<const Manifest>(Manifest::load({file}, {})), small_tokenizer(), options);
    log::set_sink([this](log::Level level, std::string_view line) {
      if (level >= log::Level::kWarning) warnings_.emplace_back(line);
    });
  }
  ~ScoreGates() override { log::set_sink({}); }
  std::string refused(const at::Tensor& cosines) const {
    return message_of([&] { ScoreGate(*set_, "RUN/step-000004").require_meaning(cosines); });
  }

  TemporaryFolder folder_;
  std::optional<EvaluationSet> set_;
  std::vector<std::string> warnings_;
};

TEST_F(ScoreGates, ScoresThatAreNoneNameModelPictureAndCaption) {
  at::Tensor cosines = at::tensor({0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.6F}).view({2, 3});
  EXPECT_EQ(refused(cosines), "");
  cosines[1][2] = std::numeric_limits<float>::quiet_NaN();
  const std::string message = refused(cosines);
  for (const char* part : {"RUN/step-000004", "m.json, record 1", "b.png", "\"three\"", "nan", "earlier checkpoint"}) {
    EXPECT_TRUE(contains(message, part)) << part << ": " << message;
  }
}

TEST_F(ScoreGates, EmbeddingsThatAreZeroAreNamed) {
  at::Tensor cosines = at::tensor({0.1F, 0.0F, 0.3F, 0.0F, 0.0F, 0.6F}).view({2, 3});
  EXPECT_TRUE(contains(refused(cosines), "the embedding of caption \"two\" is zero")) << refused(cosines);
  cosines.fill_(0.5).select(0, 1).zero_();
  EXPECT_TRUE(contains(refused(cosines), "m.json, record 1 (")) << refused(cosines);
}

TEST_F(ScoreGates, ScoresThatDoNotDependOnThePictureAreSaidToBeSo) {
  EXPECT_EQ(refused(at::tensor({0.1F, 0.2F, 0.3F}).expand({2, 3})), "");
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_TRUE(contains(warnings_[0], "do not depend on the picture"));
  EXPECT_EQ(refused(at::tensor({0.1F, 0.2F, 0.3F}).expand({1, 3})), "");
  EXPECT_EQ(warnings_.size(), 1u);
}

}  // namespace
}  // namespace vicha

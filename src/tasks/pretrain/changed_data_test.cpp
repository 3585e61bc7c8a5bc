// Runs that are resumed after their manifests have changed.
#include <fstream>

#include "base/error.h"
#include "tasks/host/data_record.h"
#include "tasks/pretrain/colour_world_test.h"

namespace vicha {
namespace {

class ChangedData : public ColourWorld {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    begin("run");
  }

  /// Three steps of six.
  void begin(const std::string& out) {
    PretrainRecipe r = recipe();
    r.training.length.max_steps = 3;
    run(r, out);
  }
  RunResult go_on(PretrainRecipe r, bool allow = false) const {
    r.finish();
    return train_task({r, folder_ / "run", ResumeChoice(), "cpu", allow});
  }
  std::string refusal() const {
    try {
      go_on(recipe());
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  }
  std::string weights(const std::string& out) const {
    return read_file(folder_ / out / "checkpoints/step-000006/model.safetensors");
  }
  std::vector<std::string> rows() const {
    std::vector<std::string> rows;
    std::ifstream in(folder_ / "train.json");
    for (std::string row; std::getline(in, row);) rows.push_back(row);
    return rows;
  }
  void write_rows(const std::vector<std::string>& rows, const std::string& name = "train.json") const {
    std::string text;
    for (const std::string& row : rows) text += row + "\n";
    write_file_atomic(folder_ / name, text);
  }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_F(ChangedData, IsRefusedWithWhatDiffersAndWhatAllowsIt) {
  const std::vector<std::string> before = rows();
  std::vector<std::string> now = before;
  std::swap(now[0], now[20]);
  write_rows(now);
  std::string message = refusal();
  EXPECT_TRUE(has(message, "step-000003: was trained on other data: ")) << message;
  EXPECT_TRUE(has(message, "train.json has the same records in another order")) << message;
  EXPECT_TRUE(has(message, "--allow-changed-data")) << message;
  EXPECT_TRUE(has(message, "--resume none")) << message;

  now = before;
  now[7].replace(now[7].find("picture\""), 7, "thing  ");
  write_rows(now);
  message = refusal();
  EXPECT_TRUE(has(message, "the same pictures with other captions")) << message;

  now = before;
  now.resize(40);  // two batches an epoch, not three
  write_rows(now);
  message = refusal();
  EXPECT_TRUE(has(message, "40 records where there were 48")) << message;
  EXPECT_TRUE(go_on(recipe(), true).finished) << "although an epoch is shorter now";
}

TEST_F(ChangedData, WhatSaysTheSameGoesOnWithTheSameBits) {
  run(recipe(), "whole");
  std::string list;
  for (const std::string& row : rows()) list += (list.empty() ? "[\n" : ",\n\n") + row;
  write_file_atomic(folder_ / "moved.json", list + "]");
  PretrainRecipe r = recipe();
  r.data.manifests = {(folder_ / "moved.json").string()};
  EXPECT_TRUE(go_on(r).finished);
  EXPECT_EQ(weights("run"), weights("whole"));
}

TEST_F(ChangedData, MayBeAllowed) {
  std::vector<std::string> now = rows();
  std::swap(now[0], now[20]);
  write_rows(now);
  EXPECT_TRUE(go_on(recipe(), true).finished);
  EXPECT_TRUE(go_on(recipe()).finished) << "the last checkpoint is of the new data";
}

TEST_F(ChangedData, OldCheckpointsAreNotAsked) {
  run(recipe(), "whole");
  fs::remove(folder_ / "run/checkpoints/step-000003" / kDataRecord);
  EXPECT_TRUE(go_on(recipe()).finished);
  EXPECT_EQ(weights("run"), weights("whole"));
}

TEST_F(ChangedData, ADamagedRecordIsSaidToBeSo) {
  write_file_atomic(folder_ / "run/checkpoints/step-000003" / kDataRecord, "{\"manifests\": [7]}");
  EXPECT_TRUE(has(refusal(), "is not the record of a run's data")) << refusal();
}

}  // namespace
}  // namespace vicha

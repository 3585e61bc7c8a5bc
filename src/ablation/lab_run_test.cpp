#include "ablation/lab_run.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <functional>

#include "ablation/ablation_test_support.h"
#include "ablation/lab_table.h"
#include "ablation/run_record.h"

namespace vicha {
namespace {

using LabRuns = AblationWorld;

constexpr const char* kTwoRows = R"(
[row.plain]
set = ["hitc.enabled=false"]
[row.hitc]
title = "+ hierarchical"
)";

TEST_F(LabRuns, ATinyLabLeavesATableAPageAndRunFolders) {
  const LabResult result = run_rows(kTwoRows);
  EXPECT_EQ(result.runs, 4);
  EXPECT_EQ(result.failed, 0);
  EXPECT_FALSE(result.stopped);
  EXPECT_NE(result.table.find("+ hierarchical"), std::string::npos);
  EXPECT_NE(result.table.find("less plain"), std::string::npos) << result.table;

  const auto json = table();
  EXPECT_TRUE(json.at("complete").get<bool>());
  ASSERT_EQ(json.at("rows").size(), 2u);
  const auto& row = json["rows"][1];
  EXPECT_EQ(row.at("baseline"), "plain");
  EXPECT_EQ(row.at("steps").at("mean"), 4);
  EXPECT_GT(row.at("seconds").at("mean").get<double>(), 0);
  EXPECT_GT(row.at("parameters").get<int>(), 1000);
  const auto& measure = row.at("measures").at("mean");
  const double expected = (measure["values"][0].get<double>() + measure["values"][1].get<double>()) / 2;
  EXPECT_DOUBLE_EQ(measure.at("mean"), expected);
  const auto& base = json["rows"][0]["measures"]["mean"]["values"];
  EXPECT_DOUBLE_EQ(measure.at("difference").at("mean"), ((measure["values"][0].get<double>() - base[0].get<double>()) +
                                                         (measure["values"][1].get<double>() - base[1].get<double>())) /
                                                            2);
  EXPECT_EQ(measure["difference"]["bootstrap"].size(), 2u);
  EXPECT_TRUE(fs::exists(folder_ / "lab/runs/hitc-seed2/metrics.jsonl"));
  EXPECT_NE(read_file(folder_ / "lab/table.html").find("<svg"), std::string::npos);
}

TEST_F(LabRuns, WhatIsFinishedIsNotDoneAgain) {
  run_rows(kTwoRows);
  const auto before = trained_at("plain-seed1");
  const std::string page = read_file(folder_ / "lab/table.html");
  run_rows(kTwoRows);
  EXPECT_EQ(trained_at("plain-seed1"), before);
  EXPECT_EQ(read_file(folder_ / "lab/table.html"), page);
  run_rows(kTwoRows, /*resume=*/false);
  EXPECT_NE(trained_at("plain-seed1"), before);
}

// The process ends in the third run, as by a kill: the first two stay as they are, and the whole is as if
// uninterrupted.
TEST_F(LabRuns, AKilledLabGoesOnWhereItWas) {
  EXPECT_EXIT(
      {
        at::set_num_threads(1);  // the other threads of the process stay behind in a fork
        log::set_sink([](log::Level, std::string_view line) {
          if (line.starts_with("run 3 of 4")) ::kill(::getpid(), SIGKILL);
        });
        log::set_level(log::Level::kInfo);
        run_rows(kTwoRows);
      },
      testing::KilledBySignal(SIGKILL), "");
  ASSERT_TRUE(fs::exists(folder_ / "lab/table.json"));
  EXPECT_FALSE(table().at("complete").get<bool>());
  EXPECT_FALSE(fs::exists(folder_ / "lab/runs/plain-seed2/checkpoints"));
  const auto first = trained_at("plain-seed1"), second = trained_at("hitc-seed1");
  run_rows(kTwoRows);
  EXPECT_EQ(trained_at("plain-seed1"), first);
  EXPECT_EQ(trained_at("hitc-seed1"), second);
  const auto resumed = table();
  run_rows(kTwoRows, /*resume=*/false);
  for (std::size_t row = 0; row < 2; ++row) {
    EXPECT_EQ(resumed["rows"][row]["measures"], table()["rows"][row]["measures"]);
  }
}

TEST_F(LabRuns, AFailingRunIsARowThatSaysWhyAndStopsNoOther) {
  const LabResult result = run_rows(R"(
[row.plain]
[row.exploding]
set = ["optimizer.lr=1e30"]
[row.last]
set = ["hitc.enabled=false"]
)");
  EXPECT_EQ(result.runs, 6);
  EXPECT_EQ(result.failed, 2);
  const auto json = table();
  EXPECT_FALSE(json.at("complete").get<bool>());
  EXPECT_EQ(json["rows"][1]["failures"].size(), 2u);
  EXPECT_TRUE(json["rows"][1]["measures"]["mean"]["mean"].is_null());
  EXPECT_TRUE(json["rows"][2]["measures"]["mean"]["difference"].is_object());
  EXPECT_NE(result.table.find("failed"), std::string::npos);
}

std::string refusal_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_F(LabRuns, WrongKeysOfLaterRowsAreFoundBeforeTheFirstTrains) {
  const std::string rows = R"(
[row.plain]
[row.misspelt]
set = ["hitc.levles=2"]
[row.wrong]
set = ["hitc.levels=none"]
)";
  const std::string said = refusal_of([&] { run_rows(rows); });
  EXPECT_NE(said.find("row 'misspelt': "), std::string::npos) << said;
  EXPECT_NE(said.find("hitc.levles"), std::string::npos) << said;
  EXPECT_NE(said.find("row 'wrong': "), std::string::npos) << said;
  EXPECT_EQ(said.find('\n'), std::string::npos) << "a line of the log";
  EXPECT_FALSE(fs::exists(folder_ / "lab/runs"));
  const std::string twice = refusal_of([&] { run_rows(rows + "[row.too]\nset = [\"hitc.levles=2\"]\n"); });
  EXPECT_NE(twice.find("rows 'misspelt', 'too': "), std::string::npos) << twice;
  const LabListing listing = list_lab({.lab = write_lab(rows), .out = folder_ / "lab", .device = "cpu"});
  EXPECT_NE(listing.refusals.find("hitc.levles"), std::string::npos);
  EXPECT_NE(listing.text.find("plain-seed1"), std::string::npos);
}

TEST_F(LabRuns, MeasuresThatNoEvaluationFindsAreRefusedAtOnce) {
  const auto refused = [](const std::string& task, const std::string& measure) {
    return refusal_of([&] { measures_of({.task = task, .manifest = "", .set = {}, .measures = {measure}}); });
  };
  EXPECT_NE(refused("retrieval", "text_to_image.r2").find("Nearest: 'text_to_image.r1'"), std::string::npos);
  EXPECT_NE(refused("vqa", "acuracy").find("Nearest: 'accuracy'"), std::string::npos);
  for (const char* known : {"mean", "itc.text_to_image.r1", "joint.image_to_text.r10", "images"}) {
    EXPECT_EQ(refused("retrieval", known), "") << known;
  }
  EXPECT_EQ(refused("vqa", "types.number"), "");
}

std::vector<std::string> losses_in(const fs::path& metrics) {
  std::vector<std::string> losses;
  std::istringstream in(read_file(metrics));
  for (std::string line; std::getline(in, line);) {
    const auto json = nlohmann::json::parse(line);
    if (json.contains("losses")) losses.push_back(json["losses"].dump());
  }
  return losses;
}

// What the first run found out about the captions serves the second to the bit: alone it comes to the same losses and
// figures. A frozen encoder's states serve too, but for runs in another precision; the last run's encoder learns, so
// that it has none to share.
TEST_F(LabRuns, ARunIsTheSameWhoeverEncodedItsCaptions) {
  const auto row = [](const std::string& name, const std::string& set, const std::string& frozen = "\"text\"") {
    return fmt::format(
        "[row.{}]\nset = [\"init.text_projection=whiten\", \"train.precision=fp32\", 'freeze=[{}]', {}]\n", name,
        frozen, set);
  };
  const std::string second = row("weight", "\"itc.weight=0.5\", \"hitc.enabled=false\"");
  std::vector<std::string> lines;
  log::set_sink([&](log::Level, std::string_view line) {
    if (line.find("whiten the states") != std::string_view::npos) lines.emplace_back(line);
  });
  log::set_level(log::Level::kInfo);
  const std::string first = row("plain", "\"hitc.enabled=false\""), levels = row("levels", "\"hitc.levels=1\""),
                    bf16 = row("bf16", "\"hitc.enabled=false\", \"train.precision=bf16\""),
                    learning = row("learning", "\"hitc.enabled=false\"", "");
  run_lab({.lab = write_lab(first + second + levels + bf16 + learning, "seeds = [1]"),
           .out = folder_ / "lab",
           .device = "cpu"});
  const auto together = table();
  const std::vector<std::string> alone_in = {second, levels, bf16, learning};
  for (std::size_t i = 0; i < alone_in.size(); ++i) {
    run_lab({.lab = write_lab(alone_in[i], "seeds = [1]"), .out = folder_ / "alone", .device = "cpu"});
    const auto alone = nlohmann::json::parse(read_file(folder_ / "alone/table.json"));
    EXPECT_EQ(together["rows"][i + 1]["measures"]["mean"]["values"], alone["rows"][0]["measures"]["mean"]["values"]);
    const std::string run = together["rows"][i + 1].at("name").get<std::string>() + "-seed1";
    const std::vector<std::string> losses = losses_in(folder_ / "lab/runs" / run / "metrics.jsonl");
    EXPECT_FALSE(losses.empty());
    EXPECT_EQ(losses, losses_in(folder_ / "alone/runs" / run / "metrics.jsonl")) << run;
  }
  log::set_sink({});
  log::set_level(log::Level::kError);
  ASSERT_EQ(lines.size(), 9u);
  const auto was_known = [&](std::size_t i) { return lines[i].find("an earlier run") != std::string::npos; };
  EXPECT_FALSE(was_known(0));
  EXPECT_TRUE(was_known(1));
  EXPECT_FALSE(was_known(2)) << "another count of hidden states";
  EXPECT_TRUE(was_known(3)) << "whitened before its precision counts";
  EXPECT_TRUE(was_known(4)) << "the same encoder when it starts";
  EXPECT_FALSE(was_known(5)) << "another command";
}

TEST_F(LabRuns, ASetThatCannotBeReadIsToldOfBeforeAnythingIsTrained) {
  write_file_atomic(folder_ / "test.json", "{\"image\": \"images/red0.png\"}\n");
  EXPECT_NE(refusal_of([&] { run_rows(kTwoRows); }).find("caption"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "lab/runs"));
}

TEST_F(LabRuns, AChangedLabDoesAgainWhatChanged) {
  run_rows(kTwoRows);
  const auto plain = trained_at("plain-seed1"), hitc = trained_at("hitc-seed1");
  run_rows(std::string(kTwoRows) + "set = [\"hitc.weight=0.5\"]\n");
  EXPECT_EQ(trained_at("plain-seed1"), plain);
  EXPECT_NE(trained_at("hitc-seed1"), hitc);
}

TEST_F(LabRuns, AnotherEvaluationTrainsNothing) {
  run_rows(kTwoRows);
  const auto plain = trained_at("plain-seed1");
  const fs::path lab = write_lab(kTwoRows);
  std::string text = read_file(lab);
  text.replace(text.find("k_test=4"), 8, "k_test=0");
  write_file_atomic(lab, text);
  run_lab({.lab = lab, .out = folder_ / "lab", .device = "cpu"});
  EXPECT_EQ(trained_at("plain-seed1"), plain);
  EXPECT_EQ(nlohmann::json::parse(read_file(folder_ / "lab/runs/plain-seed1/eval.json")).at("k_test"), 0);
}

TEST_F(LabRuns, SharesOfASeedLieWithinEachOther) {
  run_rows(R"(
[row.plain]
set = ["hitc.enabled=false"]
[axis.share]
key = "lab.share"
values = ["1/4", "1/2", "1"]
)");
  const auto pairs = [&](const std::string& share) {
    std::vector<std::string> images;
    std::istringstream lines(read_file(folder_ / ("lab/data/train-share" + share + "-seed1.json")));
    for (std::string line; std::getline(lines, line);) images.push_back(line);
    return images;
  };
  const std::vector<std::string> quarter = pairs("1of4"), half = pairs("1of2");
  EXPECT_EQ(quarter.size(), 12u);
  EXPECT_EQ(half.size(), 24u);
  for (const std::string& pair : quarter) EXPECT_NE(std::ranges::find(half, pair), half.end());
  EXPECT_EQ(table()["rows"][0]["axes"]["share"], "1/4");
  EXPECT_NE(read_file(folder_ / "lab/table.html").find("Over share"), std::string::npos);
}

TEST_F(LabRuns, SecondsAreTurnedIntoStepsOnce) {
  const fs::path lab = write_lab("[row.plain]\n", "seeds = [1]");
  std::string text = read_file(lab);
  text.replace(text.find("steps = 4"), 9, "seconds = 0.05\ntrial_steps = 4");
  write_file_atomic(lab, text);
  run_lab({.lab = lab, .out = folder_ / "lab", .device = "cpu"});
  const double steps = table()["rows"][0]["steps"]["mean"];
  EXPECT_GE(steps, 1);
  EXPECT_FALSE(fs::exists(folder_ / "lab/trials/plain-seed1"));
  run_lab({.lab = lab, .out = folder_ / "lab", .device = "cpu"});
  EXPECT_EQ(table()["rows"][0]["steps"]["mean"], steps);
}

TEST_F(LabRuns, ADryRunListsAndWritesNothing) {
  const fs::path lab = write_lab(kTwoRows);
  const std::string list = list_lab({.lab = lab, .out = folder_ / "lab"}).text;
  EXPECT_NE(list.find("plain-seed1"), std::string::npos);
  EXPECT_NE(list.find("16 steps in all"), std::string::npos) << list;
  EXPECT_FALSE(fs::exists(folder_ / "lab"));
}

TEST_F(LabRuns, AFolderThatNoLabMadeIsLeftAlone) {
  fs::create_directories(folder_ / "lab/runs/plain-seed1/checkpoints/step-000009");
  const LabResult result = run_rows(kTwoRows, /*resume=*/false);
  EXPECT_EQ(result.failed, 1);
  EXPECT_TRUE(fs::exists(folder_ / "lab/runs/plain-seed1/checkpoints/step-000009"));
  EXPECT_NE(table()["rows"][0]["failures"][0]["reason"].get<std::string>().find("knows nothing"), std::string::npos);
}

TEST_F(LabRuns, ADamagedEvaluationIsDoneAgainAndTrainsNothing) {
  run_rows(kTwoRows);
  const auto plain = trained_at("plain-seed1"), hitc = trained_at("hitc-seed1");
  const auto before = table();
  const fs::path run = folder_ / "lab/runs/plain-seed1";
  const std::vector<std::pair<std::string, std::string>> damages = {{"eval.json", "{\"text_to_im"},
                                                                    {"eval.json", "[]"},
                                                                    {"ranks.json", "[1"},
                                                                    {"ranks.json", "{\"text_to_image\": 3}"}};
  for (const auto& [file, text] : damages) {
    write_file_atomic(run / file, text);
    EXPECT_EQ(run_rows(kTwoRows).failed, 0) << file << ' ' << text;
    EXPECT_EQ(table()["rows"][0]["measures"], before["rows"][0]["measures"]) << file << ' ' << text;
  }
  EXPECT_EQ(trained_at("plain-seed1"), plain);
  EXPECT_EQ(trained_at("hitc-seed1"), hitc);
  write_file_atomic(run / "eval.json", "{}");
  EXPECT_EQ(run_rows(kTwoRows).failed, 1) << "whole, but without the figures";
}

TEST_F(LabRuns, ARunWhoseRecordIsDamagedIsDoneAgain) {
  run_rows(kTwoRows);
  const auto before = table();
  const auto hitc = trained_at("hitc-seed1");
  write_file_atomic(folder_ / "lab/runs/plain-seed1/ablation.json", "{");
  const LabListing listing = list_lab({.lab = write_lab(kTwoRows), .out = folder_ / "lab", .device = "cpu"});
  EXPECT_NE(listing.text.find("changed, to do again"), std::string::npos) << listing.text;
  EXPECT_EQ(run_rows(kTwoRows).failed, 0);
  EXPECT_EQ(table()["rows"][0]["measures"], before["rows"][0]["measures"]);
  EXPECT_EQ(trained_at("hitc-seed1"), hitc);
}

// Two seeds, three captions. Hits at 1 of the row: 1 0 1 and 1 1 0; of its baseline: 0 0 1 and 1 0 0.
TEST(LabTable, AQuerysGainIsTheMeanOverSeeds) {
  const auto of = [](std::vector<std::int64_t> ranks) {
    return EvaluatedRun{{}, {{"text_to_image", std::move(ranks)}}};
  };
  const EvaluatedRun a1 = of({1, 2, 1}), a2 = of({1, 1, 9}), b1 = of({4, 3, 1}), b2 = of({1, 5, 2});
  const auto gains = query_gains("text_to_image.r1", {{&a1, &b1}, {&a2, &b2}});
  ASSERT_EQ(gains.size(), 1u);
  EXPECT_EQ(gains[0], (std::vector<double>{50, 50, 0}));
  EXPECT_TRUE(query_gains("accuracy", {{&a1, &b1}}).empty());
  EXPECT_TRUE(query_gains("image_to_text.r1", {{&a1, &b1}}).empty()) << "no ranks of that direction";
}

}  // namespace
}  // namespace vicha

// What every command does with files that it must not read or write: its own inputs as outputs, pipes and devices,
// names with control characters, a folder that another run writes into; and with signals.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "../run_program.h"
#include "checkpoint/safetensors/safetensors.h"
#include "cli/run.h"
#include "concepts/store/store.h"
#include "tasks/pretrain/colour_world_test.h"

namespace vicha {
namespace {

const fs::path kReported = fs::path(VICHA_SOURCE_DIR) / "tests/golden/reported";

class CommandFiles : public ColourWorld {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    PretrainRecipe r = recipe();
    r.init.vocabulary = "vocab.txt";
    r.data.manifests = {"train.json"};
    write_file_atomic(folder_ / "recipe.toml", to_toml(r));
    r.training.length.max_steps = 1000000;
    write_file_atomic(folder_ / "endless.toml", to_toml(r));
    StateDict tensors;
    tensors.set("a", at::ones({2, 3}));
    write_safetensors(folder_ / "weights.safetensors", tensors);
    for (const char* name : {"one.emb", "two.emb"}) {
      EmbeddingStoreWriter writer(folder_ / name, {"clip", "a test", std::string(64, '0'), "clip 24"},
                                  {4, 1, StoreType::kFloat32});
      std::vector<std::string> keys;
      for (const auto& [colour, rgb] : kColours) {
        keys.push_back("a " + colour + " picture");
        for (const int copy : {0, 1, 2, 3, 4, 5, 100}) keys.push_back(fmt::format("images/{}{}.png", colour, copy));
      }
      const auto count = static_cast<std::int64_t>(keys.size());
      writer.add(keys, std::vector<std::uint64_t>(keys.size(), 1), at::rand({count, 1, 4}));
      writer.finish();
    }
    write_file_atomic(folder_ / "words.tsv", "red\t3\tobject\nblue\t2\tobject\n");
    write_file_atomic(folder_ / "parsed.jsonl", "{\"caption\": \"a red picture\", \"objects\": [\"picture\"]}\n");
  }

  /// Ended after a while if it does not end by itself.
  ProgramResult vicha(const std::string& arguments) const {
    return run_program(folder_, "/usr/bin/timeout", std::string("60 ") + VICHA_PROGRAM + " " + arguments);
  }
  ProgramResult shell(const std::string& script) const {
    write_file_atomic(folder_ / "script.sh", "vicha=" VICHA_PROGRAM "\n" + script);
    return run_program(folder_, "/usr/bin/timeout", "120 sh script.sh");
  }
  std::map<std::string, std::string> inputs() const {
    std::map<std::string, std::string> all;
    for (const char* name : {"train.json", "test.json", "vocab.txt", "recipe.toml", "weights.safetensors", "one.emb",
                             "two.emb", "words.tsv", "parsed.jsonl", "images/red0.png"}) {
      all[name] = read_file(folder_ / name);
    }
    return all;
  }
  static bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }
};

TEST_F(CommandFiles, NoCommandWritesOverWhatItReads) {
  const auto before = inputs();
  int turn = 0;  // each way of naming the file is tried, but not with each command
  for (const auto& [input, arguments] : std::initializer_list<std::pair<const char*, const char*>>{
           {"train.json", "data subset train.json --count 2 --out {}"},
           {"train.json", "data join test.json train.json --out {}"},
           {"train.json", "data titles train.json --out {}"},
           {"train.json", "data prune train.json --out {}"},
           {"train.json", "data prune train.json --out new.json --list {}"},
           {"images/red0.png", "data prune train.json --out {}"},
           {"train.json", "data check train.json --no-pictures --out {}"},
           {"vocab.txt", "data check train.json --no-pictures --vocabulary vocab.txt --out {}"},
           {"one.emb", "data filter train.json --keep 50% --store one.emb --caption-store two.emb --out {}"},
           {"train.json",
            "data nearest-captions test.json --from train.json --store one.emb --caption-store two.emb "
            "--out {}"},
           {"test.json",
            "data nearest-captions test.json --from train.json --store one.emb --caption-store two.emb "
            "--out {}"},
           {"train.json", "concepts parse train.json --out {}"},
           {"train.json", "concepts vocab train.json --no-default-stop --out {}"},
           {"parsed.jsonl", "concepts vocab parsed.jsonl --no-default-stop --out {}"},
           {"words.tsv", "concepts vocab parsed.jsonl --no-default-stop --stop words.tsv --out {}"},
           {"train.json", "concepts assign train.json --source manifest:kwords --out {}"},
           {"one.emb", "concepts store merge two.emb one.emb --out {}"},
           {"one.emb", "concepts store export one.emb {}"},
           {"weights.safetensors", "weights convert weights.safetensors {}"},
       }) {
    fs::create_hard_link(folder_ / input, folder_ / "hard");
    fs::create_symlink(folder_ / input, folder_ / "soft");
    std::string ending = fs::path(input).extension().string();
    if (contains(arguments, "store export")) ending = ".safetensors";  // these two look at the ending first
    if (contains(arguments, "weights convert")) ending = ".pth";
    std::vector<std::string> names = {(++turn % 2 == 0 ? "hard" : "soft") + ending};
    if (ending == fs::path(input).extension()) names.push_back((turn % 4 < 2 ? "" : "./") + std::string(input));
    for (const std::string& name : names) {
      if (name.starts_with("hard")) fs::rename(folder_ / "hard", folder_ / name);
      if (name.starts_with("soft")) fs::rename(folder_ / "soft", folder_ / name);
      const std::string line = fmt::format(fmt::runtime(arguments), name);
      const ProgramResult result = vicha(line);
      EXPECT_TRUE(result.status == 2 || result.status == 3) << line << "\n" << result.status << " " << result.output;
      EXPECT_TRUE(contains(result.output, "command reads") || contains(result.output, "read by this command") ||
                  contains(result.output, "input") || contains(result.output, "are the same file"))
          << line << "\n"
          << result.output;
      EXPECT_TRUE(contains(result.output, name) || contains(result.output, input)) << line << "\n" << result.output;
      EXPECT_EQ(inputs(), before) << line;
      if (!name.ends_with(input)) fs::remove(folder_ / name);
    }
    fs::remove(folder_ / "hard");
    fs::remove(folder_ / "soft");
  }
  for (const auto& entry : fs::directory_iterator(folder_)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with('.')) << entry.path();
  }
}

TEST_F(CommandFiles, TwoOutputsOfACommandAreTwoFiles) {
  fs::create_symlink(folder_ / "new.json", folder_ / "link.json");
  const std::string source = " --source vicha:none --out new.json ";
  for (const std::string& arguments :
       {std::string("data prune train.json --out new.json --list ./new.json"),
        std::string("data prune train.json --out new.json --list link.json"),
        std::string("data prune train.json --out new.json --list new.json.partial"),
        "data filter train.json --store s.emb --caption-store ./s.emb" + source,
        "data filter train.json --plot ../" + folder_.filename().string() +
            "/new.html --source vicha:none --out new.html",
        "data nearest-captions train.json --from test.json --store new.json" + source,
        std::string(
            "concepts assign train.json --source clip:none --vocab words.tsv --vocab-embeddings new.json --store "
            "one.emb --out new.json")}) {
    const ProgramResult result = vicha(arguments);
    EXPECT_EQ(result.status, 2) << arguments << result.output;
    EXPECT_TRUE(contains(result.output, "is the same file as")) << arguments << ": " << result.output;
    EXPECT_FALSE(fs::exists(folder_ / "new.json") || fs::exists(folder_ / "s.emb")) << arguments;
  }
}

TEST_F(CommandFiles, NamesThatACommandDerivesAreNoInputsOfIt) {
  struct Case {
    const char *input, *name, *arguments;
    const char* unmade = "none";  // what would have been written first
  };
  write_file_atomic(folder_ / "boxes.json", "{}");
  for (const Case& one : std::initializer_list<Case>{
           {"train.json", "b.jsonl.identity.json",
            "concepts build --captions b.jsonl.identity.json --source clip:none --out b.jsonl", "b.parts"},
           {"one.emb", "n.jsonl.identity.json",
            "concepts build --captions train.json --vocab n.jsonl.identity.json --source tower:one.emb --out n.jsonl",
            "n.parts"},
           {"words.tsv", "a.json.identity.json",
            "concepts assign train.json --source clip:none --store one.emb --vocab a.json.identity.json --out a.json",
            "a.json.identity.json.safetensors"},
           {"words.tsv", "v.tsv",
            "concepts assign train.json --source clip:none --store one.emb --vocab v.tsv --out v.tsv",
            "v.tsv.safetensors"},
           {"train.json", "m.json.identity.json",
            "concepts assign m.json.identity.json --source manifest:kwords --out m.json", "m.json"},
           {"boxes.json", "r.json.identity.json",
            "data region-tags train.json --boxes r.json.identity.json --out r.json", "r.json"},
           {"train.json", "e.parser.json", "concepts parse e.parser.json --out e", "e"},
           {"one.emb", "x.keys.txt", "concepts store export x.keys.txt x.npy", "x.npy"},
           {"train.json", "s.emb.bad_pictures.jsonl", "embed s.emb.bad_pictures.jsonl --tower vit:none --out s.emb",
            "s.emb"},
           {"train.json", "t.emb.bad_pictures.jsonl",
            "concepts embed t.emb.bad_pictures.jsonl --source clip:none --out t.emb", "t.emb"},
           {"train.json", "f.json.pictures.emb.bad_pictures.jsonl",
            "data filter f.json.pictures.emb.bad_pictures.jsonl --keep 50% --source clip:none --out f.json",
            "f.json.captions.emb"},
           {"train.json", "c.json.lost.jsonl", "data convert c.json.lost.jsonl --out c.json", "c.json"},
           {"train.json", "tar/lost.jsonl", "data from-tar tar/lost.jsonl --out tar", "tar/images"},
           {"train.json", "old/images/a/a.tar", "data from-tar old/images/a/a.tar --out old", "old/manifest.jsonl"},
       }) {
    fs::create_directories((folder_ / one.name).parent_path());
    fs::copy_file(folder_ / one.input, folder_ / one.name);
    const ProgramResult result = vicha(one.arguments);
    EXPECT_EQ(result.status, 2) << one.arguments << "\n" << result.output;
    EXPECT_TRUE(contains(result.output, "read by this command") || contains(result.output, "this command reads"))
        << one.arguments << "\n"
        << result.output;
    EXPECT_TRUE(fs::exists(folder_ / one.name)) << one.arguments;
    if (fs::exists(folder_ / one.name)) {
      EXPECT_EQ(read_file(folder_ / one.name), read_file(folder_ / one.input));
    }
    EXPECT_FALSE(fs::exists(folder_ / one.unmade)) << one.arguments;
  }
}

TEST_F(CommandFiles, NamesThatAreNoUtf8EndNoCommandAfterItsWork) {
  const fs::path odd = folder_ / "caf\xe9";
  fs::create_directories(odd / "images");
  for (const char* name : {"train.json", "test.json"}) fs::copy_file(folder_ / name, odd / name);
  fs::copy(folder_ / "images", odd / "images", fs::copy_options::recursive);
  const auto run = [&](const std::string& arguments, int status) {
    const ProgramResult result = shell("$vicha " + arguments);
    EXPECT_EQ(result.status, status) << arguments << ": " << result.output;
    EXPECT_FALSE(contains(result.output, "json.exception")) << result.output;
    return result.output;
  };
  run("data titles caf\xe9/train.json --out caf\xe9/t.json", 0);
  EXPECT_FALSE(fs::exists(odd / "t.json.partial"));
  run("data check caf\xe9/train.json --out caf\xe9/c.json", 0);
  run("data join caf\xe9/train.json caf\xe9/test.json --out caf\xe9/j.json", 0);
  EXPECT_TRUE(contains(run("data join caf\xe9/train.json test.json --out j.json", 3), "caf\\xe9 is not UTF-8"));
  EXPECT_FALSE(fs::exists(folder_ / "j.json"));
  EXPECT_TRUE(contains(run("data from-tar caf\xe9.tar --out tar", 3), "caf\\xe9.tar"));
}

TEST_F(CommandFiles, WhatACommandGoesOnWithIsItsOwn) {
  for (int time = 0; time < 2; ++time) {
    for (const char* arguments :
         {"concepts parse train.json --out captions.jsonl", "data prune train.json --out p.json",
          "data titles train.json --out t.json", "data check train.json --out c.json",
          "concepts vocab train.json --out v.tsv --min-count 1 --no-default-stop",
          "concepts store import one.emb.safetensors in.emb --like in.emb --precision fp32",
          "pretrain recipe.toml --out run", "report run"}) {
      if (time == 0 && contains(arguments, "--like")) {
        ASSERT_EQ(vicha("concepts store export one.emb one.emb.safetensors").status, 0);
        fs::copy_file(folder_ / "one.emb", folder_ / "in.emb");
      }
      const ProgramResult result = vicha(arguments);
      EXPECT_EQ(result.status, 0) << arguments << "\n" << result.output;
    }
  }
  const auto before = inputs();
  for (const char* arguments :
       {"eval retrieval run test.json --k-test 4 --out test.json",
        "eval retrieval run test.json --k-test 4 --out run/checkpoints/step-000006/model.safetensors",
        "eval retrieval run test.json --k-test 4 --out run/checkpoints/step-000006/vocab.txt",
        "report run --out run/metrics.jsonl"}) {
    const ProgramResult result = vicha(arguments);
    EXPECT_EQ(result.status, 2) << arguments << "\n" << result.output;
    EXPECT_TRUE(contains(result.output, "is read by this command, which would write over it")) << result.output;
    EXPECT_EQ(inputs(), before);
  }
}

TEST_F(CommandFiles, NothingIsWrittenIntoACheckpointThatIsRead) {
  ASSERT_EQ(vicha("pretrain recipe.toml --out run").status, 0);
  std::map<std::string, std::string> before;
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "run")) {
    if (entry.is_regular_file()) before[entry.path().string()] = read_file(entry.path());
  }
  fs::create_symlink("run", folder_ / "link");
  const std::string step = "run/checkpoints/step-000006", evaluate = "eval retrieval run test.json --k-test 4 --out ";
  for (const std::string& out : {step + "/config.json", step + "/optimizer.safetensors", step + "/state.json",
                                 step + "/new.json", std::string("link/checkpoints/step-000006/new.json"),
                                 std::string("run/metrics.jsonl"), std::string("link/metrics.jsonl")}) {
    for (const std::string& checkpoint : {std::string("run"), step}) {
      const std::string arguments = "eval retrieval " + checkpoint + " test.json --k-test 4 --out " + out;
      const ProgramResult result = vicha(arguments);
      EXPECT_EQ(result.status, 2) << arguments << "\n" << result.output;
      EXPECT_TRUE(contains(result.output, out + ": ")) << result.output;
      EXPECT_TRUE(contains(result.output, "read by this command") || contains(result.output, "this command reads"))
          << result.output;
    }
  }
  for (const auto& [file, content] : before) EXPECT_EQ(read_file(file), content) << file;
  for (int time = 0; time < 2; ++time) {
    for (const char* out : {"run/eval.json", "run/checkpoints/eval.json"}) {
      const ProgramResult result = vicha(evaluate + out);
      EXPECT_EQ(result.status, 0) << out << "\n" << result.output;
    }
  }
}

TEST_F(CommandFiles, PipesAndDevicesAreRefusedByNameBeforeAnythingIsRead) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  fs::create_symlink("/dev/zero", folder_ / "zero.json");
  int turn = 0;
  for (const char* path : {"pipe", "zero.json", "/dev/zero", "images"}) {
    for (const char* arguments : {"data check {}",
                                  "data subset {} --count 1 --out o.json",
                                  "data join {} train.json --out o.json",
                                  "data prune {} --out o.json",
                                  "data titles {} --out o.json",
                                  "data check train.json --vocabulary {}",
                                  "data from-tar {} --out unpacked",
                                  "concepts parse {}",
                                  "concepts vocab {} --out v.tsv",
                                  "concepts vocab train.json --stop {} --out v.tsv",
                                  "concepts vocab train.json --merge {} --out v.tsv",
                                  "concepts assign {} --source manifest:kwords --out o.json",
                                  "concepts store show {}",
                                  "concepts store merge one.emb {} --out o.emb",
                                  "config show {}",
                                  "pretrain {} --out run",
                                  "pretrain recipe.toml --out run --set data.manifests={}",
                                  "pretrain recipe.toml --out run --set "
                                  "init.vocabulary={}",
                                  "weights show {}",
                                  "weights convert {} o.safetensors"}) {
      const std::string line = fmt::format(fmt::runtime(arguments), path);
      if (path != std::string("pipe") && ++turn % 6 != 0) continue;              // each with some of the commands
      if (path == std::string("images") && contains(line, "weights")) continue;  // a folder may hold shards
      const ProgramResult result = vicha(line);
      EXPECT_TRUE(result.status == 2 || result.status == 3) << line << "\n" << result.status << " " << result.output;
      EXPECT_TRUE(contains(result.output, path)) << line << "\n" << result.output;
    }
  }
  EXPECT_TRUE(contains(vicha("data check pipe").output, "pipe: is a pipe, not a regular file"));
  EXPECT_TRUE(contains(vicha("config show /dev/zero").output, "/dev/zero: is a device, not a regular file"));
  for (const char* arguments : {"data subset train.json --count 1 --out {}", "concepts parse train.json --out {}",
                                "weights convert weights.safetensors {}", "concepts store merge one.emb --out {}"}) {
    for (const char* path : {"pipe", "/dev/null", "images"}) {
      const std::string line = fmt::format(fmt::runtime(arguments), path);
      const ProgramResult result = vicha(line);
      EXPECT_NE(result.status, 0) << line;
      EXPECT_NE(result.status, 124) << line;
    }
  }
  EXPECT_TRUE(fs::is_fifo(folder_ / "pipe"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(CommandFiles, PicturesThatAreNoFilesAreBadPictures) {
  ASSERT_EQ(::mkfifo((folder_ / "images/pipe.png").c_str(), 0600), 0);
  fs::create_symlink("/dev/zero", folder_ / "images/zero.png");
  std::string rows = read_file(folder_ / "train.json");
  for (const char* name : {"pipe", "zero"}) {
    rows += fmt::format(R"({{"image": "images/{}.png", "caption": "a picture", "kwords": ["thing"]}})", name) + "\n";
  }
  write_file_atomic(folder_ / "train.json", rows);
  const ProgramResult check = vicha("data check train.json");
  EXPECT_EQ(check.status, 3) << check.output;
  EXPECT_TRUE(contains(check.output, "pipe.png")) << check.output;
  const ProgramResult prune = vicha("data prune train.json --out pruned.json");
  EXPECT_EQ(prune.status, 0) << prune.output;
  EXPECT_TRUE(contains(prune.output, "2 of 50 pictures are dead")) << prune.output;
  const ProgramResult pretrain = vicha("pretrain recipe.toml --out run");
  EXPECT_EQ(pretrain.status, 0) << pretrain.output;
  EXPECT_TRUE(contains(pretrain.output, "is a pipe, not a regular file")) << pretrain.output;
}

TEST_F(CommandFiles, ASignalEndsAnyPhase) {
  for (const char* command : {"concepts parse -"}) {
    const ProgramResult waits = shell(fmt::format(
        "mkfifo in; sleep 300 > in & writer=$!\n$vicha {} < in & run=$!\n"
        // Until it listens: bit 14 of the signals that it catches is SIGTERM.
        "until sed -n 's/^SigCgt:.*\\(.\\)...$/\\1/p' /proc/$run/status | grep -q '[4-7c-f]'; do sleep 0.2; done\n"
        "kill -TERM $run; wait $run; echo status $?; kill $writer\n",
        command));
    EXPECT_TRUE(contains(waits.output, "stopped by SIGTERM")) << waits.output;
    EXPECT_TRUE(contains(waits.output, "status 143")) << waits.output;
  }
  const ProgramResult trains = shell(
      "$vicha pretrain endless.toml --out run & run=$!\nwhile [ ! -s run/metrics.jsonl ]; do sleep 0.2; done\n"
      "kill -TERM $run; wait $run; echo status $?\n");
  EXPECT_TRUE(contains(trains.output, "stopped by Terminated after step")) << trains.output;
  EXPECT_TRUE(contains(trains.output, "status 143")) << trains.output;
}

TEST_F(CommandFiles, TwoRunsDoNotWriteIntoOneFolder) {
  const ProgramResult result = shell(
      "$vicha -q pretrain endless.toml --out run & run=$!\nwhile [ ! -s run/metrics.jsonl ]; do sleep 0.2; done\n"
      "$vicha pretrain recipe.toml --out run; echo second $?\n"
      "kill -KILL $run; wait $run\n$vicha -q pretrain recipe.toml --out run --resume none; echo third $?\n");
  EXPECT_TRUE(contains(result.output, "run: is being written by another run (host ")) << result.output;
  EXPECT_TRUE(contains(result.output, "second 3")) << result.output;
  EXPECT_TRUE(contains(result.output, "third 0")) << result.output;
  EXPECT_FALSE(fs::exists(folder_ / "run/run.lock"));
}

TEST_F(CommandFiles, NothingRawReachesTheTerminal) {
  const fs::path esc = kReported / "manifests/esc.json";
  write_file_atomic(folder_ / "names.jsonl",
                    "{\"image\": \"a\\u009b31m\\u202egpj.png\", \"caption\": \"\\u001b[31m dog\\u2028x\\u007f\", "
                    "\"kwords\": [\"\\u001b[2Jdog\"]}\n");
  for (const std::string& manifest : {esc.string(), std::string("names.jsonl")}) {
    for (const char* arguments :
         {"data check {}", "data check {} --json", "data prune {} --out o.json", "data titles {} --out o.json",
          "concepts parse {}", "concepts parse {} --json",
          "concepts vocab {} --out v.tsv --min-count 1 --no-default-stop",
          "concepts assign {} --source manifest:kwords --out o.json",
          "pretrain recipe.toml --out run --resume none --set data.manifests={} --set data.batch_size=1",
          "data subset {} --count \x1b[31m --out o.json", "\x1b[31m{}", "data check 'a\x1b[2J\u202e.json' {}"}) {
      const std::string line = fmt::format(fmt::runtime(arguments), manifest);
      const std::string output = vicha(line).output;
      for (const char c : output) {
        const auto byte = static_cast<unsigned char>(c);
        EXPECT_FALSE((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) << line << "\n" << output;
      }
      for (const char* raw : {"\u009b", "\u202e", "\u2028"}) EXPECT_FALSE(contains(output, raw)) << line;
    }
  }
  EXPECT_TRUE(contains(vicha("data check names.jsonl").output, "a\\u009b31m\\u202egpj.png"));
}

TEST_F(CommandFiles, NumbersOutOfRangeAreUsage) {
  for (const char* arguments : {"data check train.json --max-words",
                                "data check train.json --max-tokens",
                                "data check train.json --examples",
                                "data check train.json --threads",
                                "data check train.json --strip-parts",
                                "data titles train.json --out o --threads",
                                "data prune train.json --out o --threads",
                                "data prune train.json --out o --strip-parts",
                                "data subset train.json --out o --count",
                                "data nearest-captions train.json --from train.json --out o --k",
                                "data filter train.json --out o --max-missing",
                                "data filter train.json --out o --batch",
                                "data filter train.json --out o --threads",
                                "data from-tar x.tar --out o --threads",
                                "data from-tar x.tar --out o --max-picture-mb",
                                "concepts parse train.json --threads",
                                "concepts parse train.json --cache",
                                "concepts vocab train.json --out o --top",
                                "concepts vocab train.json --out o --min-count",
                                "concepts vocab train.json --out o --min-length",
                                "concepts vocab train.json --out o --max-entries",
                                "concepts assign train.json --source manifest:x --out o --k",
                                "concepts assign train.json --source manifest:x --out o --threshold",
                                "concepts assign train.json --source manifest:x --out o --max-missing-share",
                                "concepts assign train.json --source manifest:x --out o --num-tags",
                                "concepts embed train.json --source clip:x --out o --batch",
                                "concepts embed train.json --source clip:x --out o --rank",
                                "concepts embed train.json --source clip:x --out o --ranks",
                                "concepts embed train.json --source clip:x --out o --max-bad-share",
                                "concepts embed train.json --source clip:x --out o --regions",
                                "embed train.json --tower vit:x --out o --threads",
                                "embed train.json --tower vit:x --out o --strip-parts",
                                "embed train.json --tower vit:x --out o --rank",
                                "embed train.json --tower vit:x --out o --ranks",
                                "embed train.json --tower vit:x --out o --max-bad-share",
                                "concepts build --captions train.json --out o --k",
                                "concepts build --captions train.json --out o --top",
                                "concepts build --captions train.json --out o --threshold",
                                "concepts show x.png --k",
                                "concepts show x.png --threshold",
                                "bench pretrain --threads",
                                "bench retrieval-eval --k-test"}) {
    for (const char* value : {"-1", "nan", "inf", "1e30", "99999999999999999999", "x"}) {
      std::vector<std::string> words = {"vicha"};
      std::istringstream line(arguments);
      for (std::string word; line >> word;) words.push_back(word);
      words.emplace_back(value);
      std::vector<char*> argv;
      for (std::string& word : words) argv.push_back(word.data());
      testing::internal::CaptureStderr();
      const int status = cli::run(static_cast<int>(argv.size()), argv.data());
      const std::string said = testing::internal::GetCapturedStderr();
      EXPECT_EQ(status, 2) << arguments << " " << value << "\n" << said;
    }
  }
}

}  // namespace
}  // namespace vicha

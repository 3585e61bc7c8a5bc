// Every command block of README, CONTRIBUTING and docs/ is run, so that none of them is out of date. What a command
// reads is there under the name it gives: small images, small CLIP weights, MiniLM itself (`make test` fetches it).
// Runs are cut to two steps and small batches. Of blocks about building, which CI runs anyway, targets and presets are
// looked up.
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "../run_program.h"
#include "data/manifest/rewrite.h"
#include "tasks/pretrain/colour_world_test.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

const fs::path kRoot = VICHA_SOURCE_DIR;

/// Lines of Markdown indented by four spaces after an empty line, or between fences that say `sh`.
struct Block {
  std::string place;  ///< "README.md:24"
  std::vector<std::string> lines;
};

std::vector<Block> blocks_of(const std::string& file) {
  std::vector<Block> blocks;
  std::istringstream text(read_file(kRoot / file));
  bool open = false, after_empty = true, fenced = false;
  int number = 0;
  for (std::string line; std::getline(text, line);) {
    ++number;
    if (line.starts_with("```")) {
      fenced = line.starts_with("```sh") || line.starts_with("```bash") || line.starts_with("```console");
      open = false;
      continue;
    }
    const bool indented = line.starts_with("    "), inside = fenced || (indented && (open || after_empty));
    if (inside && !open) blocks.push_back({fmt::format("{}:{}", file, number), {}});
    if (inside) blocks.back().lines.push_back(fenced ? line : line.substr(4));
    open = inside || (open && line.empty());
    if (open && line.empty() && !fenced) blocks.back().lines.emplace_back();
    after_empty = line.empty();
  }
  return blocks;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::string replaced(std::string text, const std::vector<std::pair<std::string, std::string>>& by) {
  for (const auto& [from, to] : by) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
      text.replace(at, from.size(), to);
    }
  }
  return text;
}

class Documented : public ColourWorld {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    give_objects("train.json");
    give_objects("test.json");
    fs::create_directory_symlink(kRoot / "recipes", folder_ / "recipes");
    // The program in PATH is the program, but pretraining is short there.
    fs::create_directories(folder_ / "bin");
    write_file_atomic(folder_ / "bin/vicha", fmt::format(R"(#!/bin/sh
if [ "$1" = pretrain ]; then
  exec '{0}' "$@" --device cpu --set train.max_steps=2 --set data.batch_size=4 --set data.workers=1 --set train.precision=fp32
fi
exec '{0}' "$@"
)",
                                                         VICHA_PROGRAM));
    fs::permissions(folder_ / "bin/vicha", fs::perms::owner_all);
  }

  /// Captions that name things, for concepts to be found among.
  void give_objects(const std::string& name) const {
    const std::map<std::string, std::string> things = {{"red", "tomato"},   {"green", "frog"},   {"blue", "whale"},
                                                       {"yellow", "lemon"}, {"black", "cat"},    {"white", "swan"},
                                                       {"purple", "grape"}, {"orange", "carrot"}};
    rewrite_manifest(folder_ / name, folder_ / name, [&](Json& record, std::int64_t) {
      const std::string caption = record.at("caption").get<std::string>();  // "a red picture"
      const std::string colour = caption.substr(2, caption.find(' ', 2) - 2);
      record["caption"] = "a " + colour + " " + things.at(colour);
      record["kwords"] = {things.at(colour)};
      return true;
    });
  }

  void place(const fs::path& from, const std::string& to) const {
    fs::create_directories((folder_ / to).parent_path());
    fs::copy_file(from, folder_ / to, fs::copy_options::overwrite_existing);
  }
  /// A manifest, its images beside it.
  void place_set(const std::string& from, const std::string& to) const {
    place(folder_ / from, to);
    const fs::path images = (folder_ / to).parent_path() / "images";
    if (!fs::exists(images)) fs::create_directory_symlink(folder_ / "images", images);
  }
  /// Small weights in OpenAI's form with the byte-pair vocabulary of their 600 tokens.
  void place_clip() const {
    place(kRoot / "tests/golden/torchscript/clip_whole.pt", "ViT-B-16.pt");
    std::string merges = "#version: 0.2\nd o\ndo g</w>\nc a\nca t</w>\n";
    for (int i = 4; i < 86; ++i) merges += std::string(1, 'a' + i % 26) + " " + std::string(1, 'a' + i / 26) + "\n";
    write_file_atomic(folder_ / "bpe_simple_vocab_16e6.txt", merges);
  }

  /// All of a page's blocks in their order; `records` says where those go that show lines of a manifest.
  void run_blocks(const std::string& file, const std::vector<std::pair<std::string, std::string>>& replacements = {}) {
    const std::vector<Block> blocks = blocks_of(file);
    EXPECT_FALSE(blocks.empty()) << file << " shows no commands any more: take it out of this test";
    for (const Block& block : blocks) {
      const std::string& first = block.lines.front();
      std::smatch name;
      if (first.starts_with("{") || first.starts_with("[")) {
        on_records(block);
      } else if (static const std::regex named("# ([a-z./-]+\\.toml)"); std::regex_match(first, name, named)) {
        write_file_atomic(folder_ / name[1].str(), joined(block.lines));
      } else if (static const std::regex build("(make|cmake|ninja|ctest|bash|clang-tidy|CMAKE_PREFIX_PATH).*");
                 std::regex_match(first, build)) {
        look_up(block);
      } else {
        const std::string script = replaced(joined(block.lines), replacements);
        write_file_atomic(folder_ / "block.sh", "set -e\nexport PATH=\"$PWD/bin:$PATH\"\n" + script);
        const ProgramResult result = run_program(folder_, "/bin/bash", "block.sh", 2);
        EXPECT_EQ(result.status, 0) << block.place << "\n" << script << "\n" << result.output;
        EXPECT_EQ(result.output.find(" W "), std::string::npos) << block.place << " warns:\n" << result.output;
      }
    }
  }

  /// Lines of a manifest: read as one, with images under their names.
  virtual void on_records(const Block& block) {
    write_file_atomic(folder_ / "shown.jsonl", joined(block.lines));
    if (block.lines.front().find("…") != std::string::npos) return;  // the outline of a result, not of a manifest
    std::vector<Json> records;
    for_each_record(folder_ / "shown.jsonl", [&](const Json& record, std::int64_t) { records.push_back(record); });
    ASSERT_FALSE(records.empty()) << block.place;
    for (const Json& record : records) {
      place(folder_ / "images/red0.png", record.at("image").get<std::string>());
    }
    const ProgramResult checked = run_program(folder_, VICHA_PROGRAM, "data check shown.jsonl");
    EXPECT_EQ(checked.status, 0) << block.place << "\n" << checked.output;
  }

  static void look_up(const Block& block) {
    const std::string makefile = fmt::format("\n{}", read_file(kRoot / "Makefile"));
    const Json presets = Json::parse(read_file(kRoot / "CMakePresets.json"));
    const auto is_preset = [&](const std::string& name, const char* of) {
      return std::ranges::any_of(presets.at(of), [&](const Json& preset) { return preset.at("name") == name; });
    };
    for (const std::string& line : block.lines) {
      std::smatch match;
      static const std::regex target("make ([a-z-]+).*"), preset(".*cmake --(build --)?preset ([a-z]+).*");
      if (std::regex_match(line, match, target)) {
        EXPECT_NE(makefile.find(fmt::format("\n{}:", match[1].str())), std::string::npos)
            << block.place << ": " << line;
      } else if (std::regex_match(line, match, preset)) {
        EXPECT_TRUE(is_preset(match[2].str(), match[1].length() > 0 ? "buildPresets" : "configurePresets"))
            << block.place << ": " << line;
      }
    }
  }
};

class DocumentedInReadme : public Documented {
 protected:
  /// The first lines of pairs.jsonl; a batch needs some more.
  void on_records(const Block& block) override {
    Documented::on_records(block);
    write_file_atomic(folder_ / "pairs.jsonl", joined(block.lines) + read_file(folder_ / "train.json"));
    fs::copy_file(folder_ / "pairs.jsonl", folder_ / "pairs.json");
  }
};

TEST_F(DocumentedInReadme, Runs) {
  if (!fs::exists(kRoot / "data/minilm/vocab.txt")) GTEST_SKIP() << "data/minilm is not there: make test fetches it";
  fs::create_directories(folder_ / "data/demo");
  fs::create_directory_symlink(kRoot / "data/minilm", folder_ / "data/minilm");
  for (const char* name : {"pretrain", "val"}) place_set("train.json", fmt::format("data/demo/{}.json", name));
  place_set("test.json", "data/demo/test.json");
  place_clip();
  PretrainRecipe first = recipe();
  first.model.concepts.enabled = first.data.concepts.enabled = false;
  first.training.length.max_steps = 2;
  run(first, "runs/first");
  run_blocks("README.md", {{"step-020000", "step-000002"}, {"~/Pictures", "images"}});
}

TEST_F(Documented, InRecipesForData) {
  place_clip();
  for (const char* set : {"coco", "sbu", "vg"}) {
    place_set("train.json", fmt::format("data/{}/{}.json", set, set));
    place(folder_ / "train.json", fmt::format("{}.json", set));
  }
  run_blocks("docs/recipes-data.md", {{"/data/", (folder_ / "data").string() + "/"}});
}

TEST_F(Documented, OfFeatures) {
  if (!fs::exists(kRoot / "data/minilm/vocab.txt")) GTEST_SKIP() << "data/minilm is not there: make test fetches it";
  fs::create_directories(folder_ / "data");
  fs::create_directory_symlink(kRoot / "data/minilm", folder_ / "data/minilm");
  place(kRoot / "tests/golden/library/towers/dinov2_tiny.safetensors", "dinov2/model.safetensors");
  place(kRoot / "tests/golden/library/towers/dinov2_tiny.config.json", "dinov2/config.json");
  run_blocks("docs/features.md");
}

TEST_F(Documented, OfAblation) {
  fs::create_directory_symlink(kRoot / "labs", folder_ / "labs");
  for (const char* name : {"pretrain", "test"}) place_set("train.json", fmt::format("data/demo/{}.json", name));
  run_blocks("docs/ablation.md");
}

TEST_F(Documented, InTheOtherPages) {
  run_blocks("docs/data.md");
  run_blocks("docs/cli.md", {{"--batch 16", "--batch 2"},
                             {"--image-res 128", "--image-res 32"},
                             {"--steps 6", "--steps 1 --warmup 0"},
                             {"--pairs 1000000 --batch 4096 --steps 0", "--pairs 512 --batch 64 --steps 1"},
                             {"--config base --images 64 --captions 320 --k-test 32",
                              "--config small --images 4 --captions 8 --k-test 2"}});
  run_blocks("CONTRIBUTING.md");
}

/// Commands of the program that no test runs: in `text` blocks, whose runs are too long or whose files are downloads,
/// and in tables and sentences. Page and command, from `vicha` on.
std::vector<std::pair<std::string, std::string>> mentioned_commands(const std::string& file) {
  std::vector<std::pair<std::string, std::string>> commands;
  std::istringstream text(read_file(kRoot / file));
  bool fenced = false;
  int number = 0;
  for (std::string line; std::getline(text, line);) {
    ++number;
    const std::string place = fmt::format("{}:{}", file, number);
    if (line.starts_with("```")) {
      fenced = !fenced && line.starts_with("```text");
    } else if (fenced && line.starts_with("vicha ")) {
      commands.emplace_back(place, line.substr(0, line.find("  #")));
    } else if (!fenced) {
      static const std::regex quoted("`(vicha [^`]+)`");
      for (std::sregex_iterator at(line.begin(), line.end(), quoted), end; at != end; ++at)
        commands.emplace_back(place, (*at)[1].str());
    }
  }
  return commands;
}

/// Their subcommands are there, and have the options; recipes that they name are there, too.
TEST_F(Documented, CommandsThatAreNotRunHaveTheirOptions) {
  std::vector<std::string> pages = {"README.md"};
  for (const fs::directory_entry& entry : fs::directory_iterator(kRoot / "docs")) {
    // adding.md speaks of a guest's task, design.md of what is planned, too.
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".md") && name != "adding.md" && name != "design.md") pages.push_back("docs/" + name);
  }
  std::map<std::string, std::string> help;  // of each subcommand
  std::size_t tasks = 0;
  for (const std::string& page : pages) {
    for (const auto& [place, command] : mentioned_commands(page)) {
      std::istringstream words(command);
      std::string path, word;
      words >> word;  // vicha
      static const std::regex name("[a-z][a-z0-9-]*"), option("--[a-z][a-z0-9-]*"), recipe("recipes/[a-z0-9-]+\\.toml");
      std::vector<std::string> options;
      for (bool named = true; words >> word;) {
        if (word == "TASK" || word == "…") word = "entailment";
        named = named && std::regex_match(word, name);
        if (named) path += " " + word;
        if (std::regex_match(word, option)) options.push_back(word);
        if (!std::regex_match(word, recipe)) continue;
        EXPECT_TRUE(fs::exists(kRoot / word)) << place << ": " << command;
      }
      if (!help.contains(path)) {
        const ProgramResult result = run_program(folder_, VICHA_PROGRAM, path + " --help");
        EXPECT_EQ(result.status, 0) << place << ": " << command << "\n" << result.output;
        help[path] = result.output;
      }
      for (const std::string& one : options) {
        EXPECT_TRUE(std::regex_search(help[path], std::regex(one + "([^a-z0-9-]|$)")))
            << place << ": " << command << "\n  has no option " << one;
      }
      tasks += path.starts_with(" finetune") || path.starts_with(" predict") ? 1 : 0;
    }
  }
  EXPECT_GT(tasks, 10U) << "the commands of tasks are no longer found";
}

TEST_F(Documented, NoPageIsForgotten) {
  for (const fs::directory_entry& entry : fs::directory_iterator(kRoot / "docs")) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".md") || name == "recipes-data.md" || name == "data.md" || name == "cli.md") continue;
    if (name == "features.md" || name == "ablation.md") continue;
    EXPECT_TRUE(blocks_of("docs/" + name).empty())
        << "docs/" << name << " shows commands, and this test does not run them";
  }
}

}  // namespace
}  // namespace vicha

// Every value that an option allows trains: the ends of its range, each of its choices, both sides of its switches.
// What does not fit the rest of a recipe is refused before training, and by name.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "data/manifest/rewrite.h"
#include "tasks/pretrain/colour_world_test.h"

namespace vicha {
namespace {

/// Sizes whose upper end is a matter of the machine, not of the program.
const std::set<std::string> kSizes = {
    "model.embed_dim",   "model.queue_size",       "model.vit.image_res",      "model.vit.width",
    "model.vit.depth",   "model.text.vocabulary",  "model.text.max_positions", "model.text.width",
    "model.text.inner",  "model.text.text_layers", "model.text.fusion_layers", "model.concepts.layers",
    "mae.decoder.width", "mae.decoder.depth",      "data.transform.image_res", "data.workers"};
/// What makes any model diverge when it is large enough: training stops, and says so (train/loop_test.cpp).
const std::set<std::string> kDiverging = {"optimizer.lr", "optimizer.weight_decay", "schedule.warmup_lr",
                                          "schedule.min_lr", "fusion_lr_scale"};

/// The assignments that walk a recipe's options.
class Ends : public Visitor {
 public:
  std::vector<std::string> assignments;

  void field(const Field& about, bool&) override {
    add(about, "true");
    add(about, "false");
  }
  void field(const Field& about, std::int64_t&) override {
    if (about.min) add(about, fmt::format("{}", static_cast<std::int64_t>(*about.min)));
    if (!kSizes.contains(path(about)))
      add(about, fmt::format("{}", about.max ? static_cast<std::int64_t>(*about.max) : std::int64_t{1} << 40));
  }
  void field(const Field& about, double&) override {
    if (about.min) add(about, fmt::format("{}", *about.min));
    if (!kDiverging.contains(path(about))) add(about, fmt::format("{}", about.max.value_or(1e6)));
  }
  void field(const Field& about, std::string&) override {
    for (const std::string_view choice : about.choices) add(about, fmt::format("\"{}\"", choice));
  }
  void field(const Field&, std::vector<double>&) override {}
  void field(const Field&, std::vector<std::string>&) override {}

 protected:
  void named(const Field& about, std::string_view, std::function<void(std::string_view)>) override {
    for (const std::string_view choice : about.choices) add(about, fmt::format("\"{}\"", choice));
  }
  void begin_section(std::string_view key, std::string_view) override { sections_.emplace_back(key); }
  void end_section() override { sections_.pop_back(); }

 private:
  std::string path(const Field& about) const {
    std::string path;
    for (const std::string& section : sections_) path += section + ".";
    return path + std::string(about.key);
  }
  void add(const Field& about, const std::string& value) { assignments.push_back(path(about) + "=" + value); }

  std::vector<std::string> sections_;
};

class OptionEnds : public ColourWorld {
 protected:
  /// With tags of regions, which some objectives read.
  void SetUp() override {
    ColourWorld::SetUp();
    rewrite_manifest(folder_ / "train.json", folder_ / "train.tagged.json",
                     [](nlohmann::ordered_json& record, std::int64_t) {
                       record["region_tags"] = {"thing", nullptr, "picture", "thing"};
                       return true;
                     });
  }
  /// The recipe with these values; throws what refuses them.
  PretrainRecipe with(const std::vector<std::string>& assignments) const {
    PretrainRecipe r = recipe();
    r.training.length.max_steps = 10;
    r.training.checkpoint.every_steps = 0;
    r.training.optimizer.lr = 1e-4;
    r.data.manifests = {(folder_ / "train.tagged.json").string()};
    r.eval.manifest = (folder_ / "test.json").string();
    r.eval.k_test = 2;
    apply_overrides(r, assignments);
    r.finish();
    return r;
  }
  void train(const std::vector<std::string>& assignments) const {
    const std::string out = "run" + std::to_string(runs_++);
    const bool finished = run(with(assignments), out).finished;
    fs::remove_all(folder_ / out);
    EXPECT_TRUE(finished) << fmt::format("{}", fmt::join(assignments, ", "));
  }
  /// What `act` says against the assignment: it must name the option, and training must not have begun.
  template <class Act>
  static std::string why_not(const std::string& assignment, Act act) {
    const std::string path = assignment.substr(0, assignment.find('='));
    std::string why;
    try {
      act();
    } catch (const UsageError& refusal) {
      why = refusal.what();
    } catch (const DataError& refusal) {
      why = refusal.what();
    } catch (const std::exception& failure) {
      ADD_FAILURE() << assignment << ": " << failure.what();
      return failure.what();
    }
    if (!why.empty()) {
      EXPECT_NE(why.find(path.substr(path.rfind('.') + 1)), std::string::npos) << assignment << ": " << why;
    }
    return why;
  }
  /// One run for several of them that leave each other alone; halves where it ends early, down to the one to blame.
  void train_or_blame(const std::vector<std::string>& together) const {
    if (together.size() == 1) {
      why_not(together.front(), [&] { train(together); });
      return;
    }
    try {
      train(together);
    } catch (const std::exception&) {
      const auto middle = together.begin() + static_cast<std::ptrdiff_t>(together.size() / 2);
      train_or_blame({together.begin(), middle});
      train_or_blame({middle, together.end()});
    }
  }
  /// Options of one section may switch each other off: they are in different groups.
  static std::vector<std::vector<std::string>> in_groups(const std::vector<std::string>& assignments) {
    const auto section = [](const std::string& assignment) {
      const std::string path = assignment.substr(0, assignment.find('='));
      return path.find('.') == std::string::npos ? path : path.substr(0, path.rfind('.'));
    };
    std::vector<std::vector<std::string>> groups;
    for (const std::string& assignment : assignments) {
      const auto open = std::ranges::find_if(groups, [&](const std::vector<std::string>& group) {
        return std::ranges::none_of(group,
                                    [&](const std::string& other) { return section(other) == section(assignment); });
      });
      if (open == groups.end()) {
        groups.push_back({assignment});
      } else {
        open->push_back(assignment);
      }
    }
    return groups;
  }

 private:
  mutable int runs_ = 0;
};

TEST_F(OptionEnds, TrainTenStepsOrAreRefusedByName) {
  Ends ends;
  PretrainRecipe described = recipe();
  described.describe(ends);
  ASSERT_GT(ends.assignments.size(), 150U);

  std::vector<std::string> fit;
  for (const std::string& assignment : ends.assignments) {
    if (assignment.starts_with("task=") || assignment.starts_with("train.max_steps=")) continue;
    const std::string refusal = why_not(assignment, [&] { with({assignment}); });
    if (refusal.empty()) fit.push_back(assignment);
  }
  for (const std::vector<std::string>& together : in_groups(fit)) train_or_blame(together);
}

}  // namespace
}  // namespace vicha

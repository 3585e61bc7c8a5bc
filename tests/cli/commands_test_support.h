// What tests of whole commands share: the program in the folder of a test's small world, and that world with captions
// that name things.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "../run_program.h"
#include "data/manifest/rewrite.h"
#include "tasks/pretrain/colour_world_test.h"

namespace vicha {

/// A world (ColourWorld, or one that is made of it) whose folder the program is run in, on two threads.
template <class World>
class Commands : public World {
 protected:
  using Json = nlohmann::ordered_json;

  ProgramResult vicha(const std::string& arguments) const {
    return run_program(this->folder_, VICHA_PROGRAM, arguments, 2);
  }
  /// The output of a command that has to succeed.
  std::string run_well(const std::string& arguments) const {
    const ProgramResult result = vicha(arguments);
    EXPECT_EQ(result.status, 0) << arguments << "\n" << result.output;
    return result.output;
  }
  /// What is said by a command that has to end with this status.
  std::string refused(const std::string& arguments, int status) const {
    const ProgramResult result = vicha(arguments);
    EXPECT_EQ(result.status, status) << arguments << "\n" << result.output;
    return result.output;
  }

  Json json(const std::string& name) const { return Json::parse(read_file(this->folder_ / name)); }
  std::vector<Json> records(const std::string& name) const {
    std::vector<Json> all;
    for_each_record(this->folder_ / name, [&](const Json& record, std::int64_t) { all.push_back(record); });
    return all;
  }
  static bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
  }
};

/// A thing of each of the world's colours: what captions name.
inline const std::map<std::string, std::string>& things_by_colour() {
  static const std::map<std::string, std::string> things = {{"red", "tomato"},   {"green", "frog"},   {"blue", "whale"},
                                                            {"yellow", "lemon"}, {"black", "cat"},    {"white", "swan"},
                                                            {"purple", "grape"}, {"orange", "carrot"}};
  return things;
}

/// The world with "a red tomato" for "a red picture", and no concepts: finding them is what is tested.
template <class World>
class ThingWorld : public Commands<World> {
 protected:
  using Json = typename Commands<World>::Json;

  /// vocab.txt with the things, train.json and test.json with such captions; `edit(record, number)` changes records
  /// further.
  void name_things(const std::function<void(Json&, std::int64_t)>& edit = [](Json&, std::int64_t) {}) const {
    std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n";
    for (const auto& [colour, thing] : things_by_colour()) vocabulary += thing + "\n" + colour + "\n";
    write_file_atomic(this->folder_ / "vocab.txt", vocabulary);
    for (const char* name : {"train.json", "test.json"}) {
      rewrite_manifest(this->folder_ / name, this->folder_ / name, [&](Json& record, std::int64_t number) {
        const std::string caption = record.at("caption").template get<std::string>();
        const std::string colour = caption.substr(2, caption.find(' ', 2) - 2);
        record["caption"] = "a " + colour + " " + things_by_colour().at(colour);
        record.erase("kwords");
        edit(record, number);
        return true;
      });
    }
  }

  /// recipe.toml: a few steps on train.concepts.json.
  void write_recipe() const {
    PretrainRecipe r = this->recipe();
    r.model.text.vocabulary = 6 + 2 * static_cast<std::int64_t>(things_by_colour().size());
    r.init.vocabulary = "vocab.txt";
    r.data.manifests = {"train.concepts.json"};
    r.training.length.max_steps = 4;
    write_file_atomic(this->folder_ / "recipe.toml", to_toml(r));
  }
};

}  // namespace vicha

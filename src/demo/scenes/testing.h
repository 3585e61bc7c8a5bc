// A cast for tests of scenes, without files.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "demo/demo_images_test_support.h"
#include "demo/demo_sprites.h"
#include "demo/scenes/cast.h"
#include "demo/scenes/scene.h"

namespace vicha::demo {

struct ToyName {
  const char *category, *one, *many;
};
inline constexpr ToyName kToyNames[] = {{"animal", "fox", "foxes"},
                                        {"animal", "mouse", "mice"},
                                        {"animal", "polar bear", "polar bears"},
                                        {"animal", "ox", "oxen"},
                                        {"animal", "jellyfish", "jellyfish"},
                                        {"animal", "zebra", "zebras"},
                                        {"food", "strawberry", "strawberries"},
                                        {"food", "egg", "eggs"},
                                        {"food", "hot dog", "hot dogs"},
                                        {"food", "mango", "mangoes"},
                                        {"vehicle", "tram car", "tram cars"},
                                        {"vehicle", "ambulance", "ambulances"},
                                        {"vehicle", "canoe", "canoes"},
                                        {"clothing", "crown", "crowns"},
                                        {"clothing", "hiking boot", "hiking boots"},
                                        {"clothing", "scarf", "scarfs"},
                                        {"tool", "axe", "axes"},
                                        {"tool", "toolbox", "toolboxes"},
                                        {"plant", "maple leaf", "maple leaves"},
                                        {"plant", "rose", "roses"},
                                        {"sport", "ice skate", "ice skates"}};

struct ToyStage {
  SceneCast cast;
  std::vector<Sprite> sprites;
};

/// Two drawings of each thing for training and one that is kept; of every fifth a photograph, which is both.
inline ToyStage toy_stage() {
  ToyStage toy;
  const auto draw_one = [&] {
    const auto n = static_cast<int>(toy.sprites.size());
    const Image cut_out = fit(trim(pattern(40 + n * 7 % 50, 40 + n * 11 % 60)), 64);
    toy.sprites.push_back({fit(cut_out, 60), fit(cut_out, 35)});
    toy.cast.drawings.emplace_back();
    return toy.sprites.size() - 1;
  };
  for (const auto& [category, one, many] : kToyNames) {
    SceneConcept thing{one, category, {}, {}, toy.cast.concepts.size() % 5 == 0};
    thing.training = {draw_one(), draw_one()};
    thing.unseen = {draw_one()};
    if (thing.has_photo) {
      thing.training.push_back(draw_one());
      thing.unseen.push_back(thing.training.back());
    }
    toy.cast.concepts.push_back(std::move(thing));
  }
  return toy;
}

}  // namespace vicha::demo

#include "demo/scenes/scene.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/error.h"
#include "base/threads.h"
#include "demo/demo_images.h"
#include "demo/demo_sprites.h"
#include "demo/scenes/draws.h"
#include "image/draw.h"

namespace vicha::demo {
namespace {

constexpr int kBottleneck = 64;
constexpr int kLarge = 60, kSmall = 35;  // pixels of an object's longer side
constexpr Color kCard = {120, 120, 120}, kCardRim = {60, 60, 60};

void fill(Image& image, const Box& box, const Color& color) {
  for (int y = box.y; y < box.y + box.height; ++y) {
    std::uint8_t* pixel = image.row(y) + std::ptrdiff_t{3} * box.x;
    for (int x = 0; x < box.width; ++x, pixel += 3) std::copy(color.begin(), color.end(), pixel);
  }
}

Image paint_ground(const Color& top, const Color& bottom) {
  Image image(kSceneSide, kSceneSide, 3);
  for (int y = 0; y < kSceneSide; ++y) {
    Color color{};
    for (std::size_t c = 0; c < color.size(); ++c) {
      color[c] = static_cast<std::uint8_t>(std::nearbyint(top[c] + (bottom[c] - top[c]) * y / double{kSceneSide}));
    }
    fill(image, {0, y, kSceneSide, 1}, color);
  }
  return image;
}

void paint_card(Image& image, int row, int column) {
  constexpr int kMargin = 2;
  const Box card{column * kSceneCell + kMargin, row * kSceneCell + kMargin, kSceneCell - 2 * kMargin,
                 kSceneCell - 2 * kMargin};
  fill(image, card, kCard);
  draw_rectangle(image, card, kCardRim, 1);
}

}  // namespace

std::vector<Sprite> load_sprites(const std::vector<Drawing>& drawings, int threads) {
  std::vector<Sprite> sprites(drawings.size());
  for_each_index(drawings.size(), threads, [&](std::size_t i) {
    const Image cut_out = fit(trim(load_drawing(drawings[i])), kBottleneck);
    sprites[i] = {fit(cut_out, kLarge), fit(cut_out, kSmall)};
  });
  return sprites;
}

Stage::Stage(const SceneCast& cast, const std::vector<Sprite>& sprites, bool unseen)
    : cast_(cast), sprites_(sprites), unseen_(unseen) {
  VICHA_ASSERT(cast.drawings.size() == sprites.size());
}

Scene Stage::arrange(Rng& rng, const SceneWish& wish) const {
  Scene scene;
  const std::vector<std::size_t> cells = some_below(rng, std::size_t{kSceneGrid} * kSceneGrid, wish.kinds.size());
  scene.top = rng.below(kPastels.size());
  scene.bottom = rng.below(kPastels.size());
  for (std::size_t i = 0; i < wish.kinds.size(); ++i) {
    const SceneConcept& kind = cast_.concepts[wish.kinds[i]];
    SceneObject object;
    object.kind = wish.kinds[i];
    object.large = wish.large ? (*wish.large)[i] : toss(rng);
    object.row = static_cast<int>(cells[i]) / kSceneGrid;
    object.column = static_cast<int>(cells[i]) % kSceneGrid;
    object.drawing = one_of(rng, unseen_ ? kind.unseen : kind.training);
    object.hidden = wish.covered == i;
    // Small ones move to and fro in their cell, but by no more than leaves them inside.
    const int room = kSceneCell - (object.large ? kLarge : kSmall) - 2;
    const int shift = number_from(rng, -((room + 2) / 3), room / 3);
    const Image& sprite = sprites_[object.drawing].of(object.large);
    object.box = {object.column * kSceneCell + (kSceneCell - sprite.width) / 2 + shift,
                  object.row * kSceneCell + (kSceneCell - sprite.height) / 2, sprite.width, sprite.height};
    scene.objects.push_back(object);
  }
  return scene;
}

Image paint(const Scene& scene, const std::vector<Sprite>& sprites) {
  Image image = paint_ground(kPastels[scene.top], kPastels[scene.bottom]);
  for (const SceneObject& object : scene.objects) {
    paste(image, sprites[object.drawing].of(object.large), object.box.x, object.box.y);
    if (object.hidden) paint_card(image, object.row, object.column);
  }
  return image;
}

}  // namespace vicha::demo

// A scene: 1–6 objects in the cells of a 3 x 3 grid on a pastel ground, how it is arranged and how it is drawn.
//
// Objects are in three rows and each stays in its cell, so above and below are never in doubt; nothing said of scenes
// tells left from right, so that a picture flipped for training keeps its labels.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/random.h"
#include "demo/scenes/cast.h"
#include "image/image.h"

namespace vicha::demo {

inline constexpr int kSceneGrid = 3;
inline constexpr int kSceneCell = 64;  // pixels
inline constexpr int kSceneSide = kSceneGrid * kSceneCell;

/// A drawing as scenes show it: a cut-out (RGBA) whose longer side has 60 or 35 pixels.
struct Sprite {
  Image large, small;
  const Image& of(bool is_large) const { return is_large ? large : small; }
};

/// Every drawing passes the same 64-pixel bottleneck first, so that sharpness does not tell the artist.
std::vector<Sprite> load_sprites(const std::vector<Drawing>& drawings, int threads);

struct SceneObject {
  std::size_t kind = 0;  ///< position in SceneCast::concepts
  bool large = false;
  int row = 0, column = 0;  ///< of its cell, from the top left
  std::size_t drawing = 0;  ///< position in SceneCast::drawings
  Box box;                  ///< of the cut-out, pixels of the scene
  bool hidden = false;      ///< a grey card covers its cell
};

struct Scene {
  std::size_t top = 0, bottom = 0;  ///< the ground goes from one to the other of kPastels
  std::vector<SceneObject> objects;
};

/// Objects that a scene is to show: their kinds, one each; sizes and which of them a card covers.
struct SceneWish {
  std::vector<std::size_t> kinds;
  std::optional<std::vector<bool>> large;  ///< drawn where not given
  std::optional<std::size_t> covered;      ///< position in `kinds`
};

/// Arranges scenes with the drawings of one split.
class Stage {
 public:
  /// `unseen`: with the drawings that are not trained on. Both must outlive the stage.
  Stage(const SceneCast& cast, const std::vector<Sprite>& sprites, bool unseen);

  const SceneCast& cast() const { return cast_; }
  /// The objects in the order of the wish.
  Scene arrange(Rng& rng, const SceneWish& wish) const;

 private:
  const SceneCast& cast_;
  const std::vector<Sprite>& sprites_;
  bool unseen_;
};

/// The scene as an RGB picture of kSceneSide x kSceneSide pixels.
Image paint(const Scene& scene, const std::vector<Sprite>& sprites);

}  // namespace vicha::demo

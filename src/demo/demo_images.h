// Drawing the retrieval set's pictures.
#pragma once

#include <string>
#include <vector>

#include "demo/demo_sources.h"
#include "demo/image_folder.h"
#include "image/image.h"

namespace vicha::demo {

struct ImageTask {
  std::string name;  ///< path below images/, "emoji/google/1f600.png"
  Drawing drawing;
  int side = 0;        ///< of the square result, pixels
  int bottleneck = 0;  ///< longest side that the drawing is brought down to before, pixels
};

/// The drawing at its own size, an SVG at 128 x 128 pixels (RGBA). Throws DataError if it is no picture.
Image load_drawing(const Drawing& drawing);

/// What the drawing's pixels depend on, as far as can be told without reading its file: its name and size, or the
/// document's SHA-256.
std::string drawing_identity(const Drawing& drawing);

/// The folder images/ with these pictures. Its fingerprint tells names, sources and ways of drawing.
FolderContent folder_of(const std::vector<ImageTask>& tasks);

/// The picture as a PNG file.
std::string draw_png(const ImageTask& task);

}  // namespace vicha::demo

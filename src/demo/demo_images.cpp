#include "demo/demo_images.h"

#include "base/files.h"
#include "base/sha256.h"
#include "demo/building.h"
#include "demo/demo_sprites.h"
#include "image/decode.h"

namespace vicha::demo {

Image load_drawing(const Drawing& drawing) {
  constexpr int kSvgSide = 128;
  if (drawing.kind == Drawing::Kind::kRaster) return load_rgba(drawing.file);
  const std::string name = drawing.file.string();
  if (!drawing.document.empty()) return render_svg(drawing.document, kSvgSide, kSvgSide, name);
  return render_svg(read_file(drawing.file), kSvgSide, kSvgSide, name);
}

std::string drawing_identity(const Drawing& drawing) {
  return drawing.file.filename().string() + ' ' +
         (drawing.document.empty() ? std::to_string(fs::file_size(drawing.file)) : sha256_hex(drawing.document));
}

FolderContent folder_of(const std::vector<ImageTask>& tasks) {
  FolderContent content;
  content.folders = {"emoji", "stamps"};
  content.marker = kRetrievalMarker;
  // Raise the number whenever the same sources are drawn differently.
  std::string text = "pictures 1\n";
  for (const ImageTask& task : tasks) {
    content.names.push_back(task.name);
    text += task.name + ' ' + std::to_string(task.side) + ' ' + std::to_string(task.bottleneck) + ' ' +
            drawing_identity(task.drawing) + '\n';
  }
  content.fingerprint = sha256_hex(text);
  return content;
}

std::string draw_png(const ImageTask& task) {
  return encode_png(flatten(load_drawing(task.drawing), task.side, task.bottleneck, task.name));
}

}  // namespace vicha::demo

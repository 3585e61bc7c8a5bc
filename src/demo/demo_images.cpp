#include "demo/demo_images.h"

#include <array>
#include <fstream>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/threads.h"
#include "demo/demo_sprites.h"
#include "image/decode.h"

namespace vicha::demo {
namespace {

constexpr int kSvgSide = 128;
/// The folders of images/ that belong to the set: all that is in them is either an image of it or removed.
constexpr std::array<const char*, 2> kFolders = {"emoji", "stamps"};

Image load(const Drawing& drawing) {
  if (drawing.kind == Drawing::Kind::kRaster) return load_rgba(drawing.file);
  const std::string name = drawing.file.string();
  if (!drawing.document.empty()) return render_svg(drawing.document, kSvgSide, kSvgSide, name);
  return render_svg(read_file(drawing.file), kSvgSide, kSvgSide, name);
}

std::string fingerprint_of(const std::vector<ImageTask>& tasks) {
  // Raise the number whenever the same sources are drawn differently.
  std::string text = "pictures 1\n";
  for (const ImageTask& task : tasks) {
    const std::string& document = task.drawing.document;
    const std::string source =
        document.empty() ? std::to_string(fs::file_size(task.drawing.file)) : sha256_hex(document);
    text += task.name + ' ' + std::to_string(task.side) + ' ' + std::to_string(task.bottleneck) + ' ' +
            task.drawing.file.filename().string() + ' ' + source + '\n';
  }
  return sha256_hex(text);
}

constexpr std::string_view kPngEnd{"\0\0\0\0IEND\xae\x42\x60\x82", 12};

/// Whether a finished image is there. Images get their names when they are complete, but as thousands of small
/// files they are not synced one by one: after a power failure a name may stand for an empty or a short file.
bool is_finished(const fs::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file || file.tellg() < static_cast<std::streamoff>(kPngEnd.size())) return false;
  std::array<char, kPngEnd.size()> end{};
  file.seekg(-static_cast<std::streamoff>(end.size()), std::ios::end);
  file.read(end.data(), end.size());
  return file && std::string_view(end.data(), end.size()) == kPngEnd;
}

/// Writes beside `path` and renames.
void write_image(const fs::path& path, std::string_view png) {
  const fs::path part = path.string() + ".part";
  std::ofstream file(part, std::ios::binary);
  file.write(png.data(), static_cast<std::streamsize>(png.size()));
  file.close();
  std::error_code failed;
  if (file) {
    fs::rename(part, path, failed);
    if (!failed) return;
  }
  std::error_code ignored;
  fs::remove(part, ignored);
  throw Error(path.string() + ": the picture cannot be written. Free space or make the folder writable, and repeat: " +
              "finished pictures are kept");
}

}  // namespace

ImageFolder::ImageFolder(fs::path folder, std::vector<ImageTask> tasks)
    : folder_(std::move(folder)), tasks_(std::move(tasks)), fingerprint_(fingerprint_of(tasks_) + "\n") {}

bool ImageFolder::is_current() const {
  go_on_with(marker());
  return fs::exists(marker()) && read_file(marker()) == fingerprint_;
}

void ImageFolder::start_anew() {
  fs::remove(marker());
  for (const char* name : kFolders) fs::remove_all(folder_ / name);
  fs::create_directories(folder_);
  write_file_atomic(marker(), fingerprint_);
}

void ImageFolder::remove_strays() {
  std::set<std::string> names;
  for (const ImageTask& task : tasks_) names.insert(task.name);
  std::vector<fs::path> strays;
  for (const char* name : kFolders) {
    if (!fs::exists(folder_ / name)) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder_ / name)) {
      const std::string found = entry.path().lexically_relative(folder_).generic_string();
      if (!entry.is_directory() && !names.contains(found)) strays.push_back(entry.path());
    }
  }
  for (const fs::path& stray : strays) fs::remove(stray);
}

ImageFolder::Result ImageFolder::fill(int threads) {
  if (!is_current()) start_anew();
  remove_strays();
  for (const ImageTask& task : tasks_) fs::create_directories((folder_ / task.name).parent_path());
  std::vector<const ImageTask*> missing;
  for (const ImageTask& task : tasks_) {
    if (!is_finished(folder_ / task.name)) missing.push_back(&task);
  }
  const auto kept = static_cast<std::int64_t>(tasks_.size() - missing.size());
  if (!missing.empty()) log::info("drawing {} pictures into {} ({} are there)", missing.size(), folder_.string(), kept);
  for_each_index(missing.size(), threads, [&](std::size_t i) {
    const ImageTask& task = *missing[i];
    const Image image = flatten(load(task.drawing), task.side, task.bottleneck, task.name);
    write_image(folder_ / task.name, encode_png(image));
  });
  return {static_cast<std::int64_t>(missing.size()), kept};
}

}  // namespace vicha::demo

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/threads.h"
#include "demo/demo_sources.h"
#include "demo/demo_sprites.h"
#include "demo/words.h"
#include "image/decode.h"
#include "text/cleaning/label.h"

namespace vicha::demo {
namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

struct StampFile {
  std::string folder, name;  // as sort keys: folders of one parent stay in the order of their names
  std::string relative;      // without extension, "/" between the parts
  fs::path path;
};

std::vector<StampFile> list_images(const fs::path& root) {
  std::vector<StampFile> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
    const fs::path& path = entry.path();
    const std::string name = path.filename().string();
    if (path.extension() != ".png" || contains(name, "_mirror") || contains(name, "_flip")) continue;
    fs::path relative = path.lexically_relative(root);
    std::string folder = relative.parent_path().generic_string();
    files.push_back({std::move(folder), name, relative.replace_extension().generic_string(), path});
  }
  std::sort(files.begin(), files.end(), [](const StampFile& a, const StampFile& b) {
    return std::tie(a.folder, a.name) < std::tie(b.folder, b.name);
  });
  return files;
}

/// The first line, which is in English; the others are translations.
std::string read_caption(const fs::path& path) {
  const std::string text = read_file(path);
  const std::string_view line = std::string_view(text).substr(0, text.find_first_of("\r\n"));
  if (!cleaning::is_utf8(line)) throw DataError(path.string(), "the caption in line 1 is not UTF-8", kSourcesRemedy);
  return cleaning::clean(line);
}

/// "01_tree-frog2" → "tree frog".
std::string spoken(std::string_view file_name) {
  std::string text;
  for (const char c : file_name) text += (c >= '0' && c <= '9') || c == '_' || c == '-' ? ' ' : c;
  return cleaning::lower(cleaning::clean(text));
}

std::vector<std::string> tags_of(const std::string& relative) {
  std::vector<std::string> tags;
  std::string_view rest = relative;
  for (auto slash = rest.find('/'); slash != std::string_view::npos; slash = rest.find('/')) {
    const std::string_view folder = rest.substr(0, slash);
    if (folder != "cartoon" && folder != "toys") tags.emplace_back(folder);
    rest.remove_prefix(slash + 1);
  }
  tags.push_back(spoken(rest));
  return tags;
}

bool is_photo(const std::string& relative, const Image& cut_out) {
  static constexpr std::array<std::string_view, 4> kDrawn = {"cartoon", "seasonal/easter", "flags", "plastic"};
  constexpr int kSide = 160, kColours = 1500;
  if (std::any_of(kDrawn.begin(), kDrawn.end(), [&](std::string_view part) { return contains(relative, part); })) {
    return false;
  }
  return count_colours(thumbnail(cut_out, kSide)) >= kColours;
}

StampSplit stamp_split(const std::string& caption) {
  const double drawn = draw("stamp" + caption);
  if (drawn < .2) return StampSplit::kTest;
  return drawn < .3 ? StampSplit::kVal : StampSplit::kTrain;
}

/// Nothing for a stamp that is left out.
std::optional<Stamp> read_stamp(const StampFile& file) {
  constexpr int kLeastSide = 40;
  const fs::path text = fs::path(file.path).replace_extension(".txt");
  if (file.relative.starts_with("symbols") || !fs::exists(text)) return std::nullopt;
  Stamp stamp;
  stamp.caption = read_caption(text);
  if (stamp.caption.empty()) return std::nullopt;
  const Image cut_out = trim(load_rgba(file.path));
  if (std::max(cut_out.width, cut_out.height) < kLeastSide) return std::nullopt;
  stamp.name = file.relative;
  stamp.tags = tags_of(file.relative);
  stamp.photo = is_photo(file.relative, cut_out);
  stamp.split = stamp_split(stamp.caption);
  stamp.drawing = {Drawing::Kind::kRaster, file.path, ""};
  return stamp;
}

}  // namespace

std::vector<Stamp> read_stamps(const fs::path& sources, int threads) {
  const fs::path root = sources / "tux" / "usr" / "share" / "tuxpaint" / "stamps";
  const std::vector<StampFile> files = list_images(root);
  std::vector<std::optional<Stamp>> read(files.size());
  for_each_index(files.size(), threads, [&](std::size_t i) { read[i] = read_stamp(files[i]); });
  std::vector<Stamp> stamps;
  for (auto& stamp : read) {
    if (stamp) stamps.push_back(std::move(*stamp));
  }
  if (stamps.empty()) throw DataError(root.string(), "no stamp with a caption is in it", kSourcesRemedy);
  return stamps;
}

}  // namespace vicha::demo

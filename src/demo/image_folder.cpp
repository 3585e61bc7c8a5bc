#include "demo/image_folder.h"

#include <fstream>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/threads.h"

namespace vicha::demo {
namespace {

constexpr std::string_view kPngEnd{"\0\0\0\0IEND\xae\x42\x60\x82", 12};
constexpr std::string_view kJpegEnd{"\xff\xd9", 2};

/// Whether a finished picture is there. Pictures get their names when they are complete, but as thousands of small
/// files they are not synced one by one: after a power failure a name may stand for an empty or a short file.
bool is_finished(const fs::path& path) {
  const std::string_view wanted = path.extension() == ".png" ? kPngEnd : kJpegEnd;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file || file.tellg() < static_cast<std::streamoff>(wanted.size())) return false;
  std::string end(wanted.size(), '\0');
  file.seekg(-static_cast<std::streamoff>(end.size()), std::ios::end);
  file.read(end.data(), static_cast<std::streamsize>(end.size()));
  return file && end == wanted;
}

/// Writes beside `path` and renames.
void write_picture(const fs::path& path, std::string_view bytes) {
  const fs::path part = path.string() + ".part";
  std::ofstream file(part, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
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

ImageFolder::ImageFolder(fs::path folder, FolderContent content)
    : folder_(std::move(folder)), content_(std::move(content)) {}

bool ImageFolder::is_current() const {
  go_on_with(marker());
  return fs::exists(marker()) && read_file(marker()) == content_.fingerprint + "\n";
}

void ImageFolder::start_anew() {
  fs::remove(marker());
  for (const std::string& name : content_.folders) fs::remove_all(folder_ / name);
  fs::create_directories(folder_);
  write_file_atomic(marker(), content_.fingerprint + "\n");
}

void ImageFolder::remove_strays() {
  const std::set<std::string_view> names(content_.names.begin(), content_.names.end());
  std::vector<fs::path> strays;
  for (const std::string& name : content_.folders) {
    if (!fs::exists(folder_ / name)) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder_ / name)) {
      const std::string found = entry.path().lexically_relative(folder_).generic_string();
      if (!entry.is_directory() && !names.contains(found)) strays.push_back(entry.path());
    }
  }
  for (const fs::path& stray : strays) fs::remove(stray);
}

ImageFolder::Result ImageFolder::fill(int threads, const std::function<std::string(std::size_t)>& encode) {
  if (!is_current()) start_anew();
  remove_strays();
  std::set<fs::path> parents;
  for (const std::string& name : content_.names) parents.insert((folder_ / name).parent_path());
  for (const fs::path& parent : parents) fs::create_directories(parent);
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < content_.names.size(); ++i) {
    if (!is_finished(folder_ / content_.names[i])) missing.push_back(i);
  }
  const auto kept = static_cast<std::int64_t>(content_.names.size() - missing.size());
  if (!missing.empty()) log::info("drawing {} pictures into {} ({} are there)", missing.size(), folder_.string(), kept);
  for_each_index(missing.size(), threads,
                 [&](std::size_t i) { write_picture(folder_ / content_.names[missing[i]], encode(missing[i])); });
  return {static_cast<std::int64_t>(missing.size()), kept};
}

}  // namespace vicha::demo

#include "demo/demo_sources.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "base/files.h"

namespace vicha::demo {

void require_sources(const fs::path& sources) {
  if (!fs::is_directory(sources)) throw DataError(sources.string(), "there is no such folder", kSourcesRemedy);
  static constexpr std::array<const char*, 10> kNeeded = {
      "google/emoji.json",      "google/img/google/64",         "twitter/img/twitter/64", "fluent/assets",
      "emojibase/en/data.json", "emojibase/en/messages.json",   "openmoji/color/svg",     "emojione/icons.json",
      "noto-v1/icons.json",     "tux/usr/share/tuxpaint/stamps"};
  for (const char* name : kNeeded) {
    if (!fs::exists(sources / name)) {
      throw DataError((sources / name).string(), "this part of the demonstration's sources is missing", kSourcesRemedy);
    }
  }
}

void with_json(const fs::path& path, const std::function<void(const nlohmann::json&)>& read) {
  try {
    read(nlohmann::json::parse(read_file(path)));
  } catch (const nlohmann::json::exception& problem) {
    throw DataError(path.string(), std::string("not what the package should hold (") + problem.what() + ")",
                    kSourcesRemedy);
  }
}

}  // namespace vicha::demo

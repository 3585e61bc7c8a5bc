#include "demo/scenes/scenes.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/sha256.h"
#include "demo/building.h"
#include "demo/demo_images.h"
#include "demo/demo_sources.h"
#include "demo/image_folder.h"
#include "demo/scenes/cast.h"
#include "demo/scenes/manifests.h"
#include "demo/scenes/scene.h"
#include "demo/scenes/tasks.h"
#include "image/decode.h"

namespace vicha {
namespace {

using demo::ScenePicture;

void require_counts(const std::array<std::int64_t, 3>& counts) {
  constexpr std::int64_t kMost = 99'996;  // five digits in the names of pictures
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] >= demo::kSceneCycle && counts[i] <= kMost && counts[i] % demo::kSceneCycle == 0) continue;
    const std::int64_t nearest =
        std::clamp(counts[i], demo::kSceneCycle, kMost) / demo::kSceneCycle * demo::kSceneCycle;
    throw UsageError(fmt::format(
        "--scenes-count: {} records of {} cannot be. Give multiples of {} from {} to {}, so that each form has each "
        "label equally often: {}",
        counts[i], demo::kSceneSplits[i], demo::kSceneCycle, demo::kSceneCycle, kMost, nearest));
  }
}

/// The pictures of all splits, in the order of `scenes`.
demo::FolderContent folder_of_scenes(const demo::SceneCast& cast, const std::vector<const ScenePicture*>& pictures) {
  demo::FolderContent content;
  content.folders = {"scenes"};
  content.marker = demo::kScenesMarker;
  // Raise the number whenever the same scenes are drawn differently.
  std::string text = "scenes 1\n";
  for (const demo::Drawing& drawing : cast.drawings) text += demo::drawing_identity(drawing) + '\n';
  for (const ScenePicture* picture : pictures) {
    const demo::Scene& scene = picture->scene;
    content.names.push_back(picture->name);
    text += fmt::format("{} {} {}", picture->name, scene.top, scene.bottom);
    for (const demo::SceneObject& object : scene.objects) {
      text += fmt::format(" {}:{},{}:{}{}", object.drawing, object.box.x, object.box.y,
                          object.large ? "large" : "small", object.hidden ? ":hidden" : "");
    }
    text += '\n';
  }
  content.fingerprint = sha256_hex(text);
  return content;
}

SceneReport report_of(const demo::SceneCast& cast, const demo::SceneFiles& files) {
  SceneReport report;
  report.records = files.records;
  for (const demo::TaskFigures& task : files.figures) {
    report.figures.push_back({task.task, std::max(task.blind, task.chance), task.chance});
  }
  report.concepts = static_cast<std::int64_t>(cast.concepts.size());
  report.concepts_with_photo =
      std::count_if(cast.concepts.begin(), cast.concepts.end(), [](const auto& one) { return one.has_photo; });
  return report;
}

SceneReport build_scene_set(const SceneOptions& options) {
  const int threads = demo::threads_of(options.threads);
  require_counts(options.counts);
  demo::require_no_other_set(options.out, demo::kRetrievalMarker, "retrieval set");
  demo::require_sources(options.sources);
  fs::create_directories(options.out / "images");  // before the work, so that it is not in vain
  log::info("reading the packages in {}", options.sources.string());
  const demo::SceneCast cast =
      demo::choose_cast(demo::read_emoji(options.sources), demo::read_stamps(options.sources, threads));
  demo::require_full_cast(cast, options.sources.string());
  const std::vector<demo::Sprite> sprites = demo::load_sprites(cast.drawings, threads);

  std::vector<demo::SceneSplit> splits;
  for (std::size_t i = 0; i < options.counts.size(); ++i) {
    const demo::Stage stage(cast, sprites, i > 0);
    splits.push_back(demo::plan_split(stage, demo::kSceneSplits[i], i, options.counts[i], options.seed));
  }
  const demo::SceneFiles files = demo::scene_files(cast, splits, options.kwords, options.seed);

  std::vector<const ScenePicture*> pictures;
  for (const demo::SceneSplit& split : splits) {
    for (const ScenePicture& picture : split.pictures) pictures.push_back(&picture);
  }
  demo::ImageFolder images(options.out / "images", folder_of_scenes(cast, pictures));
  if (!images.is_current()) {  // manifests must not stand beside pictures that are being replaced
    for (const std::string& name : demo::scene_file_names()) fs::remove(options.out / name);
  }
  const auto [drawn, kept] =
      images.fill(threads, [&](std::size_t i) { return encode_jpeg(demo::paint(pictures[i]->scene, sprites)); });
  for (const auto& [name, text] : files.texts) write_file_atomic(options.out / name, text);

  SceneReport report = report_of(cast, files);
  report.pictures_drawn = drawn;
  report.pictures_kept = kept;
  return report;
}

}  // namespace

SceneReport build_scenes(const SceneOptions& options) {
  return demo::with_paths_named([&] { return build_scene_set(options); });
}

}  // namespace vicha

#include "demo/demo.h"

#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "demo/building.h"
#include "demo/demo_images.h"
#include "demo/demo_manifests.h"
#include "demo/demo_sources.h"

namespace vicha {
namespace {

constexpr const char* kVocabulary = "vocab.txt";
constexpr const char* kStats = "stats.json";

/// Manifests must not stand beside images that are being replaced.
void remove_manifests(const fs::path& out, const demo::DemoSet& set) {
  for (const auto& [name, records] : set.manifests) fs::remove(out / name);
  for (const char* name : {kVocabulary, kStats}) fs::remove(out / name);
}

void write_manifests(const fs::path& out, const demo::DemoSet& set) {
  for (const auto& [name, records] : set.manifests) write_file_atomic(out / name, demo::manifest_text(records));
  std::string vocabulary;
  for (const std::string& tag : set.vocabulary) vocabulary += tag + "\n";
  write_file_atomic(out / kVocabulary, vocabulary);
  write_file_atomic(out / kStats, set.stats.dump(1) + "\n");
}

BuildReport build_set(const DemoOptions& options) {
  const int threads = demo::threads_of(options.threads);
  demo::require_no_other_set(options.out, demo::kScenesMarker, "scene set");
  demo::require_sources(options.sources);
  log::info("reading the packages in {}", options.sources.string());
  demo::DemoSet set =
      demo::arrange(demo::read_emoji(options.sources), demo::read_stamps(options.sources, threads), options.kwords);

  demo::ImageFolder images(options.out / "images", demo::folder_of(set.images));
  if (!images.is_current()) remove_manifests(options.out, set);
  const auto [drawn, kept] = images.fill(threads, [&](std::size_t i) { return demo::draw_png(set.images[i]); });
  write_manifests(options.out, set);

  set.report.images_drawn = drawn;
  set.report.images_kept = kept;
  return set.report;
}

}  // namespace

DemoKwords demo_kwords_from_name(std::string_view name) {
  if (name == "none") return DemoKwords::kNone;
  if (name == "oracle") return DemoKwords::kOracle;
  throw UsageError("--kwords " + std::string(name) + ": there is no such choice. Use none or oracle");
}

BuildReport build_demo(const DemoOptions& options) {
  return demo::with_paths_named([&] { return build_set(options); });
}

}  // namespace vicha

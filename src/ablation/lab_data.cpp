#include "ablation/lab_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/sha256.h"
#include "data/tools/subset.h"
#include "tasks/concepts/concept_build.h"
#include "tasks/concepts/concept_sources.h"

namespace vicha {
namespace {

/// Makes `file` unless FILE.made says that it was made of just this.
void make_once(const fs::path& file, const std::string& of, const std::function<void()>& make) {
  fs::path stamp = file;
  stamp += ".made";
  if (fs::exists(stamp)) {
    go_on_with(stamp);
    if (read_file(stamp) == of && fs::exists(file)) return;
    fs::remove(stamp);
  }
  make();
  write_file_atomic(stamp, of);
}

std::string root_of(const DataOptions& data) {
  if (!data.image_root.empty()) return data.image_root;
  const fs::path first = fs::path(data.manifests.front()).parent_path();
  for (const std::string& manifest : data.manifests) {
    if (fs::path(manifest).parent_path() != first) {
      throw UsageError(
          "data.image_root is empty, and the manifests lie in several folders: a lab that makes manifests "
          "of them needs one folder of pictures");
    }
  }
  return first.empty() ? "." : first.string();
}

/// A share as part of a file's name: "1/4" -> "1of4".
std::string share_name(std::string share) {
  for (std::size_t at = share.find('/'); at != std::string::npos; at = share.find('/')) share.replace(at, 1, "of");
  std::ranges::replace(share, '%', 'p');
  std::ranges::replace(share, ' ', '_');
  return share;
}

}  // namespace

void require_concept_source(const LabConcepts& concepts) {
  const std::optional<std::string> store = store_of_source(concepts.source);
  if (!store) {
    open_concept_source(concepts.source, {.image_tower = concepts.image_tower});
    return;
  }
  std::error_code failed;
  if (fs::exists(*store, failed) || !concepts.image_tower.empty()) return;
  throw DataError(*store, fmt::format("is not there ({})", concepts.source),
                  "Make it (vicha embed), or name the tower that makes it: concepts.image_tower");
}

void make_lab_data(const Lab& lab, const LabData& data, const fs::path& folder, TaskRecipe& recipe) {
  if (!data.is_made()) return;
  if (recipe.data.manifests.empty()) throw UsageError("data.manifests is empty: there is nothing to learn from");
  const std::string root = root_of(recipe.data);
  const bool strips = !recipe.data.image_root.empty();
  fs::create_directories(folder);
  std::vector<std::string> made;
  for (std::size_t i = 0; i < recipe.data.manifests.size(); ++i) {
    fs::path manifest = recipe.data.manifests[i];
    std::string name = manifest.stem().string();
    if (recipe.data.manifests.size() > 1) name = fmt::format("{}-{}", i + 1, name);
    std::string of = sha256_hex(read_file(manifest, std::uint64_t{1} << 34));
    if (!data.share.empty()) {
      name += fmt::format("-share{}-seed{}", share_name(data.share), data.seed);
      of += fmt::format("\nshare {} seed {}", data.share, data.seed);
      const fs::path part = folder / (name + ".json");
      make_once(part, of, [&] {
        const SubsetReport report = take_subset(manifest, part,
                                                {.share = Share::parse(data.share, "share"),
                                                 .random = true,
                                                 .seed = static_cast<std::uint64_t>(data.seed)});
        log::info("{} of {} pairs: {}", report.kept, report.records, part.string());
      });
      manifest = part;
    }
    if (data.k > 0) {
      name += fmt::format("-k{}.concepts", data.k);
      of += fmt::format("\nk {} source {} tower {} group {} root {}", data.k, lab.concepts.source,
                        lab.concepts.image_tower, lab.concepts.leave_out_group, root);
      ConceptBuild build;
      build.captions = manifest;
      build.images = root;
      build.strip_parts = strips ? recipe.data.strip_parts : 0;
      build.out = folder / (name + ".json");
      build.source = lab.concepts.source;
      build.source_options.image_tower = lab.concepts.image_tower;
      build.assign.k = data.k;
      build.neighbours.group = lab.concepts.leave_out_group;
      make_once(build.out, of, [&] { build_concepts(build); });
      manifest = build.out;
    }
    made.push_back(manifest.string());
  }
  recipe.data.manifests = std::move(made);
  recipe.data.image_root = root;
  if (!strips) recipe.data.strip_parts = 0;
}

}  // namespace vicha

#include "tasks/pretrain/region_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "concepts/embed/embed.h"
#include "concepts/kit/vocabulary_embeddings.h"
#include "concepts/match/assign.h"
#include "tasks/concepts/concept_sources.h"

namespace vicha {
namespace {

fs::path folder_of(const fs::path& manifest) {
  return manifest.parent_path().empty() ? fs::path(".") : manifest.parent_path();
}

/// Where the pictures' names start once the manifests lie in another folder.
std::string common_root(const DataOptions& data) {
  if (!data.image_root.empty()) return data.image_root;
  const fs::path folder = folder_of(data.manifests.front());
  for (const std::string& manifest : data.manifests) {
    if (folder_of(manifest) != folder) {
      throw UsageError(fmt::format(
          "data.regions.source: the run writes its manifests anew, and the names of their pictures start in several "
          "folders ({}, {}); give manifests of one folder, or the folder of the pictures (data.image_root)",
          folder.string(), folder_of(manifest).string()));
    }
  }
  return folder.string();
}

}  // namespace

void make_region_data(DataOptions& data, const ModelOptions& model, const fs::path& out, const std::string& device,
                      const Group& group) {
  RegionDataOptions& regions = data.regions;
  if (regions.source.empty() || !regions.store.empty()) return;
  if (regions.vocabulary.empty()) {
    throw UsageError(
        fmt::format("data.regions.source = {} tags regions by the words of a vocabulary; name its file in "
                    "data.regions.vocabulary (`vicha concepts vocab` makes one of captions)",
                    regions.source));
  }
  const fs::path store = out / "regions.emb";
  const std::string root = common_root(data);
  std::vector<std::string> tagged;
  for (std::size_t i = 0; i < data.manifests.size(); ++i) {
    tagged.push_back((out / fmt::format("regions-{}.json", i)).string());
  }
  if (group.is_writer()) {
    const auto source = open_concept_source(regions.source, {.device = device});
    ConceptKit kit = embed_vocabulary(*source, ConceptVocabulary::load(regions.vocabulary), {},
                                      out / "region-vocabulary.safetensors");
    kit.provenance.source = regions.source;
    kit.provenance.vocabulary = regions.vocabulary;
    kit.provenance.embeddings = out / "region-vocabulary.safetensors";
    EmbedOptions embed;
    embed.regions = regions.side > 0 ? regions.side : std::max(model.regions.rows, model.regions.columns);
    embed.max_bad_share = data.max_bad_share;
    const ImageList list = list_images({data.manifests.begin(), data.manifests.end()},
                                       {.image_root = data.image_root, .strip_parts = data.strip_parts});
    const EmbedReport report = embed_images(*source, list, store, embed);
    log::info("regions of {} pictures embedded, {} of them before: {}", report.embedded + report.known, report.known,
              store.string());
    AssignOptions assign;
    assign.regions = TagOptions{.threshold = regions.tag_threshold, .num_tags = regions.num_tags};
    assign.max_missing_share = data.max_bad_share;
    assign.share_option = "data.max_bad_share";
    for (std::size_t i = 0; i < tagged.size(); ++i) {
      const AssignReport assigned = assign_concepts(data.manifests[i], {store}, kit, tagged[i], assign);
      log::info("tags of {} pictures, {} without any: {}", assigned.images, assigned.without_words, tagged[i]);
    }
  }
  group.barrier();
  data.image_root = root;
  data.manifests = std::move(tagged);
  regions.store = store.string();
}

}  // namespace vicha

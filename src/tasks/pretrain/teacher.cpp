#include "tasks/pretrain/teacher.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/progress.h"
#include "concepts/embed/captions.h"
#include "concepts/embed/embed.h"
#include "nn/norm.h"
#include "tasks/concepts/concept_sources.h"
#include "tasks/host/stored_pictures.h"
#include "tasks/pretrain/stored_vectors.h"

namespace vicha {
namespace {

constexpr std::size_t kTextsAtOnce = 256;

/// Opened when it is first asked for something.
class Teacher {
 public:
  Teacher(std::string spec, std::string device) : spec_(std::move(spec)), device_(std::move(device)) {}
  ConceptSource& source() {
    if (!source_) source_ = open_concept_source(spec_, {.device = device_});
    return *source_;
  }

 private:
  std::string spec_, device_;
  std::unique_ptr<ConceptSource> source_;
};

/// Appends the captions that the store does not have.
void embed_captions(ConceptSource& source, const DataOptions& data, const fs::path& file) {
  EmbeddingStoreWriter writer(file, source.weights(), {source.width(), 1, StoreType::kFloat16});
  const StringPool captions = distinct_captions({data.manifests.begin(), data.manifests.end()});
  std::vector<std::string> fresh;
  for (std::uint32_t i = 0; i < captions.size(); ++i) {
    if (!writer.content(caption_key(captions[i]))) fresh.emplace_back(captions[i]);
  }
  const at::NoGradGuard guard;
  Progress progress("embedding captions", "captions", static_cast<std::int64_t>(fresh.size()));
  for (std::size_t begin = 0; begin < fresh.size(); begin += kTextsAtOnce) {
    const std::span texts(fresh.data() + begin, std::min(kTextsAtOnce, fresh.size() - begin));
    std::vector<std::string> keys;
    for (const std::string& text : texts) keys.push_back(caption_key(text));
    writer.add(keys, std::vector<std::uint64_t>(keys.size(), 0), source.embed_texts(texts));
    progress.update(static_cast<std::int64_t>(begin + texts.size()));
  }
  writer.finish();
  if (!fresh.empty()) log::info("{}: the teacher's vectors of {} captions", file.string(), fresh.size());
}

/// A store's record of each caption as a batch knows it: by the id of the cleaned text. Captions that differ before the
/// cleaning alone are one; the first of them counts.
std::unordered_map<std::int64_t, std::int64_t> records_of_captions(const EmbeddingStore& store,
                                                                   const Manifest& manifest, const SampleText& text) {
  std::unordered_map<std::int64_t, std::int64_t> records;
  std::vector<std::string_view> without;
  for (std::int64_t i = 0; i < manifest.size(); ++i) {
    for (const std::string_view caption : manifest.captions(i)) {
      const std::optional<std::int64_t> record = store.find(caption_key(caption));
      if (record) {
        records.try_emplace(text_id(text.clean(caption)), *record);
      } else {
        without.push_back(caption);
      }
    }
  }
  if (!without.empty()) {
    report_missing(store, "captions", without.front(), without.size(),
                   "Leave teach.captions empty and give teach.source: the captions are embedded at the start then");
  }
  return records;
}

struct TeacherStores {
  std::optional<EmbeddingStore> pictures, captions;
  std::vector<std::int64_t> record_of_image;                         ///< by Manifest::image_number
  std::unordered_map<std::int64_t, std::int64_t> record_of_caption;  ///< by Batch::caption_ids

  void add_to(Batch& batch, const Manifest& manifest) const {
    TeacherFeatures& features = batch.add<TeacherFeatures>();
    std::vector<std::int64_t> records;
    if (pictures) {
      for (const std::int64_t record : batch.records) {
        records.push_back(record_of_image[static_cast<std::size_t>(manifest.image_number(record))]);
      }
      features.image = unit_rows(pictures->rows(records).select(1, 0));
    }
    if (captions) {
      records.clear();
      const std::int64_t* ids = batch.caption_ids.const_data_ptr<std::int64_t>();
      for (std::int64_t i = 0; i < batch.caption_ids.numel(); ++i) records.push_back(record_of_caption.at(ids[i]));
      features.text = unit_rows(captions->rows(records).select(1, 0));
    }
  }
};

}  // namespace

std::int64_t teacher_width(const TeachOptions& options, const std::string& device) {
  std::optional<EmbeddingStore> pictures, captions;
  if (options.image > 0 && !options.pictures.empty()) pictures = EmbeddingStore::open(options.pictures);
  if (options.text > 0 && !options.captions.empty()) captions = EmbeddingStore::open(options.captions);
  if (pictures && captions) {
    require_same(pictures->source(), options.pictures, captions->source(), options.captions);
  }
  if (pictures) return pictures->shape().width;
  return captions ? captions->shape().width : Teacher(options.source, device).source().width();
}

TargetMaker teacher_targets(const TeacherSetup& setup) {
  const TeachOptions& options = setup.options;
  const fs::path pictures = options.pictures.empty() ? setup.out / "teach-pictures.emb" : fs::path(options.pictures),
                 captions = options.captions.empty() ? setup.out / "teach-captions.emb" : fs::path(options.captions);
  const ImageList list = list_images({setup.data.manifests.begin(), setup.data.manifests.end()},
                                     {.image_root = setup.data.image_root, .strip_parts = setup.data.strip_parts});
  if (setup.group.is_writer()) {
    Teacher teacher(options.source, setup.device);
    if (options.image > 0 && options.pictures.empty()) {
      embed_images(teacher.source(), list, pictures, {.max_bad_share = setup.data.max_bad_share});
    }
    if (options.text > 0 && options.captions.empty()) embed_captions(teacher.source(), setup.data, captions);
  }
  setup.group.barrier();
  const auto stores = std::make_shared<TeacherStores>();
  if (options.image > 0) {
    stores->pictures = EmbeddingStore::open(pictures);
    stores->record_of_image = records_of_pictures(
        *stores->pictures, list, *setup.manifest,
        "`vicha concepts embed MANIFEST --source TEACHER --out` that store adds those of readable files; `vicha data "
        "prune` leaves the others out");
    // One that the teacher has just made has read the files itself.
    if (!options.pictures.empty() && !options.trust_names) {
      require_unchanged(*stores->pictures, list, {"teacher's vectors", "vicha concepts embed", "teach.trust_names"});
    }
  }
  if (options.text > 0) {
    stores->captions = EmbeddingStore::open(captions);
    stores->record_of_caption = records_of_captions(*stores->captions, *setup.manifest, setup.text);
  }
  if (stores->pictures && stores->captions) {
    require_same(stores->pictures->source(), pictures.string(), stores->captions->source(), captions.string());
  }
  for (const auto* store : {&stores->pictures, &stores->captions}) {
    if (*store && (*store)->shape().width != options.width) {
      throw DataError((*store)->path().string(),
                      fmt::format("holds vectors of {} numbers, the model was to be taught by such of {} (teach.width)",
                                  (*store)->shape().width, options.width),
                      "Set teach.width = 0, which takes what the teacher says, or give the other store");
    }
  }
  return [stores](Batch& batch, const Manifest& manifest, Rng&) { stores->add_to(batch, manifest); };
}

}  // namespace vicha

#include "tasks/pretrain/region_data.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unordered_set>

#include "base/error.h"
#include "base/files.h"
#include "base/printable.h"
#include "data/pipeline/collate.h"
#include "models/regions.h"
#include "nn/norm.h"
#include "objectives/ira.h"
#include "objectives/irta.h"
#include "objectives/masked_pass.h"
#include "objectives/mrm.h"
#include "objectives/mtm.h"
#include "tasks/host/stored_pictures.h"
#include "tasks/pretrain/stored_vectors.h"

namespace vicha {

RegionNeeds region_needs(const ObjectivesOptions& objectives, const ModelOptions& model) {
  const bool ira = objectives.get<IraOptions>().enabled, mtm = objectives.get<MtmOptions>().enabled,
             irta = objectives.get<IrtaOptions>().enabled;
  const auto& mrm = objectives.get<MrmOptions>();
  RegionNeeds needs;
  needs.tags = ira || mtm;
  needs.hidden = mrm.enabled || mtm;
  needs.features = mrm.enabled && mrm.target == MrmTarget::kFeature && model.regions.feature_width > 0;
  needs.tagged = ira;
  needs.crop_tags = model.regions.crops() && model.concepts.enabled && (model.fusion.joint() || irta || ira);
  needs.tags_too = !needs.tags && (needs.hidden || needs.crop_tags) && model.concepts.enabled;
  return needs;
}

Schema region_schema(const RegionNeeds& needs) {
  Schema schema;
  if (needs.tags || needs.tags_too) {
    schema.columns.push_back({.field = kRegionTagsField, .type = ColumnType::kTags, .required = needs.tags});
  }
  return schema;
}

TagVocabulary::TagVocabulary(std::vector<std::string> words) : words_(std::move(words)) {
  for (const std::string& word : words_) number_.emplace(word, static_cast<std::int64_t>(number_.size()));
  VICHA_ASSERT(number_.size() == words_.size());
}

TagVocabulary TagVocabulary::of(const Manifest& manifest) {
  const auto& column = manifest.column<TagsColumn>(kRegionTagsField);
  std::vector<std::int64_t> counts(static_cast<std::size_t>(column.tag_count()), 0);
  for (std::int64_t i = 0; i < manifest.size(); ++i) {
    if (!column.has(i)) continue;
    for (const std::int64_t tag : column[i]) {
      if (tag >= 0) ++counts[static_cast<std::size_t>(tag)];
    }
  }
  std::vector<std::int64_t> order(counts.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::ranges::sort(order, [&](std::int64_t a, std::int64_t b) {
    const auto of_a = counts[static_cast<std::size_t>(a)], of_b = counts[static_cast<std::size_t>(b)];
    return of_a != of_b ? of_a > of_b : column.tag(a) < column.tag(b);
  });
  std::vector<std::string> words;
  for (const std::int64_t tag : order) words.emplace_back(column.tag(tag));
  return TagVocabulary(std::move(words));
}

std::optional<TagVocabulary> TagVocabulary::of_checkpoint(const fs::path& checkpoint) {
  const fs::path file = checkpoint / kRegionTagsFile;
  std::error_code none;
  if (!fs::exists(file, none)) return std::nullopt;
  const auto json = nlohmann::json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
  std::vector<std::string> words;
  std::unordered_set<std::string> distinct;
  const auto list = json.is_object() ? json.find("tags") : json.end();
  bool fine = json.is_object() && list != json.end() && list->is_array();
  for (std::size_t i = 0; fine && i < list->size(); ++i) {
    fine = (*list)[i].is_string() && distinct.insert((*list)[i].get<std::string>()).second;
    if (fine) words.push_back((*list)[i].get<std::string>());
  }
  if (!fine) {
    throw DataError(file.string(), "holds no list of distinct tags", "Restore it from a copy of the checkpoint");
  }
  return TagVocabulary(std::move(words));
}

std::int64_t TagVocabulary::find(std::string_view word) const {
  const auto found = number_.find(std::string(word));
  return found == number_.end() ? -1 : found->second;
}

void TagVocabulary::require_of(const fs::path& checkpoint, const std::string& where) const {
  const auto kept = of_checkpoint(checkpoint);
  if (kept) require_same_tags(*kept, (checkpoint / kRegionTagsFile).string(), *this, where);
}

std::string TagVocabulary::json() const {
  return nlohmann::ordered_json{{"tags", words_}}.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void require_same_tags(const TagVocabulary& before, const std::string& where_before, const TagVocabulary& now,
                       const std::string& where_now) {
  std::int64_t same = 0;
  while (same < std::min(before.size(), now.size()) && before.word(same) == now.word(same)) ++same;
  if (same == before.size() && same == now.size()) return;
  const auto at = [&](const TagVocabulary& tags) {
    return same < tags.size() ? fmt::format("\"{}\"", printable(tags.word(same))) : std::string("no more");
  };
  throw DataError(
      where_now,
      fmt::format("has other tags of regions than {}: {} and {} of them, the first that differs, number "
                  "{}, is {} here and {} there",
                  where_before, now.size(), before.size(), same, at(now), at(before)),
      "Give the manifests that the model began with. A new run that starts from the model (init.checkpoint) "
      "may leave masked tag modelling out: mtm.enabled = false");
}

std::vector<std::int64_t> tags_seen(const std::vector<float>& shares, const std::vector<std::int64_t>& stored) {
  const std::size_t cells = stored.size(), regions = shares.size() / cells;
  std::vector<std::int64_t> tags(regions, -1);
  for (std::size_t r = 0; r < regions; ++r) {
    const auto begin = shares.begin() + static_cast<std::ptrdiff_t>(r * cells);
    const auto end = begin + static_cast<std::ptrdiff_t>(cells);
    if (std::accumulate(begin, end, 0.0F) < 0.5F) continue;
    // Of cells that share a region equally, but for rounding, the first.
    const float most = *std::max_element(begin, end);
    const auto first = std::find_if(begin, end, [&](float share) { return share > most - 1e-6F; });
    tags[r] = stored[static_cast<std::size_t>(first - begin)];
  }
  return tags;
}

at::Tensor features_seen(const std::vector<float>& shares, const at::Tensor& stored_SF) {
  const at::Tensor weights = at::tensor(shares).view({-1, stored_SF.size(0)});
  return unit_rows(at::mm(weights, unit_rows(stored_SF)));
}

std::int64_t grid_side(std::size_t cells, const std::string& where) {
  const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(cells))));
  if (side < 1 || static_cast<std::size_t>(side * side) != cells) {
    throw DataError(
        where, fmt::format("field \"{}\" has {} entries: no grid of as many rows as columns", kRegionTagsField, cells),
        "Write a tag or null for each cell, row by row, as `vicha concepts assign --regions` does");
  }
  return side;
}

std::vector<SeenPart> seen_by_views(const std::string& view_list) {
  std::vector<SeenPart> views;
  for (std::size_t begin = 0; begin < view_list.size();) {
    const std::size_t end = std::min(view_list.find("; ", begin), view_list.size());
    std::string_view view = std::string_view(view_list).substr(begin, end - begin);
    begin = end + 2;
    SeenPart seen;
    const bool flipped = view.ends_with("flipped");
    if (view.starts_with("part ")) {
      double numbers[4] = {};  // top, left, height, width
      const char* from = view.data() + 5;
      for (double& number : numbers) {
        const auto [past, error] = std::from_chars(from, view.data() + view.size(), number);
        if (error != std::errc()) return {};
        from = past + 1;
      }
      seen = {{numbers[3], 0, numbers[1], 0, numbers[2], numbers[0]}};
    } else if (view != "whole" && view != "flipped") {
      return {};
    }
    views.push_back(flipped ? seen.after({{-1, 0, 1, 0, 1, 0}}) : seen);
  }
  if (view_list.empty()) views.emplace_back();
  return views;
}

namespace {

class RegionTargetMaker {
 public:
  explicit RegionTargetMaker(const RegionSetup& setup)
      : setup_(setup), grid_{setup.model.regions.rows, setup.model.regions.columns} {
    if (setup.needs.features) open_store();
    if (setup.needs.tags || setup.needs.tags_too) {
      column_ = &setup.manifest->column<TagsColumn>(kRegionTagsField);
      for (std::int64_t i = 0; i < column_->tag_count(); ++i) number_of_.push_back(setup.tags->find(column_->tag(i)));
      for (std::int64_t i = 0; i < setup.manifest->size(); ++i) {
        if (column_->has(i)) grid_side((*column_)[i].size(), setup.manifest->where(i));
      }
    }
    if (setup.needs.tagged || setup.needs.crop_tags) {
      for (std::int64_t tag = 0; setup.tags && tag < setup.tags->size(); ++tag) {
        const std::string_view word = setup.tags->word(tag);
        tokens_of_tag_.push_back(setup.text->encode_concepts({&word, 1}));
      }
      no_tag_ = setup.text->encode_concepts({});
    }
    if (setup.needs.hidden) touching_ = region_patches(setup.model);
  }

  void add_to(Batch& batch, Rng& rng) const {
    const auto& shown = batch.get<ShownParts>();
    const auto count = static_cast<std::int64_t>(batch.records.size());
    RegionTargets targets;
    targets.tags = at::full({count, grid_.cells()}, -1, at::kLong);
    if (store_) targets.features = at::zeros({count, grid_.cells(), store_->shape().width});
    for (std::int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const SeenPart& seen =
          setup_.views.empty() ? shown.seen[at] : setup_.views[static_cast<std::size_t>(shown.view[at])];
      const std::int64_t record = batch.records[at];
      if (column_ != nullptr && column_->has(record)) targets.tags[i].copy_(at::tensor(tags_of(record, seen)));
      if (store_) targets.features[i].copy_(features_of(record, seen));
    }
    if (setup_.needs.crop_tags) add_crop_tags(targets);
    if (setup_.needs.tagged) add_tagged(batch, targets.tags);
    if (setup_.needs.hidden) add_hidden(batch, targets.tags, rng);
    batch.add(std::move(targets));
  }

 private:
  void open_store() {
    if (setup_.data.regions.store.empty()) {
      throw UsageError(
          "model.regions.feature_width says that mrm tells features of a concept source, and none are named; give "
          "data.regions.store or data.regions.source, or set model.regions.feature_width = 0");
    }
    store_ = EmbeddingStore::open(setup_.data.regions.store);
    side_ = region_side(store_->shape().vectors, store_->path().string());
    const ImageList list = list_images({setup_.data.manifests.begin(), setup_.data.manifests.end()},
                                       {.image_root = setup_.data.image_root, .strip_parts = setup_.data.strip_parts});
    records_ = records_of_pictures(
        *store_, list, *setup_.manifest,
        "`vicha concepts embed MANIFEST --regions N --source SOURCE --out` that store adds those of readable files; "
        "`vicha data prune` leaves the others out");
    if (!setup_.data.features.trust_names) {
      require_unchanged(*store_, list, {"features of regions", "vicha concepts embed", "data.features.trust_names"});
    }
  }

  std::vector<std::int64_t> tags_of(std::int64_t record, const SeenPart& seen) const {
    std::vector<std::int64_t> stored = (*column_)[record];
    for (std::int64_t& tag : stored) {
      if (tag >= 0) tag = number_of_[static_cast<std::size_t>(tag)];
    }
    const std::int64_t side = grid_side(stored.size(), kRegionTagsField);
    return tags_seen(grid_shares(seen, grid_, {side, side}), stored);
  }

  at::Tensor features_of(std::int64_t record, const SeenPart& seen) const {
    const std::int64_t cells = side_ * side_;
    at::Tensor stored = at::empty({cells, store_->shape().width});
    store_->read(records_[static_cast<std::size_t>(setup_.manifest->image_number(record))], 1, cells,
                 stored.data_ptr<float>());
    return features_seen(grid_shares(seen, grid_, {side_, side_}), stored);
  }

  /// Regions are cut out by the model; it is told the tag of each.
  void add_crop_tags(RegionTargets& targets) const {
    const at::Tensor flat = targets.tags.view({-1});
    std::vector<const std::vector<std::int64_t>*> rows;
    for (std::int64_t i = 0; i < flat.numel(); ++i) {
      const std::int64_t tag = flat.const_data_ptr<std::int64_t>()[i];
      rows.push_back(tag < 0 ? &no_tag_ : &tokens_of_tag_[static_cast<std::size_t>(tag)]);
    }
    targets.crop_concepts = collate_tokens(rows, setup_.text->pad_id());
  }

  void add_tagged(Batch& batch, const at::Tensor& tags_BR) const {
    DistinctTags found = distinct_tags(tags_BR);
    TaggedRegions tagged;
    tagged.regions = std::move(found.regions);
    tagged.tag = int64_tensor(found.tag_of_region);
    std::vector<const std::vector<std::int64_t>*> rows;
    for (const std::int64_t tag : found.tags) rows.push_back(&tokens_of_tag_[static_cast<std::size_t>(tag)]);
    if (!rows.empty()) tagged.tags = collate_tokens(rows, setup_.text->pad_id());
    batch.add(std::move(tagged));
  }

  /// Hides regions: patches, and every concept of the picture that is the tag of one of them.
  void add_hidden(Batch& batch, const at::Tensor& tags_BR, Rng& rng) const {
    const std::int64_t count = tags_BR.size(0), each = grid_.cells();
    MaskedRegions masked;
    masked.regions = draw_masked_regions(count, each, setup_.data.regions.masked, rng);
    masked.hidden = hidden_patches(masked.regions, count, touching_, setup_.model.vit.patches());
    if (batch.concepts.defined()) {
      const auto& words = batch.get<ShownParts>().concept_words;
      std::vector<std::vector<std::string_view>> kept(words.begin(), words.end());
      const std::int64_t* tags = tags_BR.const_data_ptr<std::int64_t>();
      for (const std::int64_t region : masked.regions) {
        if (tags[region] < 0) continue;
        std::erase(kept[static_cast<std::size_t>(region / each)], setup_.tags->word(tags[region]));
      }
      std::vector<std::vector<std::int64_t>> tokens;
      for (const auto& list : kept) tokens.push_back(setup_.text->encode_concepts(list));
      std::vector<const std::vector<std::int64_t>*> rows;
      for (const auto& list : tokens) rows.push_back(&list);
      masked.concepts = collate_tokens(rows, setup_.text->pad_id());
    }
    batch.add(std::move(masked));
  }

  RegionSetup setup_;
  GridSize grid_;
  const TagsColumn* column_ = nullptr;
  std::vector<std::int64_t> number_of_;  // in the vocabulary, of each tag of the column; -1: unknown to it
  std::vector<std::vector<std::int64_t>> tokens_of_tag_;
  std::vector<std::int64_t> no_tag_;
  std::vector<std::vector<std::int64_t>> touching_;
  std::optional<EmbeddingStore> store_;
  std::int64_t side_ = 0;
  std::vector<std::int64_t> records_;  // of the store, by image number
};

}  // namespace

TargetMaker region_targets(const RegionSetup& setup) {
  const auto maker = std::make_shared<const RegionTargetMaker>(setup);
  return [maker](Batch& batch, const Manifest&, Rng& rng) { maker->add_to(batch, rng); };
}

}  // namespace vicha

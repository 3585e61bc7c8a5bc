#include "tasks/pretrain/region_eval.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/log.h"
#include "concepts/match/box_tags.h"
#include "config/serialize.h"
#include "data/pipeline/collate.h"
#include "image/decode.h"
#include "metrics/share.h"
#include "models/regions.h"
#include "nn/precision.h"
#include "objectives/draws.h"
#include "objectives/irta.h"
#include "objectives/late_interaction.h"
#include "objectives/mtm.h"
#include "tasks/concepts/concept_finder.h"
#include "tasks/host/model_files.h"
#include "tasks/host/stored_pictures.h"
#include "tasks/pretrain/region_data.h"
#include "tasks/retrieval/retrieval.h"
#include "train/device.h"

namespace vicha {

bool points_at(std::int64_t region, const GridSize& grid, const RegionBoxShare& box) {
  const double wide = 1.0 / static_cast<double>(grid.columns), high = 1.0 / static_cast<double>(grid.rows);
  const double left = static_cast<double>(region % grid.columns) * wide,
               top = static_cast<double>(region / grid.columns) * high;
  const auto within = [](double x, double begin, double length) { return x >= begin && x < begin + length; };
  return (within(left + wide / 2, box.x, box.width) && within(top + high / 2, box.y, box.height)) ||
         (within(box.x + box.width / 2, left, wide) && within(box.y + box.height / 2, top, high));
}

std::int64_t find_words(std::span<const std::int64_t> text, std::span<const std::int64_t> words) {
  if (words.empty() || text.empty()) return -1;
  const auto found = std::search(text.begin() + 1, text.end(), words.begin(), words.end());
  return found == text.end() ? -1 : found - text.begin();
}

namespace {

using OrderedJson = nlohmann::ordered_json;

struct RegionEvalOptions {
  std::string boxes;
  std::int64_t batch_size = 64, seed = 1;

  void describe(Visitor& v) {
    v.field(
        {"boxes", "", "Named boxes of the pictures (as `vicha data region-tags` reads them), to see where words point"},
        boxes);
    v.field({"batch_size", "pictures", "Pictures encoded together", 1, 65536}, batch_size);
    v.field({"seed", "", "Of which regions are hidden", 0}, seed);
  }
};

/// What the model makes of a set, kept on the host.
struct SetStates {
  at::Tensor parts;                    ///< (I, R + K, E), padded
  std::vector<std::int64_t> parts_of;  ///< (I)
  at::Tensor words;                    ///< (T, E)
  std::vector<std::int64_t> words_of;  ///< (X)
};

class RegionEvaluation {
 public:
  RegionEvaluation(const LoadedModel& loaded, std::shared_ptr<const EvaluationSet> set,
                   const RegionEvalOptions& options)
      : model_(loaded.vicha()),
        irta_(loaded.parts->objectives().find<IrtaObjective>()),
        mtm_(loaded.parts->objectives().find<MtmObjective>()),
        set_(std::move(set)),
        options_(options),
        grid_{model_.options().regions.rows, model_.options().regions.columns} {}

  OrderedJson tags(const RegionSetup& setup) const {
    Share first, five;
    std::map<std::int64_t, std::int64_t> counts;
    const std::vector<std::int64_t> caption_of = first_captions();
    const TargetMaker add = region_targets(setup);
    EvaluationImages images(set_, options_.batch_size);
    std::int64_t begin = 0;
    for (std::uint64_t number = 0; std::optional<Batch> batch = images.next(); ++number) {
      const std::int64_t count = batch->image.size(0);
      auto& shown = batch->add<ShownParts>();
      std::vector<std::int64_t> captions;
      for (std::int64_t i = begin; i < begin + count; ++i) {
        captions.push_back(caption_of[static_cast<std::size_t>(i)]);
        shown.seen.emplace_back();
        shown.view.push_back(0);
        shown.concept_words.push_back(set_->has_concepts() ? set_->concept_words(i) : std::vector<std::string_view>());
      }
      batch->text = set_->captions(captions);
      begin += count;
      Rng rng(mix_seed({static_cast<std::uint64_t>(options_.seed), number}));
      add(*batch, set_->manifest(), rng);
      RandomDraws draws(rng);
      EncodingOptions how;
      how.dropout = false;
      Encodings encodings(model_, *batch, draws, {}, how);
      const auto begun = mtm_->begin(encodings, {});
      encodings.set_guests({begun.get()});
      auto& step = dynamic_cast<MtmStep&>(*begun);
      const at::Tensor best = std::get<1>(step.logits().topk(std::min<std::int64_t>(5, setup.tags->size()))).cpu();
      const at::Tensor tags = step.tags().cpu();
      for (std::int64_t i = 0; i < tags.numel(); ++i) {
        const auto tag = tags[i].item<std::int64_t>();
        if (tag < 0) continue;
        ++counts[tag];
        first.add(best[i][0].item<std::int64_t>() == tag ? 1 : 0);
        five.add(best[i].eq(tag).any().item<bool>() ? 1 : 0);
      }
    }
    Share majority = first;
    majority.right = 0;
    for (const auto& [tag, times] : counts) majority.right = std::max(majority.right, static_cast<double>(times));
    return {{"accuracy", first.percent()},
            {"top5", five.percent()},
            {"majority", majority.percent()},
            {"regions", first.all},
            {"tags", setup.tags->size()}};
  }

  /// By all of the pictures' parts; "regions_alone" where some have tags as well: what regions and words do without
  /// them.
  OrderedJson retrieval(const SetStates& states) const {
    const auto metrics = [&](const std::vector<std::int64_t>& parts_of) {
      return contrast_retrieval(*set_, fit(states, parts_of), 0);
    };
    const std::vector<std::int64_t> regions(states.parts_of.size(), grid_.cells());
    const RetrievalResult whole = metrics(states.parts_of);
    OrderedJson json = json_of(whole.itc);
    if (states.parts_of != regions) json["regions_alone"] = json_of(metrics(regions).itc);
    json["chance"] = json_of(whole.chance);
    return json;
  }

  OrderedJson pointing(const SetStates& states, const NamedBoxes& boxes, const SampleText& text) const {
    Share right;
    double chance = 0;
    std::int64_t row = 0;
    for (std::int64_t caption = 0; caption < set_->caption_count(); ++caption) {
      const std::int64_t image = set_->caption_images()[static_cast<std::size_t>(caption)];
      const Tokens tokens = set_->captions(caption, 1);
      const std::span ids(tokens.ids.const_data_ptr<std::int64_t>(), static_cast<std::size_t>(tokens.lengths[0]));
      for (const auto& [name, places] : boxes_of(boxes, image)) {
        std::vector<std::int64_t> words = text.encode(text.clean(name));
        words.erase(words.begin());
        const std::int64_t at = find_words(ids, words);
        if (at < 0) continue;
        const at::Tensor of_name =
            states.words.slice(0, row + at - 1, row + at - 1 + static_cast<std::int64_t>(words.size()));
        const at::Tensor regions = states.parts[image].slice(0, 0, grid_.cells());
        const auto best = at::mm(of_name, regions.t()).mean(0).argmax().item<std::int64_t>();
        const auto hit = [&](std::int64_t region) {
          return std::ranges::any_of(places, [&](const RegionBoxShare& box) { return points_at(region, grid_, box); });
        };
        right.add(hit(best) ? 1 : 0);
        std::int64_t hits = 0;
        for (std::int64_t region = 0; region < grid_.cells(); ++region) hits += hit(region) ? 1 : 0;
        chance += static_cast<double>(hits) / static_cast<double>(grid_.cells());
      }
      row += tokens.lengths[0] - 1;
    }
    Share blind{chance, right.all};
    return {{"accuracy", right.percent()}, {"chance", blind.percent()}, {"words", right.all}};
  }

  SetStates states() const {
    SetStates out;
    std::vector<at::Tensor> parts, words;
    EvaluationImages images(set_, options_.batch_size);
    const at::Device device = model_.device();
    std::int64_t widest = 0;
    while (const std::optional<Batch> batch = images.next()) {
      const at::Tensor patches = patch_rows(batch->image.to(device), model_.options().vit);
      ImageInput input{patches, batch->image.size(0), batch->concepts, /*regions=*/true};
      const ImageStates states = model_.online().encode_image(input, Dropout());
      auto found = irta_->parts(states, batch->concepts);
      parts.push_back(found.rows.to(at::kFloat).cpu());
      widest = std::max(widest, parts.back().size(1));
      out.parts_of.insert(out.parts_of.end(), found.of_image.begin(), found.of_image.end());
    }
    for (at::Tensor& rows : parts) rows = at::constant_pad_nd(rows, {0, 0, 0, widest - rows.size(1)});
    out.parts = at::cat(parts);
    for (std::int64_t first = 0; first < set_->caption_count(); first += options_.batch_size) {
      const std::int64_t count = std::min(options_.batch_size, set_->caption_count() - first);
      const TextStates text =
          model_.online().encode_text(PackedText::packed(set_->captions(first, count), device), Dropout());
      const CaptionWords caption = caption_words(text.pack);
      out.words_of.insert(out.words_of.end(), caption.of_text.begin(), caption.of_text.end());
      if (caption.rows.empty()) continue;
      words.push_back(
          irta_->words(text.states.index_select(0, row_indices(caption.rows, device))).to(at::kFloat).cpu());
    }
    out.words = words.empty() ? at::empty({0, out.parts.size(2)}) : at::cat(words);
    return out;
  }

 private:
  /// (I, X), a run of captions at a time.
  at::Tensor fit(const SetStates& states, const std::vector<std::int64_t>& parts_of) const {
    constexpr std::size_t kCaptions = 256;
    std::vector<at::Tensor> columns;
    std::int64_t row = 0;
    for (std::size_t first = 0; first < states.words_of.size(); first += kCaptions) {
      const std::vector<std::int64_t> some(
          states.words_of.begin() + static_cast<std::ptrdiff_t>(first),
          states.words_of.begin() + static_cast<std::ptrdiff_t>(std::min(first + kCaptions, states.words_of.size())));
      std::int64_t words = 0;
      for (const std::int64_t n : some) words += n;
      columns.push_back(region_word_fit(states.words.slice(0, row, row + words), some, states.parts, parts_of));
      row += words;
    }
    return at::cat(columns, 1);
  }

  std::vector<std::int64_t> first_captions() const {
    std::vector<std::int64_t> caption_of(static_cast<std::size_t>(set_->image_count()), -1);
    for (std::int64_t t = set_->caption_count() - 1; t >= 0; --t) {
      caption_of[static_cast<std::size_t>(set_->caption_images()[static_cast<std::size_t>(t)])] = t;
    }
    for (std::size_t i = 0; i < caption_of.size(); ++i) {
      if (caption_of[i] >= 0) continue;
      throw DataError(set_->manifest().where(set_->image_record(static_cast<std::int64_t>(i))),
                      "has no caption, by which hidden tags could be told", "Take the record out");
    }
    return caption_of;
  }

  /// Boxes by name, in shares of the picture.
  std::map<std::string, std::vector<RegionBoxShare>> boxes_of(const NamedBoxes& boxes, std::int64_t image) const {
    auto& known = boxes_of_[image];
    if (!known) {
      known.emplace();
      const auto record = nlohmann::json::parse(set_->manifest().json(set_->image_record(image)), nullptr, false);
      const std::vector<NamedBox> named = boxes.of(record.at("image").get<std::string>());
      const std::string path(set_->image_path(image)), bytes = read_file(path);
      const Image picture = decode_rgb({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, path);
      for (const NamedBox& box : named) {
        (*known)[box.name].push_back(
            {box.x / picture.width, box.y / picture.height, box.width / picture.width, box.height / picture.height});
      }
    }
    return *known;
  }

  Vicha& model_;
  const IrtaObjective* irta_;
  const MtmObjective* mtm_;
  std::shared_ptr<const EvaluationSet> set_;
  RegionEvalOptions options_;
  GridSize grid_;
  mutable std::map<std::int64_t, std::optional<std::map<std::string, std::vector<RegionBoxShare>>>> boxes_of_;
};

std::string table_of(const OrderedJson& json) {
  std::string table;
  if (json.contains("mtm")) {
    const auto& m = json["mtm"];
    table += fmt::format(
        "tags of hidden regions   accuracy {:.2f}   top 5 {:.2f}   majority {:.2f}   ({} regions, {} tags)\n",
        m["accuracy"].get<double>(), m["top5"].get<double>(), m["majority"].get<double>(),
        m["regions"].get<std::int64_t>(), m["tags"].get<std::int64_t>());
  }
  if (json.contains("irta")) {
    const auto row = [&](const char* name, const OrderedJson& m) {
      table += fmt::format("{:<24}", name);
      for (const char* way : {"text_to_image", "image_to_text"}) {
        for (const char* k : {"r1", "r5", "r10"}) table += fmt::format("{:>8.2f}", m[way][k].get<double>());
        table += "   ";
      }
      table += "\n";
    };
    table += fmt::format("{:<24}{:>24}   {:>24}\n", "R@1, R@5, R@10", "text -> image", "image -> text");
    const bool tagged = json["irta"].contains("regions_alone");
    row(tagged ? "regions, tags and words" : "regions and words", json["irta"]);
    if (tagged) row("regions and words", json["irta"]["regions_alone"]);
    row("chance", json["irta"]["chance"]);
  }
  if (json.contains("pointing")) {
    const auto& p = json["pointing"];
    table += fmt::format("words that point at their object   {:.2f}   chance {:.2f}   ({} words)\n",
                         p["accuracy"].get<double>(), p["chance"].get<double>(), p["words"].get<std::int64_t>());
  }
  return table;
}

EvaluateResult evaluate_regions(LoadedModel& loaded, const EvaluateCommand& command) {
  const at::NoGradGuard guard;
  RegionEvalOptions options;
  apply_overrides(options, command.settings);
  const fs::path checkpoint = checkpoint_folder(command.checkpoint);
  // Before the set is read, which takes a while.
  const ObjectiveSet& learnt = loaded.parts->objectives();
  const bool tells_tags = learnt.find<MtmObjective>() != nullptr,
             compares_words = learnt.find<IrtaObjective>() != nullptr;
  if (!tells_tags && !compares_words) {
    throw DataError(checkpoint.string(), "is a model that has learnt neither irta nor mtm: nothing is known of regions",
                    "Give a run that was pretrained with one of them (recipes/scenes-regions.toml)");
  }
  if (!options.boxes.empty() && !compares_words) {
    throw DataError(checkpoint.string(), "has not learnt irta, so that its words point at no region",
                    "Leave --boxes out, or give a run that was pretrained with irta.enabled = true");
  }
  std::optional<NamedBoxes> boxes;
  if (!options.boxes.empty()) boxes.emplace(options.boxes);
  const auto tags = TagVocabulary::of_checkpoint(checkpoint);
  const DataOptions data = command.data(loaded.recipe->data);
  ConceptFinderOptions finding = command.concepts;
  finding.tower.device = command.device;
  ConceptFinder finder(checkpoint_concept_kit(checkpoint), checkpoint.string(), finding);
  RegionNeeds needs;
  needs.tags = needs.hidden = tags && tells_tags;
  const auto set = finder.load(data, loaded.tokenizer, region_schema(needs), {.text = 0, .concepts = 0});
  if (loaded.tower) {
    set->set_features(
        evaluation_features(set->manifest(), {.data = data, .tower = *loaded.tower, .device = command.device}));
  }
  const Bf16Scope scope(use_bf16(command.precision, loaded.vicha().device()));
  const RegionEvaluation evaluation(loaded, set, options);
  const SampleText text(loaded.tokenizer, data);
  OrderedJson json;
  if (needs.tags) {
    RegionSetup setup{needs,
                      loaded.vicha().options(),
                      data,
                      nullptr,
                      std::make_shared<const TagVocabulary>(*tags),
                      std::make_shared<const SampleText>(text),
                      {}};
    setup.manifest = std::shared_ptr<const Manifest>(set, &set->manifest());
    json["mtm"] = evaluation.tags(setup);
  }
  if (compares_words) {
    const SetStates states = evaluation.states();
    json["irta"] = evaluation.retrieval(states);
    if (boxes) {
      json["pointing"] = evaluation.pointing(states, *boxes, text);
      if (json["pointing"]["words"] == 0) {
        log::warning("no caption holds the name of one of its picture's boxes: there is nothing to point at");
        json.erase("pointing");
      }
    }
  }
  json["images"] = set->image_count();
  json["captions"] = set->caption_count();
  json["manifest"] = command.manifest.string();
  json["checkpoint"] = command.checkpoint.string();
  json["concepts"] = finder.describe(data);
  return {json_text(json, 1), table_of(json)};
}

}  // namespace

TaskKind regions_kind() {
  return {.key = "regions",
          .title = "Regions",
          .about = "What a pretrained model knows of regions: their tags, their words, and where words point",
          .evaluate = evaluate_regions,
          .evaluation_flags = {{"--boxes", "boxes",
                                "JSON of named boxes of the pictures, to see whether words point at their objects"},
                               {"--batch-size", "batch_size", "Pictures encoded together"}},
          .figures = {{"mtm.accuracy", "Tags of hidden regions", "%"},
                      {"mtm.top5", "Tags of hidden regions, among five", "%"},
                      {"mtm.majority", "The most frequent tag", "%"},
                      {"irta.text_to_image.r1", "Pictures by regions and words, R@1", "%"},
                      {"irta.image_to_text.r1", "Captions by regions and words, R@1", "%"},
                      {"pointing.accuracy", "Words that point at their object", "%"},
                      {"pointing.chance", "The same by chance", "%"}},
          .any_model = true};
}

}  // namespace vicha

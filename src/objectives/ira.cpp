#include "objectives/ira.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "nn/host_copy.h"
#include "nn/norm.h"
#include "nn/vit_block.h"

namespace vicha {

void IraOptions::check(const ModelOptions& model) const {
  if (!model.concepts.enabled) {
    throw UsageError(
        "ira.enabled = true compares regions with tags as the concept encoder reads them, and this model has none; set "
        "model.concepts.enabled = true, or ira.enabled = false");
  }
}

DistinctTags distinct_tags(const at::Tensor& tags_BR) {
  const at::Tensor flat = tags_BR.contiguous().view({-1});
  const std::int64_t* tag = flat.const_data_ptr<std::int64_t>();
  DistinctTags found;
  std::map<std::int64_t, std::int64_t> place;
  for (std::int64_t i = 0; i < flat.numel(); ++i) {
    if (tag[i] < 0) continue;
    found.regions.push_back(i);
    place[tag[i]] = 0;
  }
  for (auto& [word, column] : place) {
    column = static_cast<std::int64_t>(found.tags.size());
    found.tags.push_back(word);
  }
  for (const std::int64_t region : found.regions) found.tag_of_region.push_back(place.at(tag[region]));
  return found;
}

at::Tensor tag_positives(const at::Tensor& tag_T, std::int64_t distinct) {
  return tag_T.unsqueeze(1).eq(at::arange(distinct, tag_T.options()).unsqueeze(0));
}

at::Tensor mean_tag(const at::Tensor& hidden_UKD, const std::vector<std::int64_t>& lengths) {
  const std::int64_t tokens = hidden_UKD.size(1);
  std::vector<float> share;
  for (const std::int64_t length : lengths) {
    const std::int64_t first = length > 1 ? 1 : 0;
    for (std::int64_t j = 0; j < tokens; ++j) {
      share.push_back(j >= first && j < length ? 1.0F / static_cast<float>(length - first) : 0.0F);
    }
  }
  const at::Tensor share_U1K = to_device(at::tensor(share), hidden_UKD.device()).view({hidden_UKD.size(0), 1, tokens});
  return at::bmm(share_U1K.to(hidden_UKD.scalar_type()), hidden_UKD).squeeze(1);
}

namespace {

class IraObjective : public Objective {
 public:
  IraObjective(const IraOptions& options, Vicha& model)
      : options_(options), align_([&] {
          const ParameterStore::Scope scope(model.parameters(), "ira_heads");
          return Alignment(options, "ira_temp", model.parameters());
        }()) {
    ParameterStore& store = model.parameters();
    const ParameterStore::Scope scope(store, "ira_heads");
    const ModelOptions& sizes = model.options();
    region_ = add_linear(store, "ira_region_proj.", sizes.vit.width, sizes.embed_dim, Init::kLinearDefault);
    tag_ = add_linear(store, "ira_tag_proj.", sizes.text.width, sizes.embed_dim, Init::kLinearDefault);
  }
  const ObjectiveOptions& options() const override { return options_; }
  void want(Wants& wants) const override { wants.regions = true; }
  std::string_view heads() const override { return "ira_heads"; }
  std::unique_ptr<ObjectiveStep> begin(Encodings& encodings, const Distillation& distillation) const override;

  const Alignment& align() const { return align_; }
  at::Tensor regions(const at::Tensor& regions_TD) const { return unit_rows(region_(regions_TD)); }
  at::Tensor tags(const at::Tensor& tags_UD) const { return unit_rows(tag_(tags_UD)); }

 private:
  IraOptions options_;
  Alignment align_;
  Linear region_, tag_;
};

class IraStep : public ObjectiveStep {
 public:
  IraStep(const IraObjective& objective, Encodings& encodings) : objective_(objective), encodings_(encodings) {}

  at::Tensor loss() override {
    const auto& tagged = encodings_.batch().get<TaggedRegions>();
    if (tagged.regions.empty()) return encodings_.nothing();
    const Vicha& model = encodings_.model();
    const at::Device device = model.device();
    const at::Tensor regions =
        encodings_.image().regions.flatten(0, 1).index_select(0, row_indices(tagged.regions, device));
    const ConceptEncoder::Output words = (*model.online().concepts)(tagged.tags, device, encodings_.dropout());
    const at::Tensor tags = mean_tag(words.hidden, tagged.tags.lengths);
    const at::Tensor cosine_TU = at::mm(objective_.regions(regions), objective_.tags(tags).t());
    return objective_.align()(cosine_TU, tag_positives(tagged.tag.to(device), cosine_TU.size(1)));
  }

 private:
  const IraObjective& objective_;
  Encodings& encodings_;
};

std::unique_ptr<ObjectiveStep> IraObjective::begin(Encodings& encodings, const Distillation&) const {
  return std::make_unique<IraStep>(*this, encodings);
}

}  // namespace

ObjectiveKind ira_kind() {
  return {.key = "ira",
          .title = "Alignment of regions with their tags",
          .name = "IRA",
          .curve = "IRA: regions with their tags",
          .measure = "nats",
          .checkpoint_names = {"ira_temp", "ira_region_proj.**", "ira_tag_proj.**"},
          .options = IraOptions(),
          .make = [](const ObjectiveOptions& options, Vicha& model) {
            return std::make_unique<IraObjective>(dynamic_cast<const IraOptions&>(options), model);
          }};
}

}  // namespace vicha

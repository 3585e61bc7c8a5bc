#include "objectives/irta.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "nn/norm.h"
#include "nn/vit_block.h"
#include "objectives/late_interaction.h"

namespace vicha {

void IrtaOptions::describe(Visitor& v) {
  TemperedAlignmentOptions::describe(v);
  v.field({"tags", "", "Words are compared with the picture's tags too, where the model reads concepts"}, tags);
}

std::string IrtaOptions::note() const {
  const std::string form = AlignmentOptions::note();
  if (tags) return form;
  return form.empty() ? "regions alone" : form + ", regions alone";
}

at::Tensor region_word_fit(const at::Tensor& words_TE, const std::vector<std::int64_t>& words_of,
                           const at::Tensor& parts_BPE, const std::vector<std::int64_t>& parts_of) {
  const std::int64_t longest = std::max<std::int64_t>(1, *std::ranges::max_element(words_of));
  const auto captions = static_cast<std::int64_t>(words_of.size()), count = words_TE.size(0);
  // Captions side by side; a row of zeros stands where there is no word.
  const at::Tensor rows = at::cat({words_TE, at::zeros({1, words_TE.size(1)}, words_TE.options())});
  std::vector<std::int64_t> place, real, kept;
  std::int64_t next = 0;
  for (const std::int64_t words : words_of) {
    for (std::int64_t j = 0; j < longest; ++j) place.push_back(j < words ? next + j : count);
    next += words;
    real.push_back(std::max<std::int64_t>(1, words));
  }
  VICHA_ASSERT(next == count);
  const at::Tensor words_XLE =
      rows.index_select(0, row_indices(place, rows.device())).view({captions, longest, rows.size(1)});
  for (std::size_t i = 0; i < parts_of.size(); ++i) {
    for (std::int64_t j = 0; j < parts_of[i]; ++j) {
      kept.push_back(static_cast<std::int64_t>(i) * parts_BPE.size(1) + j);
    }
  }
  const at::Tensor parts_QE = parts_BPE.flatten(0, 1).index_select(0, row_indices(kept, parts_BPE.device()));
  const at::Tensor by_parts_BX = run_means(best_matches(parts_QE, words_XLE, real), parts_of);
  if (count == 0) return by_parts_BX;
  return (run_means(best_matches(words_TE, parts_BPE, parts_of), words_of).t() + by_parts_BX) / 2;
}

IrtaObjective::IrtaObjective(const IrtaOptions& options, Vicha& model)
    : options_(options),
      align_([&] {
        const ParameterStore::Scope scope(model.parameters(), "irta_heads");
        return Alignment(options, "irta_temp", model.parameters());
      }()),
      shared_(model.online().similarity),
      patches_(model.options().vit.patches()) {
  ParameterStore& store = model.parameters();
  const ParameterStore::Scope scope(store, "irta_heads");
  const ModelOptions& sizes = model.options();
  const auto add = [&](const char* name, std::int64_t width) {
    return add_linear(store, name, width, sizes.embed_dim, Init::kLinearDefault);
  };
  if (!shared_) {
    word_ = add("irta_word_proj.", sizes.text.width);
    region_ = add("irta_region_proj.", sizes.vit.width);
  }
  if (options.tags && sizes.concepts.enabled) tag_ = add("irta_tag_proj.", sizes.vit.width);
}

at::Tensor IrtaObjective::words(const at::Tensor& text_TD) const {
  return shared_ ? shared_->words(text_TD) : unit_rows((*word_)(text_TD));
}

at::Tensor IrtaObjective::regions(const at::Tensor& regions_BRD) const {
  const at::Tensor rows = regions_BRD.flatten(0, 1);
  const at::Tensor projected = shared_ ? shared_->image_rows(rows) : unit_rows((*region_)(rows));
  return projected.view({regions_BRD.size(0), regions_BRD.size(1), -1});
}

IrtaObjective::Parts IrtaObjective::parts(const ImageStates& image, const Tokens& concepts) const {
  // With joint fusion the maps of words and regions have been used already.
  Parts parts{shared_ && image.joint ? image.patches : regions(image.regions), {}};
  const std::int64_t count = parts.rows.size(0), regions = parts.rows.size(1);
  parts.of_image.assign(static_cast<std::size_t>(count), regions);
  // Behind the class token, the patches and the [CLS] of the joined tags.
  const std::int64_t first = 1 + patches_ + 1;
  if (!tag_ || !concepts.defined() || image.tokens <= first) return parts;
  const at::Tensor tags_BKD =
      image.states.view({count, image.tokens, image.states.size(1)}).slice(1, first, image.tokens);
  const at::Tensor projected = unit_rows((*tag_)(tags_BKD.flatten(0, 1))).view({count, image.tokens - first, -1});
  parts.rows = at::cat({parts.rows, projected}, 1);
  for (std::size_t i = 0; i < parts.of_image.size(); ++i) parts.of_image[i] += concepts.lengths[i] - 1;
  return parts;
}

namespace {

class IrtaStep : public ObjectiveStep {
 public:
  IrtaStep(const IrtaObjective& objective, Encodings& encodings) : objective_(objective), encodings_(encodings) {}

  at::Tensor loss() override {
    const ImageStates& image = encodings_.image();
    const TextStates& text = encodings_.text();
    const CaptionWords caption = caption_words(text.pack);
    if (caption.rows.empty()) return encodings_.nothing();
    const at::Tensor rows = row_indices(caption.rows, encodings_.model().device());
    const at::Tensor words = objective_.words(text.states.index_select(0, rows));
    const auto [parts, parts_of] = objective_.parts(image, encodings_.batch().concepts);
    return objective_.align()(region_word_fit(words, caption.of_text, parts, parts_of), encodings_.positives(false));
  }

 private:
  const IrtaObjective& objective_;
  Encodings& encodings_;
};

}  // namespace

std::unique_ptr<ObjectiveStep> IrtaObjective::begin(Encodings& encodings, const Distillation&) const {
  return std::make_unique<IrtaStep>(*this, encodings);
}

ObjectiveKind irta_kind() {
  return {.key = "irta",
          .title = "Alignment of regions and tags with words",
          .name = "IRTA",
          .curve = "IRTA: regions and tags with words",
          .measure = "nats",
          .checkpoint_names = {"irta_temp", "irta_word_proj.**", "irta_region_proj.**", "irta_tag_proj.**"},
          .options = IrtaOptions(),
          .make = [](const ObjectiveOptions& options, Vicha& model) {
            return std::make_unique<IrtaObjective>(dynamic_cast<const IrtaOptions&>(options), model);
          }};
}

}  // namespace vicha

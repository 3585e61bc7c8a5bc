// The "grounding" fixture: Grad-CAM of matching and of the contrast, on retrieval's state as loaded.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "checkpoint/safetensors/safetensors.h"
#include "fixture_set.h"
#include "objectives/itm.h"
#include "tasks/downstream/network/attention_maps.h"

namespace vicha::parity {
namespace {

/// Maps are products of small probabilities and gradients.
constexpr double kMap = 1e-4;

ObjectivesOptions matching_alone() {
  ObjectivesOptions options;
  options.enable_only({"itc", "itm"});
  return options;
}

}  // namespace

void check_grounding(const fs::path& folder, Report& report) {
  const FixtureSet set(folder, "grounding");
  const StateDict data = read_safetensors(folder / "grounding.safetensors");
  const auto model = set.model();
  const ObjectiveSet objectives(matching_alone(), *model);
  set.fill(*model, report);
  const ReleasedNames names(model->parameters());
  const auto& fixture = set.fixture();
  for (std::size_t i = 0; i < fixture.at("state_names").size(); ++i) {
    const std::string name = fixture.at("state_names")[i];
    if (name != "idx_queue") add_fingerprint(report, name, names.value(name), fixture.at("loaded_fp")[i], kState);
  }
  report.close("grounding load");

  const at::NoGradGuard guard;
  const Batch b = set.batch(data, "");
  const Encoders& encoders = model->online();
  const VitOptions& vit = model->options().vit;
  const ImageInput input{patch_rows(b.image, vit), b.size(), b.concepts};
  const ImageStates image = encoders.encode_image(input, Dropout());
  const TextStates text = encoders.encode_text(PackedText::packed(b.text, b.image.device()), Dropout());
  std::vector<std::int64_t> image_of(static_cast<std::size_t>(b.size()));
  for (std::size_t i = 0; i < image_of.size(); ++i) image_of[i] = static_cast<std::int64_t>(i);
  const auto as_picture = [&](const at::Tensor& map_XN) { return map_XN.view({-1, vit.rows(), vit.columns()}); };

  const at::Tensor words =
      matching_maps(encoders, objectives.find<ItmObjective>()->head(), text, encoders.text.image_kv(image.states),
                    FusedImages(image), image_of, fixture.at("itm").at("block_num"));
  report.tensor("gradcam_itm", as_picture(text_maps(words, text.pack.lengths, b.text.ids.size(1))),
                data.at("out.gradcam_itm"), kMap);
  report.close("grounding map of matching");
  const at::Tensor contrast = contrast_maps(encoders, model->temperature(), input, encoders.text_features(text),
                                            image_of, fixture.at("itc").at("block_num"));
  report.tensor("gradcam_itc", as_picture(contrast), data.at("out.gradcam_itc"), kMap);
  report.close("grounding map of the contrast");
}

}  // namespace vicha::parity

// Masked image modelling, to be seen: image, what is shown to the model, what it makes of the rest.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "objectives/mae.h"
#include "report/mae_images.h"
#include "report/page_images.h"
#include "report/sections.h"

namespace vicha {
namespace {

constexpr std::int64_t kExamples = 9;

void panel(Html& html, const Image& image, std::string_view what, const std::string& name) {
  const auto item = html.element("div");
  html.empty("img", {{"src", image_uri(image)},
                     {"alt", fmt::format("{} {}", what, name)},
                     {"width", fmt::format("{}", image.width)},
                     {"height", fmt::format("{}", image.height)}});
  html.leaf("span", {}, what);
}

void write_example(Html& html, const MaeExample& example) {
  const std::string name = std::filesystem::path(example.path).filename().string();
  const auto figure = html.element("figure", {{"class", "mae"}});
  {
    const auto row = html.element("div", {{"class", "panels"}});
    panel(html, example.image, "picture", name);
    panel(html, example.masked, "shown", name);
    panel(html, example.reconstructed, "rebuilt", name);
  }
  html.leaf("figcaption", {}, fmt::format("{}: error {:.2f}", name, example.error));
}

/// The set whose images are shown; "" if the recipe names none.
std::string manifest_of(const TaskRecipe& recipe) {
  if (const std::string manifest = recipe.evaluation_manifest(); !manifest.empty()) return manifest;
  return recipe.data.manifests.empty() ? "" : recipe.data.manifests.front();
}

void write_examples(Html& html, const std::filesystem::path& run, LoadedModel& loaded) {
  const std::string manifest = manifest_of(*loaded.recipe);
  if (manifest.empty()) {
    write_absence(html, "The recipe names no manifest to take pictures from; set eval.manifest.");
    return;
  }
  const MaeExamples made = mae_examples(loaded, manifest, kExamples, checkpoint_concept_kit(checkpoint_folder(run)),
                                        {.source = {}, .cache = run_image_cache(run)});
  if (made.examples.empty()) {
    write_absence(html, made.left_out.empty() ? manifest + " holds no picture." : made.left_out);
    return;
  }
  double error = 0.0;
  for (const MaeExample& example : made.examples) error += example.error;
  html.leaf("p", {},
            fmt::format("Pictures of {}; {:.0f} % of the patches are hidden. The model predicts patches normalised by "
                        "their own mean and deviation; these two are taken from the true patch, as in the MAE paper's "
                        "figures, and visible patches are pasted in. Error: mean square of the normalised hidden "
                        "pixels, about 1 for flat patches; {:.2f} over these pictures.",
                        manifest, loaded.parts->objectives().find<MaeObjective>()->mae_options().mask_ratio * 100,
                        error / static_cast<double>(made.examples.size())));
  {
    const auto grid = html.element("div", {{"class", "maes"}});
    for (const MaeExample& example : made.examples) write_example(html, example);
  }
  if (!made.left_out.empty()) write_absence(html, "Left out: " + made.left_out);
}

}  // namespace

void write_reconstructions(Html& html, ReportData& data) {
  if (data.kind != nullptr && !data.kind->make_model) return;
  if (data.loaded.value) {
    const auto& entries = data.loaded.value->parts->objectives().entries();
    if (std::ranges::none_of(entries, [](const auto& entry) { return entry.enabled; })) return;
  }
  const auto section = html.element("section", {{"id", "mae"}});
  html.leaf("h2", {}, "Masked pictures");
  if (!data.loaded.value) {
    write_absence(html, data.loaded.problem);
    return;
  }
  LoadedModel& loaded = *data.loaded.value;
  if (loaded.parts->objectives().find<MaeObjective>() == nullptr) {
    write_absence(html, "This run learned without masked image modelling: its recipe has mae.enabled = false.");
    return;
  }
  if (loaded.tower) {
    write_absence(html, "The model reads features of patches, made by " + loaded.tower->describe() +
                            ", and predicts those: there is no picture to draw of them.");
    return;
  }
  try {
    write_examples(html, data.run, loaded);
  } catch (const Error& error) {
    log::warning("report: {}", error.what());
    write_absence(html, error.what());
  }
}

}  // namespace vicha

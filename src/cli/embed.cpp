#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/named_outputs.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "features/feature_embed.h"
#include "features/feature_store.h"

namespace vicha::cli {
namespace {

namespace fs = std::filesystem;

struct EmbedCommand {
  std::vector<fs::path> manifests;
  fs::path out;
  std::string tower, device = "auto", views, image_root, vocabulary;
  bool texts = false, patches = false;
  ManifestOptions manifest;
  EmbedOptions options;

  int run() {
    const fs::path store = store_of_rank(out, options.rank, options.ranks);
    texts = texts || is_text_tower(tower);
    std::vector<NamedOutput> outputs = {{"--out", store}};
    if (patches) outputs.push_back({"the store of patches, beside --out", patches_beside(store)});
    if (!texts) outputs.push_back({"the list of bad pictures, beside --out", bad_pictures_of(store)});
    const GuardedOutputs guarded(outputs, manifests);
    const EmbedReport report = texts ? run_texts(store) : run_pictures(store);
    print(summary(report));
    return 0;
  }

 private:
  EmbedReport run_texts(const fs::path& store) {
    if (patches || !views.empty()) {
      throw UsageError(fmt::format("{} is of pictures: a text has one feature", patches ? "--patches" : "--views"));
    }
    const auto encoder = TextEncoder::open(tower, device, vocabulary);
    return embed_texts(*encoder, manifests, store, options);
  }

  EmbedReport run_pictures(const fs::path& store) {
    if (!vocabulary.empty()) throw UsageError("--vocab is of texts: give --texts, or a tower of texts");
    FeatureEmbedOptions all{.embed = options, .patches = patches};
    if (!views.empty()) all.views = views_named(views);
    manifest.image_root = image_root;
    const ImageList images = list_images(manifests, manifest);
    const auto encoder = PictureEncoder::open(tower, device);
    return embed_features(*encoder, images, store, all);
  }

  std::string summary(const EmbedReport& report) const {
    const std::string_view things = texts ? "texts" : "pictures";
    std::string text = fmt::format("{} {}: {} known, {} embedded, {} bad; {:.1f} s", report.images, things,
                                   report.known, report.embedded, report.bad, report.seconds);
    if (report.embedded > 0) {
      text +=
          fmt::format(" ({:.1f} {}/s)", static_cast<double>(report.embedded) / std::max(report.seconds, 1e-9), things);
    }
    if (report.bad > 0) {
      text += fmt::format("\n{}.bad_pictures.jsonl lists the bad ones", report.stores.front().file.string());
    }
    for (const EmbedReport::Store& store : report.stores) {
      text += fmt::format("\n{}: {:.1f} MB", store.file.string(), static_cast<double>(store.bytes) * 1e-6);
      if (store.loss.vectors == 0) continue;
      text += fmt::format(", rounded to int8: cosine to the exact vector {:.6f} in the mean, {:.6f} at worst",
                          store.loss.mean(), store.loss.worst);
    }
    return text + "\n";
  }
};

}  // namespace

void add_embed(CLI::App& app, Action& chosen) {
  const auto given = std::make_shared<EmbedCommand>();
  EmbedOptions& options = given->options;
  CLI::App* command = app.add_subcommand(
      "embed",
      "Features of the manifests' pictures, or captions, by a frozen tower, into a store; repeated after a kill "
      "it goes on where it was");
  command->add_option("MANIFEST", given->manifests, "Manifests: JSON lists or JSON lines")->required();
  command
      ->add_option("--tower", given->tower,
                   "Of pictures: vit:FILE, dinov2:FILE, siglip:FILE, clip:FILE, torchscript:FILE; of texts: bert:FILE, "
                   "clip:FILE with --texts; or a folder whose config.json says what it is. A TorchScript file is a "
                   "program, and torchscript: runs it with your rights: only if you trust who made it")
      ->required();
  command->add_option("--out", given->out, "Store of features, begun or added to; of patches OUT.patches")->required();
  command->add_flag("--texts", given->texts, "Embed the captions, not the pictures, by the tower's text side");
  command->add_flag("--patches", given->patches, "Also the features of each patch");
  command->add_option("--views", given->views,
                      "Of each picture also: flip (its mirror image), crops[:N] (N parts, the same ones of every "
                      "picture), flip+crops[:N]");
  add_choice(*command, "--type", options.type,
             {{"float16", StoreType::kFloat16}, {"float32", StoreType::kFloat32}, {"int8", StoreType::kInt8}},
             "Of the stored numbers: float16, float32, or int8 with a scale for each vector, whose loss is measured");
  add_device(*command, given->device);
  command->add_option("--vocab", given->vocabulary, "Of texts: the vocabulary (default: beside the weights)");
  add_embedding_options(*command, options, given->manifest, given->image_root);
  command->callback([given, &chosen] { chosen = [given] { return given->run(); }; });
}

}  // namespace vicha::cli

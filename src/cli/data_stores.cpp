#include "cli/data_stores.h"

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/named_outputs.h"
#include "cli/options.h"
#include "concepts/embed/embed.h"
#include "concepts/match/similarity_captions.h"
#include "tasks/concepts/concept_sources.h"

namespace vicha::cli {

void DataStores::add_options(CLI::App& command) {
  command.add_option("--source", source_, concept_source_forms() + ": computes the embeddings that are missing");
  command.add_option("--store", images_, "Store of the pictures (default with --source: OUT.pictures.emb)");
  command.add_option("--caption-store", captions_, "Store of the captions (default with --source: OUT.captions.emb)");
  command.add_option("--image-root", image_root_, "Folder of the pictures (default: the manifest's)");
  command.add_option("--strip-parts", strip_parts_, "Leading parts of each picture's path to replace by the root")
      ->capture_default_str()
      ->check(between(0, 1000));
  command.add_option("--max-missing", max_missing_, "Share of pictures, and of pairs, that may lack an embedding")
      ->capture_default_str()
      ->check(between(0, 1));
  add_precision(command, type_, "Of numbers in new stores: fp16 or fp32");
  command.add_option("--batch", batch_, "Pictures computed at once; 0: what suits the source")
      ->capture_default_str()
      ->check(between(0, 1e6));
  command.add_option("--threads", threads_, "Threads that read and embed pictures; 0: one for each core")
      ->capture_default_str()
      ->check(between(0, kMostThreads));
  add_source_options(command, options_);
}

std::filesystem::path DataStores::image_store(const std::filesystem::path& out) const {
  return images_.empty() ? out.string() + ".pictures.emb" : images_;
}

std::filesystem::path DataStores::caption_store(const std::filesystem::path& out) const {
  return captions_.empty() ? out.string() + ".captions.emb" : captions_;
}

GuardedOutputs DataStores::guarded(const std::filesystem::path& out, std::vector<std::filesystem::path> inputs,
                                   const std::filesystem::path& plot) const {
  std::vector<NamedOutput> outputs = {{"--out", out}, {"--plot", plot}};
  if (!source_.empty()) {
    outputs.push_back({images_.empty() ? "the pictures' store" : "--store", image_store(out)});
    outputs.push_back({captions_.empty() ? "the captions' store" : "--caption-store", caption_store(out)});
    outputs.push_back({"the list of bad pictures, beside their store", bad_pictures_of(image_store(out))});
  } else {
    inputs.insert(inputs.end(), {images_, captions_});
  }
  return GuardedOutputs(outputs, inputs);
}

ConceptSource& DataStores::source() {
  if (!opened_) opened_ = open_concept_source(source_, options_);
  return *opened_;
}

EmbeddingStore DataStores::images(const std::filesystem::path& manifest, const std::filesystem::path& out) {
  if (source_.empty()) {
    if (images_.empty()) throw UsageError("Name the pictures' embeddings (--store), or a --source to compute them");
    return EmbeddingStore::open(images_);
  }
  const std::filesystem::path store = image_store(out);
  const ImageList list = list_images({manifest}, {.image_root = image_root_, .strip_parts = strip_parts_});
  EmbedOptions options;
  options.type = type_;
  options.batch_size = batch_;
  options.threads = threads_;
  options.max_bad_share = max_missing_;
  options.settings.share = "--max-missing";
  options.trust_names = !images_.empty();  // somebody's own store: the images may not even be here
  const EmbedReport report = embed_images(source(), list, store, options);
  log::info("{}: {} pictures, {} embedded, {} there already, {} unreadable; {:.1f} s", store.string(), report.images,
            report.embedded, report.known, report.bad, report.seconds);
  return EmbeddingStore::open(store);
}

EmbeddingStore DataStores::captions(const std::vector<std::filesystem::path>& manifests,
                                    const std::filesystem::path& out) {
  if (source_.empty()) {
    if (captions_.empty()) {
      throw UsageError("Name the captions' embeddings (--caption-store), or a --source to compute them");
    }
    return EmbeddingStore::open(captions_);
  }
  const std::filesystem::path store = caption_store(out);
  EmbedCaptionsOptions options;
  options.type = type_;
  const EmbedCaptionsReport report = embed_captions(source(), manifests, store, options);
  log::info("{}: {} captions, {} embedded, {} there already; {:.1f} s", store.string(), report.captions,
            report.embedded, report.known, report.seconds);
  return EmbeddingStore::open(store);
}

}  // namespace vicha::cli

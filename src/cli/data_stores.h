// Embeddings of a manifest's images and captions for the commands that compare them: read from stores, or computed
// into stores beside the output, so that a command that was killed and repeated continues where it was.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/named_outputs.h"
#include "concepts/source/source.h"
#include "concepts/store/store.h"
#include "data/manifest/manifest.h"
#include "tasks/concepts/concept_sources.h"

namespace CLI {
class App;
}

namespace vicha::cli {

class DataStores {
 public:
  /// --source, --store, --caption-store and what belongs to them.
  void add_options(CLI::App& command);

  bool given() const { return !source_.empty() || !images_.empty() || !captions_.empty(); }
  bool has_image_root() const { return !image_root_.empty(); }
  /// Share of images or pairs that may lack an embedding.
  double max_missing() const { return max_missing_; }

  /// `out`, `plot` and what --source fills, guarded. Throws UsageError if they are not files of their own, or one of
  /// them is read: `inputs`, and stores that are only read.
  GuardedOutputs guarded(const std::filesystem::path& out, std::vector<std::filesystem::path> inputs,
                         const std::filesystem::path& plot = {}) const;
  /// Without --source the store must be named, and is read as it stands. Where they are not named, stores are
  /// `out`.pictures.emb and `out`.captions.emb.
  EmbeddingStore images(const std::filesystem::path& manifest, const std::filesystem::path& out);
  EmbeddingStore captions(const std::vector<std::filesystem::path>& manifests, const std::filesystem::path& out);

 private:
  ConceptSource& source();
  std::filesystem::path image_store(const std::filesystem::path& out) const;
  std::filesystem::path caption_store(const std::filesystem::path& out) const;

  std::string source_, images_, captions_, image_root_;
  StoreType type_ = StoreType::kFloat16;
  std::int64_t strip_parts_ = 0, batch_ = 0, threads_ = 0;
  double max_missing_ = 0.05;
  ConceptSourceOptions options_;
  std::unique_ptr<ConceptSource> opened_;
};

}  // namespace vicha::cli

// Images of manifests to an embedding store, by an ImagePipeline: each thread reads, decodes and prepares a few
// images and carries them through the tower.
//
// The store's order is the manifests', each image once. An image's vectors depend on the image, the source and its
// index in the list only, not on the threads or on what the store had already, so that a run that was killed and
// repeated ends with the same store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "concepts/source/source.h"
#include "concepts/store/store.h"
#include "data/manifest/manifest.h"
#include "data/pipeline/bad_images.h"

namespace vicha {

/// Hash of a file's bytes that a store keeps; never 0, which stands for "not known".
std::uint64_t content_hash(std::span<const std::uint8_t> bytes);

/// The distinct images of manifests, by the names that the manifests give them, in the order of first appearance.
struct ImageList {
  std::shared_ptr<const Manifest> manifest;
  std::vector<std::string> keys;
  std::vector<std::int64_t> records;       ///< where each appears first
  std::vector<std::int64_t> numbers = {};  ///< Manifest::image_number of each; empty: of those records' own images

  std::int64_t size() const { return static_cast<std::int64_t>(keys.size()); }
  std::string_view path(std::int64_t image) const {
    const auto at = static_cast<std::size_t>(image);
    return numbers.empty() ? manifest->image_path(records[at]) : manifest->image_file(numbers[at]);
  }
};
/// Records need `image` only, and the columns of images that the schema has. Throws DataError if a manifest is not
/// right, or if one name stands for two files.
ImageList list_images(const std::vector<std::filesystem::path>& manifests, ManifestOptions options = {});

struct EmbedOptions {
  StoreType type = StoreType::kFloat16;
  /// Vectors that a thread computes at a time, an image's regions together; 0: what suits the source.
  std::int64_t batch_size = 0;
  std::int64_t threads = 0;          ///< at most; 0: all of LibTorch's
  std::int64_t regions = 0;          ///< side of the grid; 0: whole images only
  std::int64_t rank = 0, ranks = 1;  ///< this process takes images rank, rank + ranks, …, into a store of its own
  double max_bad_share = 0.01;       ///< of the images; a few may always be bad
  BadImageSettings settings = {.share = "--max-bad-share", .folder = "--image-root and --strip-parts"};
  /// Images that the store knows by name are not read again; otherwise their files are, and changed ones embedded
  /// anew.
  bool trust_names = false;
  std::filesystem::path bad_images = {};  ///< JSON lines; empty: STORE.bad_pictures.jsonl
};

/// Throws UsageError on numbers that these options cannot have.
void check_embed_options(const EmbedOptions& options);

struct EmbedReport {
  std::int64_t images = 0;  ///< of this rank
  std::int64_t embedded = 0, known = 0, bad = 0;
  double seconds = 0;

  struct Store {
    std::filesystem::path file;
    std::uint64_t bytes = 0;  ///< of the file, older records included
    StoreLoss loss = {};      ///< of what was added now, where it was rounded to int8
  };
  std::vector<Store> stores = {};
};

/// The store of a rank: "coco.emb" of 4 -> "coco.rank-0-of-4.emb"; the name itself of 1.
std::filesystem::path store_of_rank(const std::filesystem::path& store, std::int64_t rank, std::int64_t ranks);

/// Where a store's pictures that cannot be read are listed, unless EmbedOptions says otherwise.
std::filesystem::path bad_pictures_of(const std::filesystem::path& store);

/// Appends what `store` (its rank's) does not have. Throws DataError if it belongs to another source or has another
/// shape, or when too many images are bad; Error if it cannot be written.
EmbedReport embed_images(ConceptSource& source, const ImageList& images, const std::filesystem::path& store,
                         const EmbedOptions& options);

}  // namespace vicha

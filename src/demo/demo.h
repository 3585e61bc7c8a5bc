// The demonstration set: real images with captions from packages that registries carry (`vicha data demo`).
//
// Emoji: one concept drawn by several artists. Five artists (Noto, Twemoji, OpenMoji, EmojiOne 2, Noto version 1) are
// for training, the sixth (Fluent) is only ever for validation and test, so the question asked at test time is: does
// the model know a *known concept by an unseen artist*? Tux Paint stamps: cut-out photographs and drawings, a sentence
// each.
//
// Written under `out`:
//   train.json         one record per pair (image, caption) of the training artists; concepts kept for test left out
//   val.json           Fluent's drawings of a tenth of the trained concepts: for choosing settings
//   test.json          Fluent's drawings of the other trained concepts: the main figure
//   test_concept.json  Fluent's drawings of concepts that no training image shows
//   photo_train.json, photo_val.json, photo_test.json   the stamps
//   pretrain.json      train.json and photo_train.json
//   vocab.txt          tags of training images, one a line: a concept vocabulary
//   stats.json         the counts
//   images/            96 x 96 (emoji) and 192 x 192 (stamps) RGB PNG files, exactly those that the manifests name
// Records: image, image_id, caption (a string in training manifests, else a list), tags, label (emoji), photo (stamps),
// source, kwords. Which split a concept or stamp falls into depends on the SHA-256 of its label alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vicha {

/// What the manifests' `kwords` hold. The packages' own tags repeat the caption's words, so as concepts of a test
/// image they give the answer away: `kOracle` is for trying the plumbing and for an upper bound that is called one.
enum class DemoKwords { kNone, kOracle };

/// "none" or "oracle"; anything else is a UsageError.
DemoKwords demo_kwords_from_name(std::string_view name);

struct DemoOptions {
  std::filesystem::path sources;  ///< the folder that tools/fetch_demo.sh filled
  std::filesystem::path out;      ///< made if missing; only files of the list above are touched
  DemoKwords kwords = DemoKwords::kNone;
  int threads = 0;  ///< 0: as many as the machine has
};

struct BuildReport {
  std::vector<std::pair<std::string, std::int64_t>> records;  ///< manifest → records, in the order they are written
  std::int64_t training_images = 0;                           ///< of train.json
  std::int64_t training_concepts = 0;
  std::int64_t held_out_concepts = 0;
  std::int64_t vocabulary = 0;
  std::int64_t images_drawn = 0;
  std::int64_t images_kept = 0;  ///< finished ones that an earlier run had left
};

/// Builds the set. May be repeated and may be killed at any time: images that are finished are kept if they came from
/// the same sources in the same way, manifests are written last, each atomically. The result does not depend on
/// `threads`. Throws DataError, naming the path and the remedy, where a source is missing or damaged.
BuildReport build_demo(const DemoOptions& options);

}  // namespace vicha

// The `data` section of a recipe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "config/describe.h"
#include "data/manifest/manifest.h"
#include "image/decode.h"
#include "image/transform.h"

namespace vicha {

struct ConceptInputOptions {
  bool enabled = true;
  double random_share = 0.3;
  std::int64_t max_tokens = 55;
  std::string separator = " ";

  void describe(Visitor& v) {
    v.field({"enabled", "", "Whether the pictures' concepts (`kwords`) are read; the manifest must have them then"},
            enabled);
    v.field({"random_share", "",
             "Share of a picture's concepts that training draws, with replacement; 0 takes all of them in order", 0, 1},
            random_share);
    v.field({"max_tokens", "tokens", "Where the joined concepts are cut, [CLS] included", 1}, max_tokens);
    v.field({"separator", "", "What stands between two concepts; \" [SEP] \" is the other choice that was trained"},
            separator);
  }
};

/// What becomes of images whose file ends early.
enum class TruncatedImages { kReject, kAccept };

/// Which way up images are read: as their pixels lie in the file, or turned as EXIF says.
enum class ImageOrientation { kFile, kExif };

struct FeatureInputOptions {
  std::string store, tower;
  bool trust_names = false, whole = false;

  void describe(Visitor& v) {
    v.field({"store", "",
             "Features of the pictures' patches, by `vicha embed --patches` (FILE.patches), where model.image.input is "
             "\"features\"; a view of each picture is drawn anew in every epoch"},
            store);
    v.field(
        {"tower", "",
         "The network that made them, as `vicha embed --tower` takes it: pictures that the store does not hold pass "
         "it first. Without it the model is trained and evaluated on stored features alone"},
        tower);
    v.field(
        {"trust_names", "",
         "Take the store's features by the pictures' names alone; otherwise the files are read at the start, and one "
         "that has changed since is an error"},
        trust_names);
    v.field(
        {"whole", "", "Training sees whole pictures as they are alone, not the other views that the store may hold"},
        whole);
  }
};

struct RegionDataOptions {
  std::string store, source, vocabulary;
  double tag_threshold = 0.5, masked = 0.15;
  std::int64_t num_tags = 10, side = 0;

  void describe(Visitor& v) {
    v.field(
        {"store", "",
         "The concept source's features of the pictures' regions, by `vicha concepts embed --regions` (mrm.target = "
         "feature)"},
        store);
    v.field({"source", "",
             "What makes them, and the tags, at the start into the run's folder, unless `store` is given: clip:FILE, "
             "aligned:RUN or vicha:RUN. Manifests then need no region_tags; concepts that they have are replaced"},
            source);
    v.field({"vocabulary", "", "Of a source: the file of words (`vicha concepts vocab`) that tags are taken from"},
            vocabulary);
    v.field({"tag_threshold", "", "Of a source: least probability of a tag, softmax over the vocabulary", 0, 1},
            tag_threshold);
    v.field({"num_tags", "tags", "Of a source: tags of a picture that the model reads", 1, 1000}, num_tags);
    v.field({"side", "regions",
             "Of a source: rows and columns of the grid that is embedded; 0: as model.regions. Fewer are cheaper; what "
             "is stored is laid over the model's grid by area",
             0, 64},
            side);
    v.field({"masked", "", "Share of a picture's regions that are hidden for mrm and mtm, at least one", 0, 1}, masked);
  }
};

struct DataOptions {
  std::vector<std::string> manifests;
  std::string image_root;
  std::int64_t strip_parts = 0;
  std::int64_t batch_size = 32;
  std::int64_t workers = 0;
  std::int64_t prefetch = 4;
  std::int64_t max_words = 30;
  std::int64_t max_tokens = 25;
  bool clean = true, sep_token = false;
  std::int64_t cache_mib = 0;
  TruncatedImages truncated = TruncatedImages::kReject;
  ImageOrientation orientation = ImageOrientation::kFile;
  double max_bad_share = 0.01;
  ImageTransformOptions transform;
  ConceptInputOptions concepts;
  FeatureInputOptions features;
  RegionDataOptions regions;

  void describe(Visitor& v) {
    v.field({"manifests", "", "Files of records, one after the other: JSON lists or JSON lines"}, manifests);
    v.field({"image_root", "", "Folder in which relative picture names start; empty: the manifest's own folder"},
            image_root);
    v.field({"strip_parts", "parts",
             "Leading parts of every picture's name to replace by image_root; the released "
             "manifests, whose names start at somebody's root folder, need 4",
             0, 100},
            strip_parts);
    v.field({"batch_size", "samples", "Samples a process takes in one step", 1}, batch_size);
    v.field({"workers", "threads", "Threads that read and transform pictures; 0: one for each core", 0, 1024}, workers);
    v.field({"prefetch", "batches", "Batches made ahead at most", 1, 1024}, prefetch);
    v.field({"max_words", "words", "Where captions are cut before they become tokens", 1}, max_words);
    v.field({"max_tokens", "tokens", "Where captions are cut as tokens, [CLS] included", 1}, max_tokens);
    v.field({"clean", "",
             "Texts are cleaned as those of the released models: small letters, marks left out, cut at max_words. "
             "Sentence encoders, and aligned heads (init.heads), were trained on texts as they stand: false"},
            clean);
    v.field(
        {"sep_token", "",
         "Texts, and a picture's concepts, end with [SEP], which counts as a word; so sentence encoders, and aligned "
         "heads, were trained to read them (released models: no)"},
        sep_token);
    v.field({"cache_mib", "MiB", "Memory for decoded pictures that are used again in the next epoch; filled once", 0},
            cache_mib);
    v.choice({.key = "truncated",
              .meaning = "What to do with pictures whose file ends early; accepted ones are grey or black below"},
             truncated, {{"reject", TruncatedImages::kReject}, {"accept", TruncatedImages::kAccept}});
    v.choice(
        {.key = "orientation",
         .meaning = "Which way up pictures are read: as they lie in the file, as the released models were trained, "
                    "or as EXIF says the camera was held (\"exif\")"},
        orientation, {{"file", ImageOrientation::kFile}, {"exif", ImageOrientation::kExif}});
    v.field(
        {"max_bad_share", "", "Share of pictures that may be unreadable before the run stops; a few always may", 0, 1},
        max_bad_share);
    v.section("transform", "From the decoded picture to the model's input", transform);
    v.section("concepts", "Concept words beside the picture", concepts);
    v.section("features", "Stored features of patches instead of pixels", features);
    v.section("regions", "Features and tags of regions", regions);
  }

  /// Of manifests that have what the schema says, and concepts where they are read.
  ManifestOptions manifest_options(Schema schema = {}) const {
    schema.concepts = concepts.enabled;
    return {.image_root = image_root, .strip_parts = strip_parts, .schema = std::move(schema)};
  }
  DecodeOptions decode_options() const {
    return {.accept_truncated = truncated == TruncatedImages::kAccept,
            .apply_exif = orientation == ImageOrientation::kExif};
  }
};

}  // namespace vicha

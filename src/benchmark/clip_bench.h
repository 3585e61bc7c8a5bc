// `vicha bench clip-image`: images a second from JPEG files to CLIP embeddings, ViT-B/32 shape, random weights. The
// other side is bench/peer/bench_clip_peer.py.
#pragma once

#include <cstdint>
#include <string>

#include "config/describe.h"

namespace vicha::bench {

struct ClipImageBench {
  std::int64_t images = 256;
  std::string folder;
  std::string tile_folder = "data/demo/images/stamps";
  bool exact = false;

  void describe(Visitor& v) {
    v.field({.key = "images", .min = 1, .max = 1 << 24}, images);
    v.field({.key = "folder",
             .meaning = "JPEG files to read, made there if there are none; empty: made in a temporary folder"},
            folder);
    v.field({.key = "pictures",
             .meaning = "Folder of small pictures that the photographs are made of; not there: drawn shapes"},
            tile_folder);
    v.field({.key = "exact", .meaning = "Decode every pixel, not at the scale needed"}, exact);
  }
};

/// One line of JSON: images_per_s from files to embeddings; the tower alone and its share of the rate of a large
/// product; cosines of the photographs' embeddings decoded at scale with those decoded exactly, beside the largest of
/// two different photographs (embeddings of random weights all point much the same way).
std::string bench_clip_image(const ClipImageBench& options);

}  // namespace vicha::bench

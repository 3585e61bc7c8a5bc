// `vicha bench data`: images a second of the input pipeline, JPEG bytes in, normalised tensors out.
#pragma once

#include <cstdint>
#include <string>

#include "config/describe.h"

namespace vicha::bench {

struct DataBench {
  std::int64_t images = 400, image_res = 256, width = 640, height = 480;
  std::int64_t threads = 0;  ///< 0: one for each core

  void describe(Visitor& v) {
    v.field({.key = "images", .min = 1, .max = 1 << 24}, images);
    v.field({.key = "image_res", .min = 16, .max = 4096}, image_res);
    v.field({.key = "width", .meaning = "Width of the synthetic photographs", .min = 16, .max = 8192}, width);
    v.field({.key = "height", .min = 16, .max = 8192}, height);
  }
};

/// One line of JSON: images_per_s, images_per_s_per_core, milliseconds of decoding and of the transform.
std::string bench_data(const DataBench& options);

/// JPEG of smooth shapes with some noise: compresses about as photographs do.
std::string synthetic_photograph(std::int64_t width, std::int64_t height, std::uint64_t seed);

}  // namespace vicha::bench

// `vicha bench data`: pictures a second of the input pipeline, JPEG bytes in, normalised tensors out.
#pragma once

#include <cstdint>
#include <string>

namespace vicha::bench {

struct DataBench {
  std::int64_t images = 400, image_res = 256, width = 640, height = 480, threads = 0;
};

/// One line of JSON: images_per_s, images_per_s_per_core, milliseconds of decoding and of the transform.
std::string bench_data(const DataBench& options);

}  // namespace vicha::bench

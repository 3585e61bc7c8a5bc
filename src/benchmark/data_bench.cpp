#include "benchmark/data_bench.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "benchmark/clock.h"
#include "image/decode.h"
#include "image/transform.h"

namespace vicha::bench {
std::string synthetic_photograph(std::int64_t width, std::int64_t height, std::uint64_t seed) {
  Rng rng(seed);
  Image image(static_cast<int>(width), static_cast<int>(height), 3);
  const double fx = rng.uniform(0.005, 0.03), fy = rng.uniform(0.005, 0.03), phase = rng.uniform(0, 6);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const double v = 128 + 90 * std::sin(fx * x + phase + c) * std::cos(fy * y + c) + 12 * rng.normal();
        image.row(y)[3 * x + c] = static_cast<std::uint8_t>(std::clamp(v, 0.0, 255.0));
      }
    }
  }
  return encode_jpeg(image, 90);
}

std::string bench_data(const DataBench& options) {
  const auto threads = static_cast<std::int64_t>(
      options.threads > 0 ? options.threads : std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::string> files;
  for (std::uint64_t i = 0; i < 8; ++i) files.push_back(synthetic_photograph(options.width, options.height, i));
  ImageTransformOptions how;
  how.image_res = options.image_res;
  const ImageTransform transform(how);
  std::atomic<std::int64_t> next{0};
  std::vector<double> decoding(static_cast<std::size_t>(threads)), transforming(static_cast<std::size_t>(threads));
  const auto work = [&](std::size_t self) {
    std::vector<float> out(transform.size());
    for (std::int64_t i = next++; i < options.images; i = next++) {
      const std::string& file = files[static_cast<std::size_t>(i) % files.size()];
      Rng rng(static_cast<std::uint64_t>(i));
      const double start = seconds_now();
      const Image image = decode_rgb({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}, "synthetic");
      const double middle = seconds_now();
      transform.train(image, rng, out);
      decoding[self] += middle - start;
      transforming[self] += seconds_now() - middle;
    }
  };
  const double start = seconds_now();
  std::vector<std::thread> pool;
  for (std::int64_t t = 0; t < threads; ++t) pool.emplace_back(work, static_cast<std::size_t>(t));
  for (std::thread& thread : pool) thread.join();
  const double seconds = seconds_now() - start, n = static_cast<double>(options.images);
  const auto sum = [](const std::vector<double>& x) {
    double total = 0;
    for (const double v : x) total += v;
    return total;
  };
  const nlohmann::ordered_json json = {
      {"task", "data"},
      {"images_per_s", n / seconds},
      {"images_per_s_per_core", n / seconds / static_cast<double>(threads)},
      {"decode_ms", 1e3 * sum(decoding) / n},
      {"transform_ms", 1e3 * sum(transforming) / n},
      {"images", options.images},
      {"image_res", options.image_res},
      {"picture", std::to_string(options.width) + "x" + std::to_string(options.height) + " JPEG"},
      {"threads", threads}};
  return json.dump();
}

}  // namespace vicha::bench

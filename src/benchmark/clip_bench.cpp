#include "benchmark/clip_bench.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "benchmark/clock.h"
#include "benchmark/data_bench.h"
#include "benchmark/measures.h"
#include "image/clip_preprocess.h"
#include "image/resize.h"
#include "models/clip.h"
#include "models/image_pipeline.h"
#include "nn/kernel_choice.h"
#include "nn/norm.h"
#include "nn/operations.h"

namespace vicha::bench {
namespace {

constexpr int kWidth = 1152, kHeight = 864, kTile = 288, kQuality = 90;
constexpr std::size_t kFiles = 32;

ClipOptions vit_b_32() {
  ClipOptions o;
  o.vision = {768, 12, 12, 3072, Activation::kQuickGelu, 1e-5};
  o.text = {64, 1, 1, 256, Activation::kQuickGelu, 1e-5};  // not run here
  o.image_res = 224;
  o.patch = 32;
  o.vocabulary = 2;
  o.context = 2;
  o.embed = 512;
  return o;
}

std::vector<fs::path> files_in(const fs::path& folder, std::initializer_list<const char*> endings) {
  std::vector<fs::path> files;
  if (!fs::is_directory(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string ending = entry.path().extension().string();
    if (std::any_of(endings.begin(), endings.end(), [&](const char* e) { return ending == e; })) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// Small images enlarged and set side by side, with a camera's grain: about as many bytes as a photograph of this
/// size.
std::string photograph(const std::vector<fs::path>& tiles, std::uint64_t seed) {
  Rng rng(seed);
  Image image(kWidth, kHeight, 3);
  for (int y = 0; y < kHeight; y += kTile) {
    for (int x = 0; x < kWidth; x += kTile) {
      const Image tile = resize_bicubic(load_rgb(tiles[rng.below(tiles.size())]), kTile, kTile);
      for (int row = 0; row < kTile; ++row) std::copy_n(tile.row(row), 3 * kTile, image.row(y + row) + 3 * x);
    }
  }
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    const double grain = 3 * rng.normal();
    for (std::size_t c = 0; c < 3; ++c) {
      image.pixels[i + c] = static_cast<std::uint8_t>(std::clamp(image.pixels[i + c] + grain, 0.0, 255.0));
    }
  }
  return encode_jpeg(image, kQuality);
}

/// The files of the folder, made first where there are none.
std::vector<fs::path> photographs(const fs::path& folder, const std::string& tile_folder) {
  std::vector<fs::path> files = files_in(folder, {".jpg", ".jpeg"});
  if (!files.empty()) return files;
  fs::create_directories(folder);
  const std::vector<fs::path> tiles = files_in(tile_folder, {".png", ".jpg", ".jpeg", ".webp"});
  files.resize(kFiles);
  at::parallel_for(0, kFiles, 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      files[i] = folder / fmt::format("{:04}.jpg", i);
      write_file_atomic(files[i], tiles.empty() ? synthetic_photograph(kWidth, kHeight, i) : photograph(tiles, i));
    }
  });
  return files;
}

/// A folder that goes when the benchmark ends, whatever way it ends.
struct TemporaryFolder {
  fs::path path;
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path.empty()) fs::remove_all(path, ignored);
  }
};

void prepare(const fs::path& file, int side, bool exact, std::span<float> pixels) {
  const std::string bytes = read_file(file);
  DecodeOptions how;
  how.least_side = exact ? 0 : clip_least_side(side);
  clip_preprocess({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, file.string(), side, pixels,
                  how);
}

/// Unit vectors (files, E) of the files decoded so.
at::Tensor unit_embeddings(const Clip& clip, const std::vector<fs::path>& files, bool exact) {
  const std::int64_t side = clip.options().image_res, count = static_cast<std::int64_t>(files.size());
  const at::Tensor pixels = at::empty({count, 3, side, side});
  at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::span<float> out(pixels.data_ptr<float>() + i * pixels.stride(0),
                                 static_cast<std::size_t>(pixels.stride(0)));
      prepare(files[static_cast<std::size_t>(i)], static_cast<int>(side), exact, out);
    }
  });
  return unit_rows(clip.encode_image(pixels));
}

}  // namespace

std::string bench_clip_image(const ClipImageBench& options) {
  if (options.images < 1)
    throw UsageError(fmt::format("--images {} cannot be; give a number of at least 1", options.images));
  TemporaryFolder temporary;
  fs::path folder = options.folder;
  if (options.folder.empty()) {
    folder = temporary.path =
        fs::temp_directory_path() /
        fmt::format("vicha_clip_bench_{}", Rng(static_cast<std::uint64_t>(seconds_now() * 1e9))());
  }
  const std::vector<fs::path> files = photographs(folder, options.tile_folder);
  const Clip clip(vit_b_32(), 0);
  const auto side = static_cast<int>(clip.options().image_res);

  ImagePipeline pipeline;
  pipeline.side = side;
  pipeline.batch = clip.batch();
  pipeline.read = [&](std::int64_t i, std::span<float> pixels) {
    prepare(files[static_cast<std::size_t>(i) % files.size()], side, options.exact, pixels);
    return true;
  };
  pipeline.encode = [&](const at::Tensor& pixels) { return clip.encode_image(pixels); };
  const at::Tensor embeddings = at::empty({options.images, clip.options().embed});
  pipeline.done = [&](const ImageBatch& b) { embeddings.slice(0, b.begin, b.end).copy_(b.rows); };
  const std::int64_t threads = at::get_num_threads(), warm = std::min(options.images, threads * clip.batch());
  pipeline.run(warm);  // also chooses the kernel
  double rate = product_gflops(false);

  const double start = seconds_now();
  pipeline.run(options.images);
  const double seconds = seconds_now() - start;
  if (!at::isfinite(embeddings).all().item<bool>()) throw Error("the embeddings are not finite");

  const std::int64_t images = 2 * threads * clip.batch();
  const at::Tensor pixels = at::randn({images, 3, side, side});
  double tower = 1e9;
  std::int64_t operations = 0;
  for (int i = 0; i < 3; ++i) {
    const std::int64_t before = product_operations();
    const double begin = seconds_now();
    clip.encode_image(pixels);
    tower = std::min(tower, seconds_now() - begin);
    operations = product_operations() - before;
  }
  rate = std::max(rate, product_gflops(false));
  std::vector<float> out(static_cast<std::size_t>(3 * side * side));
  const double reading = seconds_now();
  for (const fs::path& file : files) prepare(file, side, options.exact, out);
  const double prepare_ms = 1e3 * (seconds_now() - reading) / static_cast<double>(files.size());

  const std::vector<fs::path> few(files.begin(),
                                  files.begin() + static_cast<std::ptrdiff_t>(std::min(kFiles, files.size())));
  const at::Tensor full = unit_embeddings(clip, few, true), near = (unit_embeddings(clip, few, false) * full).sum(1),
                   others = at::mm(full, full.t()) - 2 * at::eye(full.size(0));

  double bytes = 0;
  for (const fs::path& file : files) bytes += static_cast<double>(fs::file_size(file));
  const double gflop = static_cast<double>(operations) * 1e-9, n = static_cast<double>(options.images);
  const nlohmann::ordered_json json = {{"task", "clip-image"},
                                       {"model", clip.options().name()},
                                       {"images_per_s", rounded(n / seconds, 2)},
                                       {"seconds", rounded(seconds, 3)},
                                       {"images", options.images},
                                       {"exact", options.exact},
                                       {"prepare_ms", rounded(prepare_ms, 2)},
                                       {"scaled_cosine_mean", rounded(near.mean().item<double>(), 6)},
                                       {"scaled_cosine_min", rounded(near.min().item<double>(), 6)},
                                       {"others_cosine_max", rounded(others.max().item<double>(), 6)},
                                       {"tower_images_per_s", rounded(static_cast<double>(images) / tower, 2)},
                                       {"gflop_per_image", rounded(gflop / static_cast<double>(images), 3)},
                                       {"tower_gflops", rounded(gflop / tower, 1)},
                                       {"product_gflops", rounded(rate, 1)},
                                       {"share_of_product_rate", rounded(gflop / tower / rate, 3)},
                                       {"files", files.size()},
                                       {"file_kib", rounded(bytes / static_cast<double>(files.size()) / 1024, 1)},
                                       {"folder", options.folder},
                                       {"precision", "fp32"},
                                       {"threads", threads},
                                       {"peak_rss_gib", rounded(peak_rss_gib(), 3)},
                                       {"kernels", kernel_choice().describe()}};
  return json.dump();
}

}  // namespace vicha::bench

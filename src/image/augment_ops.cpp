#include "image/augment_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

namespace vicha::augment {
namespace {

constexpr double kFill = 128.0;

using Table = std::array<std::uint8_t, 256>;
using Histogram = std::array<std::int64_t, 256>;

std::array<Histogram, 3> histograms(const Image& image) {
  std::array<Histogram, 3> counts{};
  for (std::size_t i = 0; i + 2 < image.pixels.size(); i += 3) {
    for (std::size_t c = 0; c < 3; ++c) ++counts[c][image.pixels[i + c]];
  }
  return counts;
}

Image look_up(const Image& image, const std::array<Table, 3>& tables) {
  Image out(image.width, image.height, 3);
  for (std::size_t i = 0; i + 2 < image.pixels.size(); i += 3) {
    for (std::size_t c = 0; c < 3; ++c) out.pixels[i + c] = tables[c][image.pixels[i + c]];
  }
  return out;
}

Table identity() {
  Table table;
  for (int i = 0; i < 256; ++i) table[i] = static_cast<std::uint8_t>(i);
  return table;
}

/// What `v` becomes as an 8-bit integer: cut off at both ends, then truncated.
std::uint8_t truncated(double v) { return static_cast<std::uint8_t>(std::clamp(v, 0.0, 255.0)); }

cv::Mat as_mat(const Image& image) {
  return {image.height, image.width, CV_8UC3, const_cast<std::uint8_t*>(image.pixels.data())};
}

/// Images are worked on by many threads already; OpenCV's own would only get into their way. Its number of threads
/// belongs to the whole process.
void keep_opencv_on_one_thread() {
  static std::once_flag once;
  std::call_once(once, [] { cv::setNumThreads(1); });
}

Image warp_affine(const Image& image, const cv::Mat& forward) {
  keep_opencv_on_one_thread();
  Image out(image.width, image.height, 3);
  cv::Mat to = as_mat(out);
  cv::warpAffine(as_mat(image), to, forward, to.size(), cv::INTER_LINEAR, cv::BORDER_CONSTANT,
                 cv::Scalar(kFill, kFill, kFill));
  return out;
}

}  // namespace

Image auto_contrast(const Image& image, bool released) {
  std::array<Table, 3> tables;
  const std::array<Histogram, 3> counts = histograms(image);
  for (std::size_t c = 0; c < 3; ++c) {
    const auto used = [](std::int64_t n) { return n != 0; };
    const auto low = static_cast<int>(std::find_if(counts[c].begin(), counts[c].end(), used) - counts[c].begin());
    const auto high =
        255 - static_cast<int>(std::find_if(counts[c].rbegin(), counts[c].rend(), used) - counts[c].rbegin());
    tables[c] = identity();
    if (high <= low) continue;
    const double scale = 255.0 / (high - low);
    const double offset = (released ? (256 - low) % 256 : -low) * scale;  // there -low is taken modulo 256
    for (int i = 0; i < 256; ++i) tables[c][i] = truncated(i * scale + offset);
  }
  return look_up(image, tables);
}

Image equalize(const Image& image) {
  std::array<Table, 3> tables;
  const std::array<Histogram, 3> counts = histograms(image);
  const std::int64_t pixels = static_cast<std::int64_t>(image.width) * image.height;
  for (std::size_t c = 0; c < 3; ++c) {
    std::int64_t last = 0;  // how often the brightest value that occurs does
    for (const std::int64_t n : counts[c]) last = n != 0 ? n : last;
    const std::int64_t step = (pixels - last) / 255;
    tables[c] = identity();
    if (step == 0) continue;
    std::int64_t sum = step / 2;
    for (int i = 0; i < 256; ++i) {
      tables[c][i] = static_cast<std::uint8_t>(std::min<std::int64_t>(sum / step, 255));
      sum += counts[c][i];
    }
  }
  return look_up(image, tables);
}

Image brightness(const Image& image, double factor) {
  Table table;
  for (int i = 0; i < 256; ++i) table[i] = truncated(static_cast<float>(i) * static_cast<float>(factor));
  return look_up(image, {table, table, table});
}

Image sharpness(const Image& image, double factor) {
  Image out = image;
  const auto f = static_cast<float>(factor);
  const int end = 3 * (image.width - 1);
  for (int y = 1; y + 1 < image.height; ++y) {
    const std::uint8_t *above = image.row(y - 1), *here = image.row(y), *below = image.row(y + 1);
    std::uint8_t* __restrict to = out.row(y);  // overlaps with nothing, so the loop becomes vector instructions
    for (int x = 3; x < end; ++x) {
      const int sum = above[x - 3] + above[x] + above[x + 3] + here[x - 3] + 5 * here[x] + here[x + 3] + below[x - 3] +
                      below[x] + below[x + 3];
      // sum / 13, rounded; thirteenths are never halfway, so single precision finds the right integer.
      const auto smooth = static_cast<float>(static_cast<int>(static_cast<float>(sum) * (1.0f / 13.0f) + 0.5f));
      // Not cut off: what overshoots 0 or 255 comes in again at the other end, as in the public code.
      to[x] = static_cast<std::uint8_t>(static_cast<int>(smooth + f * (static_cast<float>(here[x]) - smooth)));
    }
  }
  return out;
}

Image warp(const Image& image, const std::array<double, 6>& forward) {
  cv::Mat matrix(2, 3, CV_32F);
  for (int i = 0; i < 6; ++i) matrix.at<float>(i / 3, i % 3) = static_cast<float>(forward[i]);
  return warp_affine(image, matrix);
}

Image rotate(const Image& image, double degrees) {
  const cv::Point2f center(static_cast<float>(image.width) / 2, static_cast<float>(image.height) / 2);
  return warp_affine(image, cv::getRotationMatrix2D(center, degrees, 1.0));
}

}  // namespace vicha::augment

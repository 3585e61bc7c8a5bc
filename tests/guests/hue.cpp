#include "guests/hue.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/sha256.h"
#include "image/decode.h"

namespace guests {
namespace {

using namespace vicha;

class Hue : public ConceptSource {
 public:
  explicit Hue(const std::string& file) {
    const std::string text = read_file(file);
    std::istringstream lines(text);
    std::string word;
    for (float r, g, b; lines >> word >> r >> g >> b;) colours_[word] = at::tensor({r, g, b}) / 255 - 0.5;
    if (colours_.empty()) throw DataError(file, "names no colours", "A line is a word and three numbers");
    weights_ = {"hue", file, sha256_hex(text), "mean of 8x8"};
  }
  const SourceWeights& weights() const override { return weights_; }
  std::int64_t width() const override { return 3; }
  int side() const override { return 8; }
  double scale() const override { return 10; }

  void prepare(std::span<const std::uint8_t> bytes, std::string_view name, std::span<float> out) const override {
    prepare(decode_rgb(bytes, name), out);
  }
  void prepare(const Image& image, std::span<float> out) const override {
    const std::size_t each = out.size() / 3, pixels = image.pixels.size() / 3;
    for (std::size_t channel = 0; channel < 3; ++channel) {
      double sum = 0;
      for (std::size_t i = 0; i < pixels; ++i) sum += image.pixels[3 * i + channel];
      const auto mean = static_cast<float>(sum / static_cast<double>(pixels) / 255 - 0.5);
      std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(channel * each), each, mean);
    }
  }
  at::Tensor embed_images(const at::Tensor& pixels) override { return pixels.flatten(2).mean(2); }
  at::Tensor embed_texts(std::span<const std::string> texts) override {
    std::vector<at::Tensor> rows;
    for (const std::string& text : texts) {
      const auto found = colours_.find(text);
      rows.push_back(found == colours_.end() ? at::full({3}, 1e-3) : found->second);
    }
    return at::stack(rows);
  }

 private:
  std::map<std::string, at::Tensor> colours_;
  SourceWeights weights_;
};

}  // namespace

vicha::ConceptSourceKind hue_kind() {
  return {.key = "hue",
          .where = "FILE",
          .about = "colours by their names",
          .open = [](const std::string& file, const ConceptSourceOptions&) { return std::make_unique<Hue>(file); }};
}

}  // namespace guests

// Images: decoding, resizing, CLIP's preprocessing and RandAugment against Pillow, OpenCV and the public code.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/sha256.h"
#include "checkpoint/safetensors/safetensors.h"
#include "image/augment.h"
#include "image/clip_preprocess.h"
#include "image/decode.h"
#include "image/native.h"
#include "image/normalize.h"
#include "image/resize.h"
#include "report.h"

namespace vicha::parity {
namespace {

/// An operation by its name in the public code.
AugmentOp parse_augment_op(std::string_view name) {
  constexpr std::array<std::string_view, kAugmentOpCount> kNames = {
      "Identity", "AutoContrast", "Equalize",   "Brightness", "Sharpness",
      "ShearX",   "ShearY",       "TranslateX", "TranslateY", "Rotate"};
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) throw DataError("randaugment", fmt::format("there is no augmentation \"{}\"", name));
  return static_cast<AugmentOp>(found - kNames.begin());
}

using nlohmann::json;

std::span<const std::uint8_t> as_bytes(const std::string& content) {
  return {reinterpret_cast<const std::uint8_t*>(content.data()), content.size()};
}

/// [H, W, C], sharing the image's memory.
at::Tensor as_tensor(const Image& image) {
  return at::from_blob(const_cast<std::uint8_t*>(image.pixels.data()), {image.height, image.width, image.channels},
                       at::kByte);
}

Image as_image(const at::Tensor& tensor) {
  const at::Tensor t = tensor.contiguous();
  if (t.dim() != 3 || t.scalar_type() != at::kByte) throw DataError("fixture", "a picture is not [H, W, C] of bytes");
  Image image(static_cast<int>(t.size(1)), static_cast<int>(t.size(0)), static_cast<int>(t.size(2)));
  std::copy_n(t.data_ptr<std::uint8_t>(), image.pixels.size(), image.pixels.data());
  return image;
}

/// The largest difference of two samples, infinite if the shapes differ.
void compare(Report& report, const std::string& what, const Image& ours, const at::Tensor& theirs) {
  const at::Tensor a = as_tensor(ours);
  if (a.sizes() != theirs.sizes()) {
    report.expect(what + " (size)", false);
    return;
  }
  report.add(what, (a.to(at::kInt) - theirs.to(at::kInt)).abs().max().item<double>(), 0.0);
}

void compare(Report& report, const std::string& what, const Image& ours, const json& sha256) {
  const std::string_view bytes(reinterpret_cast<const char*>(ours.pixels.data()), ours.pixels.size());
  report.expect(what, sha256_hex(bytes) == sha256.get<std::string>());
}

/// Absolute and relative to 1e-5, as the fixtures suggest for normalised images.
void compare_floats(Report& report, const std::string& what, const Image& image, const Normalizer& normalizer,
                    const at::Tensor& theirs) {
  const at::Tensor ours = at::empty({3, image.height, image.width});
  normalizer.apply(image, {ours.data_ptr<float>(), static_cast<std::size_t>(ours.numel())});
  if (ours.sizes() != theirs.sizes()) {
    report.expect(what + " (size)", false);
    return;
  }
  const at::Tensor error = (ours - theirs).abs() / (1.0 + theirs.abs());
  report.add(what, error.max().item<double>(), 1e-5);
}

/// "resize_17x23", "clip_crop_32": the numbers behind the last underscore, width and height alike if there is one.
std::optional<std::pair<int, int>> size_in_name(const std::string& name) {
  const char* at = name.c_str() + name.rfind('_') + 1;
  char* end = nullptr;
  const long width = std::strtol(at, &end, 10);
  if (end == at || width <= 0) return std::nullopt;
  const long height = *end == 'x' ? std::strtol(end + 1, &end, 10) : width;
  return height > 0 ? std::optional(std::pair(static_cast<int>(width), static_cast<int>(height))) : std::nullopt;
}

struct Sample {
  std::string file, name;  ///< content and file name
  Image rgb;
  Box box;
  Normalizer normalizer;

  Image clip(int side) const { return clip_crop(decode_native(as_bytes(file), name), side); }
};

bool starts_with(const std::string& text, std::string_view start) { return text.rfind(start, 0) == 0; }

/// Compares one recorded tensor; false if its name says nothing to us.
bool check_tensor(const Sample& sample, const std::string& name, const at::Tensor& theirs, Report& report) {
  const std::string what = sample.name + ":" + name;
  const auto size = size_in_name(name);
  if (name == "rgb") {
    compare(report, what, sample.rgb, theirs);
  } else if (name == "hflip") {
    compare(report, what, flip_horizontal(sample.rgb), theirs);
  } else if (const std::size_t stride = name.find("_stride"); stride != std::string::npos) {
    const long side = std::strtol(name.c_str() + std::string_view("clip_crop_").size(), nullptr, 10);
    const long step = std::strtol(name.c_str() + stride + std::string_view("_stride").size(), nullptr, 10);
    if (!starts_with(name, "clip_crop_") || side <= 0 || step <= 0) return false;
    const Image whole = sample.clip(static_cast<int>(side));
    compare(report, what, as_image(as_tensor(whole).slice(0, 0, side, step).slice(1, 0, side, step)), theirs);
  } else if (!size) {
    return false;
  } else if (starts_with(name, "crop_resize_")) {
    compare(report, what, crop_resize_bicubic(sample.rgb, sample.box, size->first, size->second), theirs);
  } else if (starts_with(name, "resize_")) {
    compare(report, what, resize_bicubic(sample.rgb, size->first, size->second), theirs);
  } else if (starts_with(name, "clip_crop_")) {
    compare(report, what, sample.clip(size->first), theirs);
  } else if (starts_with(name, "clip_float_")) {
    compare_floats(report, what, sample.clip(size->first), sample.normalizer, theirs);
  } else if (starts_with(name, "eval_")) {
    compare_floats(report, what, resize_bicubic(sample.rgb, size->first, size->second), sample.normalizer, theirs);
  } else {
    return false;
  }
  return true;
}

/// Compares one recorded hash, `NAME_sha256`; false if its name says nothing to us.
bool check_hash(const Sample& sample, const std::string& key, const json& hash, Report& report) {
  const std::string name = key.substr(0, key.size() - std::string_view("_sha256").size());
  const std::string what = sample.name + ":" + key;
  const auto size = size_in_name(name);
  if (name == "rgb") {
    compare(report, what, sample.rgb, hash);
  } else if (size && starts_with(name, "clip_crop_")) {
    compare(report, what, sample.clip(size->first), hash);
  } else if (size && starts_with(name, "eval_")) {
    compare(report, what, resize_bicubic(sample.rgb, size->first, size->second), hash);
  } else {
    return false;
  }
  return true;
}

/// Files that Pillow refuses: ours must be an error that names the file.
void check_bad(const fs::path& folder, const json& index, Report& report) {
  for (const auto& [name, about] : index.at("bad").items()) {
    if (about.at("pillow") != "refused") continue;
    bool refused = false;
    try {
      load_rgb(folder / "bad" / name);
    } catch (const DataError& error) {
      refused = std::string_view(error.what()).find(name) != std::string_view::npos;
    }
    report.expect("refused, naming the file: " + name, refused);
  }
}

struct Op {
  AugmentOp op;
  AutoContrast autocontrast = AutoContrast::kReleased;
};

/// "Rotate", "Rotate_neg" (the argument has the sign already), "AutoContrast_intended".
Op parse_op(std::string name) {
  const std::size_t underscore = name.find('_');
  const std::string variant = underscore == std::string::npos ? "" : name.substr(underscore + 1);
  return {parse_augment_op(name.substr(0, underscore)),
          variant == "intended" ? AutoContrast::kExact : AutoContrast::kReleased};
}

/// The operation called `name` at `level`, with the recorded argument, which ours must equal.
Image run_op(const Image& input, const json& args, const std::string& name, int level, Report& report) {
  const Op op = parse_op(name);
  double argument = 0.0;
  const auto levels = args.find(name);
  if (levels != args.end() && !levels->at(std::to_string(level)).empty()) {
    argument = levels->at(std::to_string(level)).at(0).get<double>();
    const double ours = augment_argument(op.op, level);
    report.add("argument of " + name, std::abs(ours - std::abs(argument)), 1e-12);
  }
  return apply_augment_op(input, op.op, argument, op.autocontrast);
}

void check_sheet(const fs::path& folder, const std::string& letter, const json& meta, Report& report) {
  const Image sheet = load_rgb(folder / ("sheet_" + letter + ".png"));
  const json& layout = meta.at("sheet");
  const int height = layout.at("cell_hw").at(letter).at(0), width = layout.at("cell_hw").at(letter).at(1);
  const auto cell = [&](int row, int column) { return crop(sheet, {column * width, row * height, width, height}); };
  const Image input = cell(0, 0);
  int column = 0;
  for (const json& name : layout.at("first_row")) {
    if (name != "input") {
      const Image ours = run_op(input, meta.at("args"), name, 1, report);
      compare(report, "sheet_" + letter + ":" + name.get<std::string>(), ours, as_tensor(cell(0, column)));
    }
    ++column;
  }
  int row = 1;
  for (const json& entry : layout.at("rows")) {
    const auto base = entry.get<std::string>();
    for (int level = 1; level <= 10; ++level) {
      const bool negated = level % 2 == 0 && augment_is_signed(parse_augment_op(base));
      const std::string name = negated ? base + "_neg" : base;
      const Image ours = run_op(input, meta.at("args"), name, level, report);
      compare(report, "sheet_" + letter + ":" + name + "/" + std::to_string(level), ours,
              as_tensor(cell(row, level - 1)));
    }
    ++row;
  }
}

/// A whole RandAugment call with its draws: which operations, then for each whether it runs and its sign.
Image replay(const Image& input, const json& draws, double level, bool& used_all) {
  std::vector<AugmentStep> steps;
  std::size_t next = 1;
  const auto draw = [&] { return draws.at(next++).at(1).get<double>(); };
  for (const json& name : draws.at(0).at(1)) {
    const AugmentOp op = parse_augment_op(name.get<std::string>());
    if (draw() > 0.5) continue;
    const double argument = augment_argument(op, level);
    steps.push_back({op, augment_is_signed(op) && augment_negates(op, draw()) ? -argument : argument});
  }
  used_all = next == draws.size();
  return apply_augment_steps(input, steps, AutoContrast::kReleased);
}

}  // namespace

void check_images(const fs::path& folder, Report& report) {
  const fs::path images = folder / "images";
  const json index = json::parse(read_file(images / "index.json"));
  const Normalizer normalizer(index.at("mean").get<std::vector<double>>(), index.at("std").get<std::vector<double>>());
  for (const auto& [name, about] : index.at("images").items()) {
    const json& box = about.at("crop_box_xywh");
    Sample sample{read_file(images / name), name, {}, {box.at(0), box.at(1), box.at(2), box.at(3)}, normalizer};
    sample.rgb = decode_rgb(as_bytes(sample.file), name);
    for (const auto& [tensor_name, tensor] : read_safetensors(images / (name + ".safetensors"))) {
      if (!check_tensor(sample, tensor_name, tensor, report)) report.expect(name + ": unknown " + tensor_name, false);
    }
    for (const auto& [key, value] : about.items()) {
      if (key.size() <= 7 || key.compare(key.size() - 7, 7, "_sha256") != 0) continue;
      if (!check_hash(sample, key, value, report)) report.expect(name + ": unknown " + key, false);
    }
  }
  report.close("images");
  check_bad(images, index, report);
  report.close("images bad");
}

void check_randaugment(const fs::path& folder, Report& report) {
  const fs::path augment = folder / "randaugment";
  const json meta = json::parse(read_file(augment / "meta.json"));
  const StateDict recorded = read_safetensors(augment / "ops.safetensors");
  for (const auto& [path, theirs] : recorded) {
    // image/OPERATION/LEVEL
    const std::size_t first = path.find('/'), last = path.rfind('/');
    if (first == last) continue;
    const Image input = as_image(recorded.at(path.substr(0, first) + "/input", "ops.safetensors"));
    const int level = static_cast<int>(std::strtol(path.c_str() + last + 1, nullptr, 10));
    const std::string name = path.substr(first + 1, last - first - 1);
    compare(report, path, run_op(input, meta.at("args"), name, level, report), theirs);
  }
  report.close("randaugment operations");
  for (const auto& [letter, size] : meta.at("sheet").at("cell_hw").items()) check_sheet(augment, letter, meta, report);
  report.close("randaugment sheets");
  for (const json& chain : meta.at("chains")) {
    const auto output = chain.at("output").get<std::string>();
    bool used_all = false;
    const Image ours =
        replay(as_image(recorded.at("small/input", "ops.safetensors")), chain.at("draws"), 7.0, used_all);
    compare(report, output, ours, recorded.at(output, "ops.safetensors"));
    report.expect(output + ": every draw used", used_all);
  }
  report.close("randaugment chains");
}

}  // namespace vicha::parity

#include "towers/torchscript_tower.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/sha256.h"
#include "models/in_parts.h"
#include "towers/json_fields.h"
#include "towers/torchscript_settings.h"

namespace vicha {
namespace {

using towers::OutputPlace;
using towers::TorchScriptSettings;

/// How far features may lie apart, of the largest number: joined operations round otherwise; so may a first run and one
/// that the executor has improved; and other numbers of pictures take other kernels, in bf16 perhaps.
constexpr double kRounding = 1e-4, kRerun = 1e-3, kOtherKernel = 1e-2;

/// The last line of an exception's text says what happened; those above are where. Cut, and without what a terminal
/// obeys.
std::string message_of(const std::exception& error) {
  const auto* torch = dynamic_cast<const c10::Error*>(&error);
  std::string text = torch != nullptr ? torch->what_without_backtrace() : error.what(), last;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    const bool frame = line.find_first_not_of(" ~^<-HERE.") == std::string::npos;
    if (!frame) last = line;
    begin = end + 1;
  }
  std::string shown;
  for (const char c : last) shown.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c);
  return shown.size() > 200 ? shown.substr(0, 200) + "…" : shown;
}

std::string shape_of(const at::Tensor& x) { return fmt::format("({})", fmt::join(x.sizes(), ", ")); }

fs::path settings_beside(const fs::path& file) {
  fs::path named = file, added = file;
  named.replace_extension(".json");
  added += ".json";
  for (const fs::path& candidate : {named, added}) {
    if (candidate != file && fs::is_regular_file(candidate)) return candidate;
  }
  throw DataError(
      file.string(),
      fmt::format("there is no {} beside it, which says what the network reads and gives", named.filename().string()),
      fmt::format("Write one: {}", towers::torchscript_example()));
}

std::string file_sha256(const fs::path& file) {
  const MappedFile bytes(file);
  Sha256 hash;
  hash.update({reinterpret_cast<const char*>(bytes.bytes().data()), bytes.bytes().size()});
  return hash.hex();
}

class TorchScriptTower final : public ImageTower {
 public:
  TorchScriptTower(fs::path file, fs::path json)
      : file_(std::move(file)),
        json_(std::move(json)),
        settings_(towers::torchscript_settings(towers::read_small(json_), json_.string())) {
    require_regular_file(file_);
    try {
      module_ = torch::jit::load(file_.string(), at::Device(at::kCPU));
    } catch (const std::exception& error) {
      throw DataError(file_.string(), fmt::format("LibTorch cannot load it as TorchScript: {}", message_of(error)),
                      "Save the network by torch.jit.script(model).save(FILE) or torch.jit.trace(…)");
    }
    if (!module_.find_method("forward")) throw DataError(file_.string(), "the script has no method 'forward'");
    module_.eval();
    arrange();
    input_ = settings_.input;
    identity_.kind = "torchscript";
    identity_.name = file_.filename().string();
    Sha256 hash;
    hash.update(file_sha256(file_));
    hash.update(fmt::format("\npooled {}, patches {}, {} skipped",
                            settings_.pooled ? settings_.pooled->describe() : "-",
                            settings_.patches ? settings_.patches->describe() : "-", settings_.skip_tokens));
    identity_.sha256 = hash.hex();
    identity_.view = input_.describe();
    // A network of batches behaves differently for one; two tell a dimension of the batch from one of 1.
    const Run tried = run(module_, at::zeros({2, 3, input_.height, input_.width}));
    pooled_width_ = tried.pooled.size(1);
    if (tried.patches.defined()) {
      patch_width_ = tried.patches.size(2);
      rows_ = tried.rows;
      columns_ = tried.columns;
    }
    require_steady();
    optimize();
  }

  std::int64_t pooled_width() const override { return pooled_width_; }
  std::int64_t patch_width() const override { return patch_width_; }
  std::int64_t batch() const override { return device().is_cpu() ? 8 : 64; }
  void to(const at::Device& device) override {
    try {
      module_.to(device);
    } catch (const std::exception& error) {
      throw DataError(file_.string(), fmt::format("cannot move to {}: {}", device.str(), message_of(error)));
    }
    device_ = device;
    arrange();
    optimize();
  }
  at::Device device() const override { return device_; }

  TowerFeatures encode(const at::Tensor& pixels, bool patches) const override {
    if (patches && patch_width_ == 0) {
      throw DataError(file_.string(), "gives no patches",
                      fmt::format("If it can, say so in {} ('output')", json_.string()));
    }
    if (pixels.dim() != 4 || pixels.size(1) != 3 || pixels.size(2) != input_.height || pixels.size(3) != input_.width) {
      throw DataError("pictures", fmt::format("have the shape {}, but {} reads (B, 3, {}, {})", shape_of(pixels),
                                              identity_.name, input_.height, input_.width));
    }
    const at::NoGradGuard no_grad;
    const std::int64_t count = pixels.size(0);
    const auto options = at::device(device_).dtype(at::kFloat);
    TowerFeatures out;
    out.rows = rows_;
    out.columns = columns_;
    out.pooled_BP = at::empty({count, pooled_width_}, options);
    if (patches) out.patches_BND = at::empty({count, rows_ * columns_, patch_width_}, options);
    if (count == 0) return out;
    // What a picture weighs in rows is not known: so much that a thread takes `batch` of them.
    const std::int64_t weight = std::max<std::int64_t>(1, tower_rows(device_) / batch());
    in_parts(
        count, device_, [&](std::int64_t) { return weight; },
        [&](std::int64_t begin, std::int64_t end) {
          const Run part = run(fast_ ? *fast_ : module_, pixels.slice(0, begin, end));
          check_width(part);
          out.pooled_BP.slice(0, begin, end).copy_(part.pooled);
          if (patches) out.patches_BND.slice(0, begin, end).copy_(part.patches);
        });
    return out;
  }

 private:
  struct Run {
    at::Tensor pooled, patches;
    std::int64_t rows = 0, columns = 0;
  };

  bool channels_last() const { return settings_.channels_last && device_.is_cpu(); }

  void arrange() {
    if (!channels_last()) return;
    const at::NoGradGuard no_grad;
    for (at::Tensor parameter : module_.parameters()) {
      if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(at::MemoryFormat::ChannelsLast));
    }
  }

  /// Freezes the network and joins what oneDNN does at once (batch norms become part of convolutions, activations of
  /// what they follow): convolutions are twice as fast. Not where LibTorch cannot do it, or where it would be more than
  /// another rounding.
  void optimize() {
    fast_.reset();
    if (!settings_.optimize || !device_.is_cpu()) return;
    const at::NoGradGuard no_grad;
    const at::Tensor pixels = noise(2);
    try {
      const Run plain = run(module_, pixels);
      const torch::jit::Module fast = torch::jit::optimize_for_inference(module_);
      bool same = true;
      for (int time = 0; time < 3; ++time) {  // the first runs only look at what there is to improve
        const Run other = run(fast, pixels);
        same = same && near(other, plain, kRounding);
      }
      if (same) fast_ = fast;
    } catch (const std::exception& error) {
      log::debug("{}: runs as it is: {}", file_.string(), message_of(error));
    }
  }

  /// Pictures of noise, the same every time.
  at::Tensor noise(std::int64_t count) const {
    const at::Tensor numbers =
        at::arange(count * 3 * input_.height * input_.width, at::kFloat).view({count, 3, input_.height, input_.width});
    return numbers.mul(0.7).sin_().mul_(2);
  }

  /// A network traced in training mode keeps its dropout, and norms of the batch's own moments, whatever `eval` says
  /// afterwards: its features would differ by run and by neighbours. A script that cannot read noise is left to
  /// `encode`, which quotes it.
  void require_steady() const {
    constexpr const char* kRemedy = "Call model.eval() before tracing";
    const at::Tensor pixels = noise(2), others = noise(3);
    others.slice(0, 1).mul_(3).add_(1);  // noise alone has the same moments in every picture
    Run first, again, elsewhere;
    try {
      first = run(module_, pixels);
      again = run(module_, pixels);
      elsewhere = run(module_, others);
    } catch (const DataError& error) {
      log::debug("{}: not tried on noise: {}", file_.string(), error.what());
      return;
    }
    if (!near(again, first, kRerun)) throw DataError(file_.string(), "its output changes from run to run", kRemedy);
    if (!near(first_of(elsewhere), first_of(first), kOtherKernel)) {
      throw DataError(file_.string(), "its output changes with the other pictures of the batch", kRemedy);
    }
  }

  static Run first_of(const Run& run) {
    Run first = run;
    first.pooled = run.pooled.slice(0, 0, 1);
    if (run.patches.defined()) first.patches = run.patches.slice(0, 0, 1);
    return first;
  }

  static bool near(const Run& a, const Run& b, double tolerance) {
    return near(a.pooled, b.pooled, tolerance) && near(a.patches, b.patches, tolerance);
  }
  /// Numbers that are not finite say nothing; who stores them refuses them by name.
  static bool near(const at::Tensor& a, const at::Tensor& b, double tolerance) {
    if (!a.defined() || !b.defined()) return a.defined() == b.defined();
    if (a.sizes() != b.sizes()) return false;
    const double off = (a - b).abs().max().item<double>(), largest = b.abs().max().item<double>();
    return !std::isfinite(off) || !std::isfinite(largest) || off <= tolerance * largest;
  }

  Run run(const torch::jit::Module& module, const at::Tensor& given) const {
    const at::NoGradGuard no_grad;
    const at::Tensor pixels =
        given.to(device_, at::kFloat)
            .contiguous(channels_last() ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
    c10::IValue output;
    try {
      output = torch::jit::Module(module).forward({pixels});
    } catch (const std::exception& error) {
      throw DataError(file_.string(),
                      fmt::format("the script fails on pictures of the shape {} on {}: {}", shape_of(pixels),
                                  device_.str(), message_of(error)),
                      fmt::format("If it wants another size, say so in {} ('image_size')", json_.string()));
    }
    Run made;
    if (settings_.patches) read_patches(made, tensor_at(output, *settings_.patches), pixels.size(0));
    if (settings_.pooled) {
      made.pooled = tensor_at(output, *settings_.pooled);
      if (made.pooled.dim() == 4 && made.pooled.size(2) == 1 && made.pooled.size(3) == 1) {
        made.pooled = made.pooled.flatten(1);  // global pooling often leaves (B, P, 1, 1)
      }
      if (made.pooled.dim() != 2 || made.pooled.size(0) != pixels.size(0) || made.pooled.size(1) == 0) {
        refuse(*settings_.pooled, made.pooled, "pooled", fmt::format("({}, P)", pixels.size(0)));
      }
    } else {
      made.pooled = made.patches.mean(at::IntArrayRef{1});
    }
    return made;
  }

  /// (B, D, rows, columns), or (B, tokens, D) of a square of patches.
  void read_patches(Run& made, at::Tensor map, std::int64_t count) const {
    const std::string wanted =
        fmt::format("({0}, D, rows, columns) or ({0}, {1}, D)", count,
                    settings_.skip_tokens > 0 ? fmt::format("{} + rows * rows", settings_.skip_tokens) : "rows * rows");
    if (map.dim() == 4 && map.size(0) == count && map.numel() > 0 && settings_.skip_tokens == 0) {
      made.rows = map.size(2);
      made.columns = map.size(3);
      made.patches = map.flatten(2).transpose(1, 2);
      return;
    }
    if (map.dim() != 3 || map.size(0) != count || map.numel() == 0) refuse(*settings_.patches, map, "patches", wanted);
    const std::int64_t tokens = map.size(1) - settings_.skip_tokens;
    made.rows = made.columns =
        tokens > 0 ? static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(tokens)))) : 0;
    if (tokens < 1 || made.rows * made.rows != tokens) refuse(*settings_.patches, map, "patches", wanted);
    made.patches = map.slice(1, settings_.skip_tokens);
  }

  void check_width(const Run& part) const {
    const bool same =
        part.pooled.size(1) == pooled_width_ &&
        (patch_width_ == 0 || (part.patches.size(2) == patch_width_ && part.rows == rows_ && part.columns == columns_));
    if (!same)
      throw DataError(file_.string(), "the script gives features of another shape than it gave a blank picture");
  }

  [[noreturn]] void refuse(const OutputPlace& place, const at::Tensor& got, const char* what,
                           const std::string& wanted) const {
    throw DataError(file_.string(), fmt::format("{} has the shape {}, but {} says it is \"{}\", of the shape {}",
                                                place.describe(), shape_of(got), json_.string(), what, wanted));
  }

  at::Tensor tensor_at(const c10::IValue& output, const OutputPlace& place) const {
    const c10::IValue* found = place.whole() ? &output : nullptr;
    c10::IValue item;
    if (output.isTuple() && !place.whole()) {
      const auto tuple = output.toTuple();
      auto index = place.index;
      const auto type = tuple->type();
      const auto& schema = type->schema();
      for (std::size_t i = 0; schema != nullptr && !index && i < schema->arguments().size(); ++i) {
        if (schema->arguments()[i].name() == place.name) index = static_cast<std::int64_t>(i);
      }
      if (index && *index < static_cast<std::int64_t>(tuple->elements().size())) {
        item = tuple->elements()[static_cast<std::size_t>(*index)];
        found = &item;
      }
    } else if (output.isList() && place.index) {
      const auto list = output.toListRef();
      if (*place.index < static_cast<std::int64_t>(list.size())) {
        item = list[static_cast<std::size_t>(*place.index)];
        found = &item;
      }
    } else if (output.isGenericDict() && !place.name.empty()) {
      const auto dict = output.toGenericDict();
      for (const auto& entry : dict) {
        if (!entry.key().isString() || entry.key().toStringRef() != place.name) continue;
        item = entry.value();
        found = &item;
      }
    }
    if (found == nullptr || !found->isTensor()) {
      throw DataError(file_.string(), fmt::format("gives {}, so {} is not a tensor", kind_of(output), place.describe()),
                      fmt::format("Say which of them it is in {}: \"name\": 0, or \"name\": \"…\"", json_.string()));
    }
    const at::Tensor tensor = found->toTensor();
    if (!tensor.is_floating_point()) {
      throw DataError(file_.string(), fmt::format("{} holds {}, not floating-point numbers", place.describe(),
                                                  c10::toString(tensor.scalar_type())));
    }
    if (tensor.device().type() != device_.type() || (device_.has_index() && tensor.device() != device_)) {
      throw DataError(
          file_.string(),
          fmt::format("{} lies on {}, but the tower is on {}", place.describe(), tensor.device().str(), device_.str()),
          "The script names a device of its own; save it for any device");
    }
    return tensor.to(at::kFloat);
  }

  static std::string kind_of(const c10::IValue& value) {
    if (value.isTensor()) return "one tensor";
    if (value.isTuple()) return fmt::format("a tuple of {}", value.toTuple()->elements().size());
    if (value.isList()) return fmt::format("a list of {}", value.toListRef().size());
    if (!value.isGenericDict()) return value.tagKind();
    std::string keys;
    const auto dict = value.toGenericDict();
    for (const auto& entry : dict) {
      if (entry.key().isString()) keys += (keys.empty() ? "'" : ", '") + entry.key().toStringRef() + "'";
    }
    return "a dictionary with " + keys;
  }

  const fs::path file_, json_;
  const TorchScriptSettings settings_;
  torch::jit::Module module_;
  std::optional<torch::jit::Module> fast_;  ///< what runs, where there is one
  at::Device device_ = at::kCPU;
  std::int64_t pooled_width_ = 0, patch_width_ = 0, rows_ = 0, columns_ = 0;
};

}  // namespace

std::unique_ptr<ImageTower> load_torchscript_tower(const fs::path& file) {
  if (!fs::exists(file)) throw DataError(file.string(), "is not there");
  if (fs::is_directory(file)) throw DataError(file.string(), "is a folder", "Wanted is a TorchScript file");
  return std::make_unique<TorchScriptTower>(file, settings_beside(file));
}

}  // namespace vicha

// The "towers" group: picture towers against transformers, by the plain path and by the fast one, at every recorded
// size. A set is NAME.config.json, NAME.io.safetensors and weights NAME.safetensors, NAME.KIND.safetensors, NAME.pth,
// ….
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/safetensors/safetensors.h"
#include "report.h"
#include "towers/registry.h"
#include "towers/vit_tower.h"

namespace vicha::parity {
namespace {

constexpr double kTolerance = 1e-4;  ///< absolute + relative

/// The worst |ours - theirs| / (1 + |theirs|); infinite if the shapes differ.
double mixed_error(const at::Tensor& ours, const at::Tensor& theirs) {
  if (!ours.defined() || ours.sizes() != theirs.sizes()) return 1e300;
  const at::Tensor a = ours.to(at::kDouble), b = theirs.to(at::kDouble);
  return ((a - b).abs() / (b.abs() + 1)).max().item<double>();
}

class TowerCheck {
 public:
  TowerCheck(const VitTower& tower, const StateDict& io, std::string name, Report& report)
      : tower_(tower), io_(io), name_(std::move(name)), report_(report) {}

  void run() {
    int sizes = 0;
    for (const auto& [key, stored] : io_) {
      if (!key.ends_with("pixel_values")) continue;
      ++sizes;
      size_ = key.substr(0, key.size() - std::string("pixel_values").size());
      const at::Tensor pixels = stored.to(at::kFloat);
      run_size(stored.is_floating_point() ? pixels : pixels / 32);
    }
    report_.expect(name_ + ": pictures are recorded", sizes > 0);
  }

 private:
  void run_size(const at::Tensor& pixels) {
    const VitNet::States states = tower_.net().states(pixels);
    compare("last_hidden_state", states.last, "plain");
    compare("pooler_output", states.pooled, "plain");
    for (std::size_t i = 0; i < states.hidden.size(); ++i) {
      const at::Tensor theirs = io_.find(size_ + "hidden." + std::to_string(i));
      if (!theirs.defined()) continue;
      // Of the first picture, or of all.
      compare("hidden." + std::to_string(i), theirs.dim() == 2 ? states.hidden[i][0] : states.hidden[i], "plain");
    }
    const VitTowerOptions& o = tower_.net().options();
    const TowerFeatures both = tower_.encode(pixels, true), alone = tower_.encode(pixels, false);
    compare("pooler_output", both.pooled_BP, "fast");
    compare("pooler_output", alone.pooled_BP, "fast, pooled alone");
    const at::Tensor last = io_.find(size_ + "last_hidden_state");
    if (last.defined()) {
      report_.add(name_ + ": " + size_ + "patches, fast",
                  mixed_error(both.patches_BND, last.slice(1, o.prefix + o.registers)), kTolerance);
    }
    // Pictures one by one take other products and other threads.
    std::vector<at::Tensor> rows;
    for (std::int64_t i = 0; i < pixels.size(0); ++i) {
      rows.push_back(tower_.encode(pixels.slice(0, i, i + 1), false).pooled_BP);
    }
    compare("pooler_output", at::cat(rows), "fast, one by one");
  }

  void compare(const std::string& what, const at::Tensor& ours, const char* path) {
    const at::Tensor theirs = io_.find(size_ + what);
    if (theirs.defined()) {
      report_.add(name_ + ": " + size_ + what + ", " + path, mixed_error(ours, theirs), kTolerance);
    }
  }

  const VitTower& tower_;
  const StateDict& io_;
  std::string name_, size_;
  Report& report_;
};

std::vector<fs::path> weights_of(const fs::path& folder, const std::string& set) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string(), ending = entry.path().extension().string();
    const bool weights = ending == ".safetensors" || ending == ".pt" || ending == ".pth" || ending == ".bin";
    if (weights && file.starts_with(set + ".") && !file.ends_with(".io.safetensors")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void check_tower_set(const fs::path& config, const std::string& set, Report& report) {
  const fs::path folder = config.parent_path();
  const auto prefix = tower_prefix_of_config(read_file(config));
  if (!prefix) throw DataError(config.string(), "is of no tower that is built");
  const StateDict io = read_safetensors(folder / (set + ".io.safetensors"));
  const std::vector<fs::path> files = weights_of(folder, set);
  report.expect(set + ": there are weights", !files.empty());
  for (const fs::path& file : files) {
    const auto tower = open_image_tower(*prefix + ":" + file.string());
    const auto* vit = dynamic_cast<const VitTower*>(tower.get());
    report.expect(set + ": is a vision transformer", vit != nullptr);
    if (vit != nullptr) TowerCheck(*vit, io, file.filename().string(), report).run();
  }
  report.close("towers " + set);
}

}  // namespace

void check_towers(const fs::path& folder, Report& report) {
  const std::string ending = ".config.json";
  std::vector<fs::path> configs;
  for (const auto& entry : fs::directory_iterator(folder / "towers")) {
    if (entry.path().filename().string().ends_with(ending)) configs.push_back(entry.path());
  }
  std::sort(configs.begin(), configs.end());
  report.expect("there is at least one set", !configs.empty());
  for (const fs::path& config : configs) {
    const std::string name = config.filename().string();
    check_tower_set(config, name.substr(0, name.size() - ending.size()), report);
  }
  if (configs.empty()) report.close("towers");
}

}  // namespace vicha::parity

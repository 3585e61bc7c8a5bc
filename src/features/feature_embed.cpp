#include "features/feature_embed.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/progress.h"
#include "concepts/embed/captions.h"
#include "concepts/embed/embed_job.h"
#include "concepts/store/store_format.h"
#include "towers/registry.h"

namespace vicha {
namespace {

constexpr std::int64_t kUsualCrops = 4, kMostCrops = 64;

/// A text's batch depends on the texts of its piece of the list alone, and a kill costs at most one piece.
constexpr std::int64_t kTextsAtOnce = 4096;

/// Places that spread evenly over a square (Roberts' R2 sequence), in whole hundredths, so that what the header says of
/// them is all there is.
PictureView crop_number(std::int64_t n) {
  const auto spread = [n](double step) {
    double whole = 0;
    return std::modf(0.5 + static_cast<double>(n + 1) * step, &whole);
  };
  const double side = 60 + std::floor(31 * spread(0.6180339887498949));
  PictureView view{.flip = n % 2 == 1};
  view.height = view.width = side / 100;
  view.top = std::floor((101 - side) * spread(0.7548776662466927)) / 100;
  view.left = std::floor((101 - side) * spread(0.5698402909980532)) / 100;
  return view;
}

/// Before a writer's own check, whose words are those of concepts.
void require_tower(const fs::path& file, const SourceWeights& weights) {
  if (!fs::exists(file)) return;
  const MappedFile map(file);
  const auto header = store_detail::decode_file_header(map.bytes(), file.string());
  if (!header || header->source.same(weights)) return;
  throw DataError(
      file.string(),
      fmt::format("holds features of {}, and this tower is {}", header->source.describe(), weights.describe()),
      "Name another file for this tower's features, or give the tower that made it");
}

}  // namespace

std::vector<PictureView> views_named(std::string_view name) {
  const auto refuse = [&] {
    throw UsageError(fmt::format("--views {}: known are flip, crops:N, flip+crops:N; N is 1 to {}", name, kMostCrops));
  };
  std::vector<PictureView> views = {PictureView{}};
  std::string_view left = name;
  if (left.starts_with("flip")) {
    views.push_back({.flip = true});
    left.remove_prefix(4);
    if (left.empty()) return views;
    if (!left.starts_with('+')) refuse();
    left.remove_prefix(1);
  }
  if (!left.starts_with("crops")) refuse();
  left.remove_prefix(5);
  std::int64_t count = kUsualCrops;
  if (!left.empty()) {
    const auto [end, error] = std::from_chars(left.data() + 1, left.data() + left.size(), count);
    if (left[0] != ':' || error != std::errc() || end != left.data() + left.size() || count < 1 || count > kMostCrops) {
      refuse();
    }
  }
  for (std::int64_t n = 0; n < count; ++n) views.push_back(crop_number(n));
  return views;
}

std::string describe_views(const std::vector<PictureView>& views) {
  if (views == std::vector<PictureView>{PictureView{}}) return "";
  std::string text;
  for (const PictureView& view : views) text += (text.empty() ? "" : "; ") + view.describe();
  return text;
}

bool is_text_tower(std::string_view spec) { return tower_prefix_of(spec) == "bert"; }

EmbedReport embed_features(const PictureEncoder& encoder, const ImageList& images, const fs::path& file,
                           const FeatureEmbedOptions& options) {
  VICHA_ASSERT(!options.views.empty());
  const auto views = static_cast<std::int64_t>(options.views.size());
  if (options.patches && encoder.patch_width() == 0) {
    throw DataError(encoder.weights().describe(), "gives no patches, so --patches has nothing to store");
  }
  FeatureLayout pooled{.views = views, .view_list = describe_views(options.views)}, patches = pooled;
  require_tower(file, encoder.weights());
  EmbedJob job;
  job.height = encoder.height();
  job.width = encoder.width();
  job.views = views;
  job.images_at_once = encoder.tower().batch() / views;
  job.prepare = [&](std::span<const std::uint8_t> bytes, std::string_view path, std::span<float> out) {
    encoder.prepare_views(bytes, path, options.views, out);
  };
  job.targets = {{file, encoder.weights(), {encoder.pooled_width(), views, options.embed.type, pooled}}};
  if (options.patches) {
    const PictureEncoder::Grid grid = encoder.grid();
    patches.kind = FeatureKind::kPatches;
    patches.rows = grid.rows;
    patches.columns = grid.columns;
    const fs::path beside = patches_beside(file);
    require_tower(beside, encoder.weights());
    job.targets.push_back({beside,
                           encoder.weights(),
                           {encoder.patch_width(), patches.vectors(), options.embed.type, patches},
                           encoder.pooled_width()});
  }
  job.encode = [&](const at::Tensor& pixels) {
    const TowerFeatures features = encoder.encode(pixels, options.patches);
    if (!options.patches) return features.pooled_BP.contiguous();
    return at::cat({features.pooled_BP, features.patches_BND.flatten(1)}, 1);
  };
  return embed_job(job, images, options.embed);
}

EmbedReport embed_texts(const TextEncoder& encoder, const std::vector<fs::path>& manifests, const fs::path& file,
                        const EmbedOptions& options) {
  check_embed_options(options);
  require_tower(file, encoder.weights());
  const StringPool captions = distinct_captions(manifests);
  const std::int64_t count =
      options.rank < captions.size() ? (captions.size() - options.rank - 1) / options.ranks + 1 : 0;
  const auto text = [&](std::int64_t mine) {
    return captions[static_cast<std::uint32_t>(options.rank + mine * options.ranks)];
  };
  EmbeddingStoreWriter writer(file, encoder.weights(),
                              {encoder.width(), 1, options.type, FeatureLayout{.kind = FeatureKind::kTexts}});
  EmbedReport report{.images = count};
  std::int64_t wordless = 0;
  Progress progress("embedding texts", "texts", count);
  for (std::int64_t begin = 0; begin < count; begin += kTextsAtOnce) {
    const std::int64_t end = std::min(begin + kTextsAtOnce, count);
    std::vector<std::string> keys;
    std::vector<std::int64_t> fresh;  // places in this piece
    std::vector<char> is_fresh(static_cast<std::size_t>(end - begin), 0);
    for (std::int64_t i = begin; i < end; ++i) {
      std::string key = caption_key(text(i));
      if (writer.content(key)) continue;
      is_fresh[static_cast<std::size_t>(i - begin)] = 1;
      fresh.push_back(i - begin);
      keys.push_back(std::move(key));
    }
    report.known += end - begin - static_cast<std::int64_t>(fresh.size());
    if (!fresh.empty()) {
      std::vector<TextTokens> tokens(static_cast<std::size_t>(end - begin));
      at::parallel_for(begin, end, 64, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t i = from; i < to; ++i) tokens[static_cast<std::size_t>(i - begin)] = encoder.tokens(text(i));
      });
      for (const std::int64_t i : fresh) {
        if (TextEncoder::is_empty(tokens[static_cast<std::size_t>(i)]) && wordless++ == 0) {
          log::warning("the text \"{}\" holds no word; it is embedded as an empty one, and so are others like it",
                       printable(text(begin + i)));
        }
      }
      const TextBatches batches(encoder, tokens);
      const auto wanted = [&](std::int64_t i) { return is_fresh[static_cast<std::size_t>(i)] != 0; };
      const at::Tensor rows = batches.rows(wanted, options.threads).index_select(0, at::tensor(fresh, at::kLong));
      writer.add(keys, std::vector<std::uint64_t>(keys.size(), 0), rows);
      report.embedded += static_cast<std::int64_t>(fresh.size());
    }
    progress.update(end, report.known);
  }
  writer.finish();
  if (wordless > 0) log::warning("{} of {} texts hold no word", wordless, count);
  report.seconds = progress.seconds();
  report.stores.push_back({file, fs::file_size(file), writer.loss()});
  return report;
}

}  // namespace vicha

#include "search/calibrate_index.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_set>

#include "base/error.h"
#include "base/log.h"
#include "data/manifest/manifest.h"
#include "search/background.h"
#include "search/embed_pictures.h"
#include "search/nearest_rows.h"

namespace vicha {
namespace {

std::span<const float> row_of(const at::Tensor& rows, std::int64_t i) {
  return {rows.const_data_ptr<float>() + i * rows.size(1), static_cast<std::size_t>(rows.size(1))};
}

class Asker {
 public:
  Asker(const Codes& codes, const StoredVectors& vectors, const at::Tensor& background)
      : codes_(codes), vectors_(vectors), background_(background) {}

  std::vector<Neighbour> hits(std::span<const float> unit, std::int64_t k) const {
    return nearest_rows(codes_, vectors_, unit, k, codes_.header().looked_at);
  }
  /// How all hits of a query stand.
  struct Ground {
    Spread spread;
    double familiarity;
    Standing standing(double cosine) const {
      return {cosine, spread.deviation > 1e-6 ? (cosine - spread.mean) / spread.deviation : 0, familiarity};
    }
  };
  Ground ground(std::span<const float> unit, std::int64_t left_out = -1) const {
    return {spread_of(codes_, unit), familiarity(background_, unit, left_out)};
  }
  /// Best hits; `own`: the texts are the background's, and none counts as near to itself.
  std::vector<Standing> best(const at::Tensor& texts, bool own) const {
    std::vector<Standing> all;
    for (std::int64_t i = 0; i < texts.size(0); ++i) {
      const std::span<const float> unit = row_of(texts, i);
      all.push_back(ground(unit, own ? i : -1).standing(hits(unit, 1).front().cosine));
    }
    return all;
  }

 private:
  const Codes& codes_;
  const StoredVectors& vectors_;
  const at::Tensor& background_;
};

/// A caption, and the pictures that have it.
struct CaptionOf {
  std::string text;
  std::vector<std::int64_t> files;
};

struct CaptionSet {
  std::vector<CaptionOf> captions;
  std::vector<std::filesystem::path> files;
};

/// Some of the captions, evenly spaced, each text once.
CaptionSet captions_of(const CalibrateOptions& options) {
  const Manifest manifest = Manifest::load(
      {options.manifest}, {.image_root = options.image_root, .strip_parts = options.strip_parts, .schema = {}});
  std::map<std::string, std::vector<std::int64_t>> images_of;  // of a text
  std::vector<std::string> texts;
  for (std::int64_t record = 0; record < manifest.size(); ++record) {
    for (const std::string_view caption : manifest.captions(record)) {
      auto& images = images_of[std::string(caption)];
      if (images.empty()) texts.emplace_back(caption);
      images.push_back(manifest.image_number(record));
    }
  }
  if (texts.empty()) {
    throw DataError(options.manifest.string(), "has no captions to calibrate by",
                    "Give a manifest with captions, or leave --calibrate out");
  }
  CaptionSet set;
  std::map<std::int64_t, std::int64_t> number_of_image;
  const auto count = std::min<std::int64_t>(options.most_captions, static_cast<std::int64_t>(texts.size()));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string& text = texts[static_cast<std::size_t>(i) * texts.size() / static_cast<std::size_t>(count)];
    CaptionOf& caption = set.captions.emplace_back(CaptionOf{text, {}});
    for (const std::int64_t image : images_of[text]) {
      const auto [at, fresh] = number_of_image.try_emplace(image, static_cast<std::int64_t>(set.files.size()));
      if (fresh) set.files.emplace_back(manifest.image_file(image));
      caption.files.push_back(at->second);
    }
  }
  return set;
}

/// A caption's hits as a search would show them if its own pictures were in the index; right are those.
std::vector<LabelledStanding> hits_of_caption(const Asker& asker, std::span<const float> unit,
                                              const Asker::Ground& ground, const CaptionOf& caption,
                                              const EmbeddedFiles& pictures,
                                              const std::vector<std::optional<std::int64_t>>& rows, std::int64_t k) {
  std::unordered_set<std::int64_t> own;
  std::vector<LabelledStanding> hits;
  for (const std::int64_t file : caption.files) {
    if (const auto row = rows[static_cast<std::size_t>(file)]) {
      own.insert(*row);
    } else if (pictures.readings[static_cast<std::size_t>(file)].cause.empty()) {
      double cosine = 0;
      const std::span<const float> picture = row_of(pictures.unit, file);
      for (std::size_t j = 0; j < unit.size(); ++j)
        cosine += static_cast<double>(unit[j]) * static_cast<double>(picture[j]);
      hits.push_back({ground.standing(cosine), true});
    }
  }
  for (const Neighbour& n : asker.hits(unit, k)) hits.push_back({ground.standing(n.cosine), own.contains(n.row)});
  std::stable_sort(hits.begin(), hits.end(),
                   [](const auto& a, const auto& b) { return a.standing.cosine > b.standing.cosine; });
  if (static_cast<std::int64_t>(hits.size()) > k) hits.resize(static_cast<std::size_t>(k));
  return hits;
}

CalibrationQueries by_captions(const Asker& asker, SearchModel& model,
                               const std::function<std::optional<std::int64_t>(std::uint64_t)>& row_of_content,
                               const CalibrateOptions& options) {
  const CaptionSet set = captions_of(options);
  log::info("calibrating by {} captions of {}", set.captions.size(), options.manifest.string());
  const EmbeddedFiles pictures = embed_files(model, set.files);
  std::vector<std::optional<std::int64_t>> rows;
  std::int64_t unread = 0;
  for (const PictureReading& reading : pictures.readings) {
    rows.push_back(reading.cause.empty() ? row_of_content(reading.content) : std::nullopt);
    unread += reading.cause.empty() ? 0 : 1;
  }
  if (unread == static_cast<std::int64_t>(set.files.size())) {
    throw DataError(options.manifest.string(),
                    "none of its pictures can be read; the first: " + pictures.readings.front().cause,
                    "Give --calibrate-root, the folder that its pictures' names begin in");
  }
  if (unread > 0)
    log::warning("{}: {} pictures cannot be read; their captions count as not found", options.manifest.string(),
                 unread);
  std::vector<std::string> texts;
  for (const CaptionOf& caption : set.captions) texts.push_back(caption.text);
  const at::Tensor units = embed_unit_texts(model, texts);
  CalibrationQueries examples;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::span<const float> unit = row_of(units, static_cast<std::int64_t>(i));
    examples.queries.push_back(
        hits_of_caption(asker, unit, asker.ground(unit), set.captions[i], pictures, rows, options.hits));
  }
  return examples;
}

}  // namespace

double familiarity(const at::Tensor& background, std::span<const float> unit, std::int64_t left_out) {
  double nearest = -1;
  for (std::int64_t i = 0; i < background.size(0); ++i) {
    if (i == left_out) continue;
    double cosine = 0;
    const std::span<const float> text = row_of(background, i);
    for (std::size_t j = 0; j < unit.size(); ++j) cosine += static_cast<double>(unit[j]) * static_cast<double>(text[j]);
    nearest = std::max(nearest, cosine);
  }
  return nearest;
}

std::vector<double> nearest_others(const Codes& codes, const StoredVectors& vectors, std::int64_t pictures) {
  std::vector<double> cosines;
  const std::int64_t count = std::min(pictures, codes.rows());
  std::vector<float> unit(static_cast<std::size_t>(codes.width()));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t row = i * codes.rows() / count;
    vectors.unit(row, unit);
    for (const Neighbour& n : nearest_rows(codes, vectors, unit, 2, codes.header().looked_at)) {
      if (n.row == row) continue;
      cosines.push_back(n.cosine);
      break;
    }
  }
  std::sort(cosines.begin(), cosines.end());
  return cosines;
}

Calibration calibrate_index(const Codes& codes, const StoredVectors& vectors, SearchModel& model,
                            const at::Tensor& background,
                            const std::function<std::optional<std::int64_t>(std::uint64_t)>& row_of_content,
                            const CalibrateOptions& options) {
  const Asker asker(codes, vectors, background);
  CalibrationQueries examples;
  const bool captions = !options.manifest.empty();
  if (captions) {
    examples = by_captions(asker, model, row_of_content, options);
  } else {
    for (const Standing& s : asker.best(background, true)) {
      examples.queries.push_back({{s, true}});
    }
  }
  examples.nonsense = asker.best(embed_unit_texts(model, nonsense_texts(options.nonsense)), false);
  Calibration result = calibrate(examples, captions ? CalibratedBy::kCaptions : CalibratedBy::kBackground);
  result.nearest_other = nearest_others(codes, vectors, options.pictures);
  if (captions) result.manifest = std::filesystem::absolute(options.manifest).lexically_normal().string();
  return result;
}

}  // namespace vicha

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
  Asker(const Codes& codes, const StoredVectors& vectors) : codes_(codes), vectors_(vectors) {}

  std::vector<Neighbour> hits(std::span<const float> unit, std::int64_t k) const {
    return nearest_rows(codes_, vectors_, unit, k, codes_.header().looked_at);
  }
  static Standing standing(double cosine, const Spread& spread) {
    return {cosine, spread.deviation > 1e-6 ? (cosine - spread.mean) / spread.deviation : 0};
  }
  std::vector<Standing> best(const at::Tensor& texts) const {
    std::vector<Standing> all;
    for (std::int64_t i = 0; i < texts.size(0); ++i) {
      const std::span<const float> unit = row_of(texts, i);
      all.push_back(standing(hits(unit, 1).front().cosine, spread_of(codes_, unit)));
    }
    return all;
  }
  const Codes& codes() const { return codes_; }

 private:
  const Codes& codes_;
  const StoredVectors& vectors_;
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
std::vector<LabelledStanding> hits_of_caption(const Asker& asker, std::span<const float> unit, const Spread& spread,
                                              const CaptionOf& caption, const EmbeddedFiles& pictures,
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
      hits.push_back({Asker::standing(cosine, spread), true});
    }
  }
  for (const Neighbour& n : asker.hits(unit, k))
    hits.push_back({Asker::standing(n.cosine, spread), own.contains(n.row)});
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
        hits_of_caption(asker, unit, spread_of(asker.codes(), unit), set.captions[i], pictures, rows, options.hits));
  }
  return examples;
}

}  // namespace

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
                            const std::function<std::optional<std::int64_t>(std::uint64_t)>& row_of_content,
                            const CalibrateOptions& options) {
  const Asker asker(codes, vectors);
  CalibrationQueries examples;
  const bool captions = !options.manifest.empty();
  if (captions) {
    examples = by_captions(asker, model, row_of_content, options);
  } else {
    for (const Standing& s : asker.best(embed_unit_texts(model, background_texts()))) {
      examples.queries.push_back({{s, true}});
    }
  }
  examples.nonsense = asker.best(embed_unit_texts(model, nonsense_texts(options.nonsense)));
  Calibration result = calibrate(examples, captions ? CalibratedBy::kCaptions : CalibratedBy::kBackground);
  result.nearest_other = nearest_others(codes, vectors, options.pictures);
  if (captions) result.manifest = std::filesystem::absolute(options.manifest).lexically_normal().string();
  return result;
}

}  // namespace vicha

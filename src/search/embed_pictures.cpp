#include "search/embed_pictures.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <new>
#include <span>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "concepts/embed/embed.h"
#include "models/image_pipeline.h"
#include "search/index_files.h"
#include "search/picture_hash.h"

namespace vicha {
namespace {

constexpr std::string_view kNoVector = "the model gives no finite vector for it";

/// Row by row at length 1; false for those that cannot be.
std::vector<bool> normalise(at::Tensor& rows) {
  rows = rows.to(at::kFloat).contiguous();
  const std::int64_t width = rows.size(1);
  std::vector<bool> right;
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    float* row = rows.data_ptr<float>() + i * width;
    double square = 0;
    for (std::int64_t j = 0; j < width; ++j) square += static_cast<double>(row[j]) * static_cast<double>(row[j]);
    const bool can = std::isfinite(square) && square > 1e-30;
    const double scale = can ? 1 / std::sqrt(square) : 0;
    for (std::int64_t j = 0; j < width; ++j) {
      row[j] = can ? static_cast<float>(static_cast<double>(row[j]) * scale) : 0.0f;
    }
    right.push_back(can);
  }
  return right;
}

std::span<const std::uint8_t> as_bytes(const std::string& file) {
  return {reinterpret_cast<const std::uint8_t*>(file.data()), file.size()};
}

/// Calls `work`; what is wrong with a file goes to its reading.
template <class Work>
bool noting(PictureReading& reading, Work&& work) {
  try {
    return work();
  } catch (const DataError& error) {
    reading.cause = error.what();
  } catch (const std::bad_alloc&) {
    reading.cause = "there is not enough memory to read it";
  }
  return false;
}

ImagePipeline pipeline_of(SearchModel& model, const EmbedPicturesOptions& options) {
  ImagePipeline pipeline;
  pipeline.side = model.towers->side();
  pipeline.batch = options.batch > 0 ? options.batch : std::max<std::int64_t>(1, model.towers->batch());
  pipeline.threads = options.threads;
  pipeline.encode = [&model](const at::Tensor& pixels) { return model.towers->embed_images(pixels); };
  return pipeline;
}

}  // namespace

std::vector<PictureReading> embed_pictures(SearchModel& model, const std::vector<const ListedPicture*>& pictures,
                                           const std::function<bool(std::uint64_t)>& known,
                                           EmbeddingStoreWriter& journal, const EmbedPicturesOptions& options,
                                           std::int64_t& embedded) {
  const auto count = static_cast<std::int64_t>(pictures.size());
  std::vector<PictureReading> readings(pictures.size());
  std::vector<std::uint64_t> hashes(pictures.size(), 0);
  const auto planes = 3 * static_cast<std::size_t>(model.hash_side) * static_cast<std::size_t>(model.hash_side);
  Progress progress("indexing pictures", "pictures", count);
  std::int64_t passed_over = 0;
  ImagePipeline pipeline = pipeline_of(model, options);
  pipeline.read = [&](std::int64_t i, std::span<float> out) {
    const auto at = static_cast<std::size_t>(i);
    return noting(readings[at], [&] {
      const fs::path& path = pictures[at]->path;
      const std::string file = read_file(path);
      if (file.empty()) throw DataError(path.string(), "is empty");
      const std::uint64_t content = content_hash(as_bytes(file));
      readings[at].content = content;
      if (known(content) || journal.content(content_key(content))) return false;
      model.towers->prepare(as_bytes(file), path.string(), out);
      hashes[at] = picture_hash(out.first(planes), model.hash_side);
      return true;
    });
  };
  pipeline.done = [&](const ImageBatch& batch) {
    passed_over += batch.end - batch.begin - static_cast<std::int64_t>(batch.images.size());
    if (!batch.images.empty()) {
      at::Tensor rows = batch.rows;
      const std::vector<bool> right = normalise(rows);
      std::vector<std::string> keys;
      std::vector<std::uint64_t> contents;
      std::vector<std::int64_t> kept;
      for (std::size_t b = 0; b < batch.images.size(); ++b) {
        const auto at = static_cast<std::size_t>(batch.images[b]);
        const std::string key = content_key(readings[at].content);
        if (!right[b]) {
          readings[at].cause = fmt::format("{}: {}", pictures[at]->path.string(), kNoVector);
        } else if (!journal.content(key) && std::find(keys.begin(), keys.end(), key) == keys.end()) {
          keys.push_back(key);  // of files with the same content the first
          contents.push_back(hashes[at]);
          kept.push_back(static_cast<std::int64_t>(b));
        }
      }
      if (!keys.empty()) journal.add(keys, contents, rows.index_select(0, at::tensor(kept, at::kLong)));
      embedded += static_cast<std::int64_t>(keys.size());
    }
    progress.update(batch.end, passed_over);
  };
  pipeline.run(count);
  journal.finish();
  return readings;
}

EmbeddedFiles embed_files(SearchModel& model, const std::vector<fs::path>& files) {
  EmbeddedFiles result{at::zeros({static_cast<std::int64_t>(files.size()), model.towers->width()}, at::kFloat),
                       std::vector<PictureReading>(files.size())};
  ImagePipeline pipeline = pipeline_of(model, {});
  pipeline.batch =
      std::min<std::int64_t>(pipeline.batch, std::max<std::int64_t>(1, static_cast<std::int64_t>(files.size())));
  pipeline.read = [&](std::int64_t i, std::span<float> out) {
    PictureReading& reading = result.readings[static_cast<std::size_t>(i)];
    return noting(reading, [&] {
      const fs::path& path = files[static_cast<std::size_t>(i)];
      const std::string file = read_file(path);
      reading.content = content_hash(as_bytes(file));
      model.towers->prepare(as_bytes(file), path.string(), out);
      return true;
    });
  };
  pipeline.done = [&](const ImageBatch& batch) {
    if (batch.images.empty()) return;
    at::Tensor rows = batch.rows;
    const std::vector<bool> right = normalise(rows);
    for (std::size_t b = 0; b < batch.images.size(); ++b) {
      result.unit[batch.images[b]].copy_(rows[static_cast<std::int64_t>(b)]);
      if (!right[b]) result.readings[static_cast<std::size_t>(batch.images[b])].cause = kNoVector;
    }
  };
  pipeline.run(static_cast<std::int64_t>(files.size()));
  return result;
}

at::Tensor embed_unit_texts(SearchModel& model, const std::vector<std::string>& texts) {
  at::Tensor rows = model.towers->embed_texts(texts);
  const std::vector<bool> right = normalise(rows);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (!right[i]) {
      throw DataError(fmt::format("\"{}\"", texts[i]), kNoVector, "Use other words, or look at the model's weights");
    }
  }
  return rows;
}

}  // namespace vicha

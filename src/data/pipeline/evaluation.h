// Images and texts of an evaluation: in the manifest's order, nothing random, nothing left out. The texts are captions,
// or what the schema's TextRule says: questions, sentences, one a record, perhaps about several images.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/manifest/manifest.h"
#include "data/pipeline/batch_queue.h"
#include "data/pipeline/data_options.h"
#include "data/pipeline/picture_features.h"
#include "data/pipeline/sample_maker.h"
#include "models/batch.h"

namespace vicha {

/// What texts and concepts are padded to at least; 0: to the longest of the batch; -1: to as many tokens as the data
/// options allow, with which retrieval and grounding are evaluated (25 and 55; method, section 1).
struct EvaluationPadding {
  /// Of concepts: to the longest of the whole set, which the size of batches does not change.
  static constexpr std::int64_t kLongestOfSet = -2;
  std::int64_t text = -1;
  std::int64_t concepts = -1;
  std::int64_t least_concepts = 1;  ///< with kLongestOfSet: though none of the set has so many
};

/// Records of one file are one image, whose captions follow each other, whatever its ids say; links count as the file
/// they lead to. Where ids and files disagree the log says so once. Images and captions are numbered in the order in
/// which the manifest names them first; an image's captions keep theirs. Images of the schema's columns are among the
/// images; texts follow each other by the first of theirs.
class EvaluationSet {
 public:
  EvaluationSet(std::shared_ptr<const Manifest> manifest, std::shared_ptr<const WordPiece> tokenizer,
                const DataOptions& options, const EvaluationPadding& padding = {});

  std::int64_t image_count() const { return static_cast<std::int64_t>(images_.size()); }
  std::int64_t caption_count() const { return static_cast<std::int64_t>(captions_.size()); }

  /// The image of each caption, ascending.
  const std::vector<std::int64_t>& caption_images() const { return caption_images_; }
  /// All images that a text is about: its record's own, then those of the columns.
  std::vector<std::int64_t> images_of(std::int64_t caption) const;
  std::string_view caption(std::int64_t number) const;  ///< as the manifest has it
  std::int64_t caption_record(std::int64_t number) const { return captions_[static_cast<std::size_t>(number)].record; }
  std::string_view image_path(std::int64_t image) const { return manifest_->image_file(image_number(image)); }
  /// The record that names it first.
  std::int64_t image_record(std::int64_t image) const { return images_[static_cast<std::size_t>(image)].record; }
  /// Manifest::image_number of its file.
  std::int64_t image_number(std::int64_t image) const { return images_[static_cast<std::size_t>(image)].number; }

  /// Tokens of captions first … first + count - 1.
  Tokens captions(std::int64_t first, std::int64_t count) const;
  Tokens captions(std::span<const std::int64_t> numbers) const;
  /// Concepts of images first … first + count - 1: all of them, in order. Undefined if the options switch them off.
  Tokens concepts(std::int64_t first, std::int64_t count) const;
  Tokens concepts(std::span<const std::int64_t> images) const;
  /// The words of one.
  std::vector<std::string_view> concept_words(std::int64_t image) const;
  /// Tokens that `concepts` gives each of some images at most.
  std::int64_t concept_tokens() const;
  /// Concepts found in the images themselves, a list for each, instead of the manifest's.
  void set_concepts(std::vector<std::vector<std::string>> words);
  bool has_concepts() const { return text_.has_concepts(); }
  /// For a model that reads features of its pictures: those of the set's manifest. Its files are not read then.
  void set_features(std::shared_ptr<const PictureFeatures> features) { features_ = std::move(features); }

  const Manifest& manifest() const { return *manifest_; }

 private:
  friend class EvaluationImages;
  struct Caption {
    std::int64_t record, which;
  };
  struct Image {
    std::int64_t record, number;
    std::int64_t column;  ///< of the schema's columns of images; -1: the record's own
  };
  void add_images();
  /// Of all images, where concepts are padded to the longest of the set.
  void measure_concepts();
  std::vector<std::int64_t> concept_ids(std::int64_t image) const;

  std::shared_ptr<const Manifest> manifest_;
  DataOptions options_;
  EvaluationPadding padding_;
  SampleText text_;
  std::vector<Image> images_;
  std::vector<std::int64_t> place_of_;  // of each Manifest::image_number, its image here
  std::vector<Caption> captions_;
  std::vector<std::int64_t> caption_images_;
  std::vector<std::vector<std::string>> found_concepts_;  // empty: the manifest's
  std::shared_ptr<const PictureFeatures> features_;       // null: pixels
};

/// The images in batches, read ahead by worker threads; the last batch may be smaller.
class EvaluationImages {
 public:
  /// Images first … last - 1; `last` -1: all from `first` on.
  EvaluationImages(std::shared_ptr<const EvaluationSet> set, std::int64_t batch_size, std::int64_t first = 0,
                   std::int64_t last = -1);
  /// Any images, in batches of any sizes but 0.
  EvaluationImages(std::shared_ptr<const EvaluationSet> set, std::vector<std::vector<std::int64_t>> batches);

  /// `image`, `concepts`, `image_ids` (the images' numbers) and `records`; nothing after the last batch.
  /// Throws DataError naming manifest, record and remedy if an image cannot be read: a result without it would be
  /// another result.
  std::optional<Batch> next();

 private:
  /// The images of a batch; none after the last one.
  using BatchImages = std::function<std::vector<std::int64_t>(std::int64_t number)>;
  EvaluationImages(std::shared_ptr<const EvaluationSet> set, BatchImages images);
  void read(const Sample& sample, std::span<float> out) const;

  std::shared_ptr<const EvaluationSet> set_;
  BatchImages images_;
  ImageTransform transform_;
  BatchQueue queue_;
};

}  // namespace vicha

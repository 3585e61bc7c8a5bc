// One training sample, from its record to tokens and normalised pixels, or a picture's features.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "data/manifest/manifest.h"
#include "data/pipeline/bad_images.h"
#include "data/pipeline/data_options.h"
#include "data/pipeline/images.h"
#include "data/pipeline/picture_features.h"
#include "image/transform.h"
#include "text/wordpiece/wordpiece.h"

namespace vicha {

/// A sample without its pixels.
struct Sample {
  std::int64_t record = -1;  ///< whose sample it is; -1: no readable image was found
  std::vector<std::int64_t> text, concepts;
  std::vector<std::vector<std::int64_t>> further_concepts;  ///< of the pictures of the schema's columns
  std::int64_t image_id = 0, caption_id = 0;
  SeenPart seen;                                ///< of the picture; with features the whole of their view
  std::int64_t view = 0;                        ///< of the features
  std::vector<std::string_view> concept_words;  ///< what `concepts` are tokens of; the manifest's
  std::vector<std::int64_t> passed_over;        ///< records before it whose images are bad, in order
};

/// Texts and concepts as token ids.
class SampleText {
 public:
  /// `rule`: the task's (Schema::text).
  SampleText(std::shared_ptr<const WordPiece> tokenizer, const DataOptions& options, const TextRule& rule = {});

  /// As the models were trained: cleaned unless data.clean is false, cut, [CLS] first, and [SEP] last with
  /// data.sep_token.
  std::string clean(std::string_view text) const;
  std::vector<std::int64_t> encode(std::string_view cleaned) const;
  /// Whether these are the special tokens around nothing.
  bool is_empty(std::span<const std::int64_t> ids) const { return ids.size() <= (framing_ == Framing::kCls ? 1U : 2U); }
  /// Joined, [CLS] first; an empty list is one token.
  std::vector<std::int64_t> encode_concepts(std::span<const std::string_view> words) const;
  /// What training shows of an image's concepts.
  std::vector<std::string_view> draw_concepts(std::span<const std::string_view> words, Rng& rng) const;

  std::int64_t pad_id() const { return tokenizer_->vocabulary().pad_id(); }
  bool has_concepts() const { return concepts_.enabled; }

 private:
  std::shared_ptr<const WordPiece> tokenizer_;
  TextCleaning cleaning_;
  std::size_t max_words_, max_tokens_;
  Framing framing_;
  bool clean_;
  ConceptInputOptions concepts_;
};

/// The same number for the same text, on every machine.
std::int64_t text_id(std::string_view text);

/// Thread-safe. A sample depends on (seed, epoch, record) only: not on who makes it or when.
class SampleMaker {
 public:
  /// `max_bad`: after more bad images in a row the search for a readable one is given up. `features`: read instead of
  /// the images' files, unless null.
  SampleMaker(std::shared_ptr<const Manifest> manifest, std::shared_ptr<const WordPiece> tokenizer,
              const DataOptions& options, std::uint64_t seed, std::int64_t max_bad,
              std::shared_ptr<const PictureFeatures> features = {});

  /// Pixels go to `out` (3, R, R), or features (N, P); those of further pictures, which the schema's columns name, to
  /// the rest of the list. A record of which an image cannot be read gives way to the next one of the manifest.
  Sample make(std::int64_t epoch, std::int64_t record, const std::vector<std::span<float>>& out);

  const Manifest& manifest() const { return images_.manifest(); }
  const SampleText& text() const { return text_; }
  const BadImages& bad_images() const { return bad_; }

 private:
  /// The picture of that number into `out`, augmented by `rng`; false if it cannot be read. What is seen of the
  /// record's own picture is noted in `sample`, which is null for others.
  bool show(std::int64_t image, Rng& rng, std::span<float> out, Sample* sample);

  Images images_;
  BadImages bad_;
  ImageTransform transform_;
  SampleText text_;
  std::uint64_t seed_;
  std::int64_t max_bad_;
  std::shared_ptr<const PictureFeatures> features_;
  bool whole_;  ///< of their views the first alone
};

}  // namespace vicha

#include "data/pipeline/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "data/manifest/identity.h"
#include "data/manifest/image_names.h"
#include "data/pipeline/collate.h"
#include "image/decode.h"

namespace vicha {
namespace {

/// `file_of`: as same_files gives it.
void warn_of_identity(const Manifest& manifest, const std::vector<std::int64_t>& file_of) {
  const IdConflicts conflicts = find_id_conflicts(manifest);
  const std::string file = manifest.file(0).string();
  if (conflicts.files > 0) {
    log::warning("{}: {} pictures have several image_ids; each counts as one picture, by its file. The first: {}", file,
                 conflicts.files, conflicts.first_file);
  }
  if (conflicts.ids > 0) {
    log::warning("{}: {} image_ids stand for several files; each file counts as a picture. The first: {}", file,
                 conflicts.ids, conflicts.first_id);
  }
  std::int64_t links = 0, first = -1;
  for (std::size_t image = 0; image < file_of.size(); ++image) {
    if (file_of[image] == static_cast<std::int64_t>(image)) continue;
    if (links++ == 0) first = static_cast<std::int64_t>(image);
  }
  if (links > 0) {
    log::warning(
        "{}: {} names are links to, or other spellings of, files that have another name too; each file counts "
        "as one picture. The first: {} is {}",
        file, links, manifest.image_file(first), manifest.image_file(file_of[static_cast<std::size_t>(first)]));
  }
}

}  // namespace

EvaluationSet::EvaluationSet(std::shared_ptr<const Manifest> manifest, std::shared_ptr<const WordPiece> tokenizer,
                             const DataOptions& options, const EvaluationPadding& padding)
    : manifest_(std::move(manifest)),
      options_(options),
      padding_(padding),
      text_(std::move(tokenizer), options, manifest_->schema().text) {
  if (padding_.text == -1) padding_.text = options.max_tokens;
  if (padding_.concepts == -1) padding_.concepts = options.concepts.max_tokens;
  add_images();
  std::vector<std::vector<std::int64_t>> records_of(images_.size());
  for (std::int64_t record = 0; record < manifest_->size(); ++record) {
    const std::int64_t image = place_of_[static_cast<std::size_t>(manifest_->image_number(record))];
    records_of[static_cast<std::size_t>(image)].push_back(record);
  }
  const bool one_text = !manifest_->schema().text.field.empty();
  for (std::size_t image = 0; image < records_of.size(); ++image) {
    for (const std::int64_t record : records_of[image]) {
      const std::int64_t count = one_text ? 1 : manifest_->caption_count(record);
      for (std::int64_t which = 0; which < count; ++which) {
        captions_.push_back({record, which});
        caption_images_.push_back(static_cast<std::int64_t>(image));
      }
    }
  }
  measure_concepts();
}

void EvaluationSet::add_images() {
  const std::vector<std::int64_t> file_of = same_files(*manifest_);
  warn_of_identity(*manifest_, file_of);
  place_of_.assign(file_of.size(), -1);
  for (std::int64_t record = 0; record < manifest_->size(); ++record) {
    const std::vector<std::int64_t> numbers = manifest_->image_numbers(record);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const std::int64_t number = numbers[i], file = file_of[static_cast<std::size_t>(number)];
      std::int64_t& place = place_of_[static_cast<std::size_t>(file)];
      if (place < 0) {
        place = image_count();
        images_.push_back({record, number, static_cast<std::int64_t>(i) - 1});
      }
      place_of_[static_cast<std::size_t>(number)] = place;
    }
  }
}

void EvaluationSet::measure_concepts() {
  const bool known = !found_concepts_.empty() || manifest_->schema().concepts;
  if (!text_.has_concepts() || !known || padding_.concepts != EvaluationPadding::kLongestOfSet) return;
  std::size_t longest = 1;
  for (std::int64_t image = 0; image < image_count(); ++image) {
    longest = std::max(longest, concept_ids(image).size());
  }
  padding_.concepts = std::max(padding_.least_concepts, static_cast<std::int64_t>(longest));
}

std::string_view EvaluationSet::caption(std::int64_t number) const {
  const Caption& caption = captions_[static_cast<std::size_t>(number)];
  const std::string& field = manifest_->schema().text.field;
  if (!field.empty()) return manifest_->column<TextColumn>(field)[caption.record];
  return manifest_->caption(caption.record, caption.which);
}

std::vector<std::int64_t> EvaluationSet::images_of(std::int64_t number) const {
  std::vector<std::int64_t> images = manifest_->image_numbers(caption_record(number));
  for (std::int64_t& image : images) image = place_of_[static_cast<std::size_t>(image)];
  return images;
}

Tokens EvaluationSet::captions(std::int64_t first, std::int64_t count) const {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), first);
  return captions(numbers);
}

Tokens EvaluationSet::captions(std::span<const std::int64_t> numbers) const {
  std::vector<std::vector<std::int64_t>> rows;
  for (const std::int64_t number : numbers) {
    VICHA_ASSERT(number >= 0 && number < caption_count());
    rows.push_back(text_.encode(text_.clean(caption(number))));
  }
  std::vector<const std::vector<std::int64_t>*> pointers;
  for (const auto& row : rows) pointers.push_back(&row);
  return collate_tokens(pointers, text_.pad_id(), padding_.text);
}

std::vector<std::string_view> EvaluationSet::concept_words(std::int64_t image) const {
  if (!found_concepts_.empty()) {
    const auto& words = found_concepts_[static_cast<std::size_t>(image)];
    return {words.begin(), words.end()};
  }
  const Image& place = images_[static_cast<std::size_t>(image)];
  if (place.column < 0) return manifest_->concepts(place.record);
  return manifest_->further_concepts(place.record, static_cast<std::size_t>(place.column));
}

std::vector<std::int64_t> EvaluationSet::concept_ids(std::int64_t image) const {
  return text_.encode_concepts(concept_words(image));
}

std::int64_t EvaluationSet::concept_tokens() const {
  if (!text_.has_concepts()) return 0;
  return padding_.concepts > 0 ? padding_.concepts : options_.concepts.max_tokens;
}

Tokens EvaluationSet::concepts(std::int64_t first, std::int64_t count) const {
  std::vector<std::int64_t> images(static_cast<std::size_t>(count));
  std::iota(images.begin(), images.end(), first);
  return concepts(images);
}

Tokens EvaluationSet::concepts(std::span<const std::int64_t> images) const {
  if (!text_.has_concepts()) return {};
  std::vector<std::vector<std::int64_t>> rows;
  for (const std::int64_t image : images) {
    VICHA_ASSERT(image >= 0 && image < image_count());
    rows.push_back(concept_ids(image));
  }
  std::vector<const std::vector<std::int64_t>*> pointers;
  for (const auto& row : rows) pointers.push_back(&row);
  return collate_tokens(pointers, text_.pad_id(), padding_.concepts);
}

void EvaluationSet::set_concepts(std::vector<std::vector<std::string>> words) {
  VICHA_ASSERT(static_cast<std::int64_t>(words.size()) == image_count());
  found_concepts_ = std::move(words);
  measure_concepts();
}

EvaluationImages::EvaluationImages(std::shared_ptr<const EvaluationSet> set, std::int64_t batch_size,
                                   std::int64_t first, std::int64_t last)
    : EvaluationImages(set, [batch_size, first, last = last < 0 ? set->image_count() : last](std::int64_t number) {
        VICHA_ASSERT(batch_size > 0 && first >= 0);
        const std::int64_t from = first + number * batch_size;
        std::vector<std::int64_t> images(
            static_cast<std::size_t>(std::clamp<std::int64_t>(last - from, 0, batch_size)));
        std::iota(images.begin(), images.end(), from);
        return images;
      }) {
  VICHA_ASSERT(last <= set_->image_count());
}

EvaluationImages::EvaluationImages(std::shared_ptr<const EvaluationSet> set,
                                   std::vector<std::vector<std::int64_t>> batches)
    : EvaluationImages(std::move(set), [batches = std::move(batches)](std::int64_t number) {
        const auto at = static_cast<std::size_t>(number);
        return at < batches.size() ? batches[at] : std::vector<std::int64_t>();
      }) {}

EvaluationImages::EvaluationImages(std::shared_ptr<const EvaluationSet> set, BatchImages images)
    : set_(std::move(set)),
      images_(std::move(images)),
      transform_(set_->options_.transform),
      queue_(
          set_->options_.workers, set_->options_.prefetch,
          [this](std::int64_t number) {
            const std::vector<std::int64_t> wanted = images_(number);
            if (wanted.empty()) return std::unique_ptr<DraftBatch>();
            auto draft = make_draft(number, static_cast<std::int64_t>(wanted.size()),
                                    picture_shape(set_->options_.transform.image_res, set_->features_.get()), false);
            for (std::size_t slot = 0; slot < wanted.size(); ++slot) {
              draft->samples[slot].image_id = wanted[slot];
              draft->samples[slot].record = set_->image_record(wanted[slot]);
            }
            return draft;
          },
          [this](DraftBatch& draft, std::int64_t slot) {
            read(draft.samples[static_cast<std::size_t>(slot)], draft.picture(slot));
          }) {
  VICHA_ASSERT(set_->features_ || set_->options_.features.store.empty());
}

void EvaluationImages::read(const Sample& sample, std::span<float> out) const {
  const Manifest& manifest = set_->manifest();
  if (set_->features_) {
    set_->features_->read(set_->image_number(sample.image_id), /*view=*/0, out);
    return;
  }
  const std::string path(set_->image_path(sample.image_id));
  try {
    transform_.evaluate(load_rgb(path, set_->options_.decode_options()), out);
  } catch (const DataError& error) {
    std::string what = error.what();
    if (const std::string hint = missing_file_hint(path); !hint.empty()) what += ". " + hint;
    throw DataError(
        manifest.where(sample.record), "the picture cannot be read: " + what,
        fmt::format("Mend it, name the folder of the pictures (--image-root, data.image_root), or leave out "
                    "all records whose picture is dead: vicha data prune {} --out OUT",
                    manifest.file(sample.record).string()));
  }
}

std::optional<Batch> EvaluationImages::next() {
  const std::unique_ptr<DraftBatch> draft = queue_.next();
  if (!draft) return std::nullopt;
  Batch batch = collate(*draft, {.text = false, .concepts = false});
  std::vector<std::int64_t> images;
  for (const Sample& sample : draft->samples) images.push_back(sample.image_id);
  batch.concepts = set_->concepts(images);
  return batch;
}

}  // namespace vicha

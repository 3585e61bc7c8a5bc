#include "data/pipeline/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
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
    : manifest_(std::move(manifest)), options_(options), padding_(padding), text_(std::move(tokenizer), options) {
  if (padding_.text < 0) padding_.text = options.max_tokens;
  if (padding_.concepts < 0) padding_.concepts = options.concepts.max_tokens;
  const std::vector<std::int64_t> file_of = same_files(*manifest_);
  warn_of_identity(*manifest_, file_of);
  std::vector<std::int64_t> place(file_of.size(), -1);  // among records_of_image, of each file
  std::vector<std::vector<std::int64_t>> records_of_image;
  for (std::int64_t record = 0; record < manifest_->size(); ++record) {
    const std::int64_t file = file_of[static_cast<std::size_t>(manifest_->image_number(record))];
    std::int64_t& at = place[static_cast<std::size_t>(file)];
    if (at < 0) {
      at = static_cast<std::int64_t>(records_of_image.size());
      records_of_image.emplace_back();
    }
    records_of_image[static_cast<std::size_t>(at)].push_back(record);
  }
  for (const std::vector<std::int64_t>& records : records_of_image) {
    for (const std::int64_t record : records) {
      for (std::int64_t which = 0; which < manifest_->caption_count(record); ++which) {
        captions_.push_back({record, which});
        caption_images_.push_back(image_count());
      }
    }
    image_records_.push_back(records.front());
  }
}

std::string_view EvaluationSet::caption(std::int64_t number) const {
  const Caption& caption = captions_[static_cast<std::size_t>(number)];
  return manifest_->caption(caption.record, caption.which);
}

Tokens EvaluationSet::captions(std::int64_t first, std::int64_t count) const {
  VICHA_ASSERT(first >= 0 && count >= 0 && first + count <= caption_count());
  std::vector<std::vector<std::int64_t>> rows;
  for (std::int64_t i = first; i < first + count; ++i) rows.push_back(text_.encode(text_.clean(caption(i))));
  std::vector<const std::vector<std::int64_t>*> pointers;
  for (const auto& row : rows) pointers.push_back(&row);
  return collate_tokens(pointers, text_.pad_id(), padding_.text);
}

Tokens EvaluationSet::concepts(std::int64_t first, std::int64_t count) const {
  VICHA_ASSERT(first >= 0 && count >= 0 && first + count <= image_count());
  if (!text_.has_concepts()) return {};
  std::vector<std::vector<std::int64_t>> rows;
  for (std::int64_t i = first; i < first + count; ++i) {
    if (found_concepts_.empty()) {
      rows.push_back(text_.encode_concepts(manifest_->concepts(image_record(i))));
    } else {
      const auto& words = found_concepts_[static_cast<std::size_t>(i)];
      rows.push_back(text_.encode_concepts(std::vector<std::string_view>(words.begin(), words.end())));
    }
  }
  std::vector<const std::vector<std::int64_t>*> pointers;
  for (const auto& row : rows) pointers.push_back(&row);
  return collate_tokens(pointers, text_.pad_id(), padding_.concepts);
}

void EvaluationSet::set_concepts(std::vector<std::vector<std::string>> words) {
  VICHA_ASSERT(static_cast<std::int64_t>(words.size()) == image_count());
  found_concepts_ = std::move(words);
}

EvaluationImages::EvaluationImages(std::shared_ptr<const EvaluationSet> set, std::int64_t batch_size,
                                   std::int64_t first, std::int64_t last)
    : set_(std::move(set)),
      transform_(set_->options_.transform),
      queue_(
          set_->options_.workers, set_->options_.prefetch,
          [this, batch_size, first, last = last < 0 ? set_->image_count() : last](std::int64_t number) {
            const std::int64_t from = first + number * batch_size;
            const std::int64_t count = std::min(batch_size, last - from);
            if (count <= 0) return std::unique_ptr<DraftBatch>();
            auto draft = make_draft(number, count,
                                    picture_shape(set_->options_.transform.image_res, set_->features_.get()), false);
            for (std::int64_t slot = 0; slot < count; ++slot) {
              Sample& sample = draft->samples[static_cast<std::size_t>(slot)];
              sample.image_id = from + slot;
              sample.record = set_->image_record(from + slot);
            }
            return draft;
          },
          [this](DraftBatch& draft, std::int64_t slot) {
            read(draft.samples[static_cast<std::size_t>(slot)], draft.picture(slot));
          }) {
  VICHA_ASSERT(batch_size > 0 && first >= 0 && last <= set_->image_count());
  VICHA_ASSERT(set_->features_ || set_->options_.features.store.empty());
}

void EvaluationImages::read(const Sample& sample, std::span<float> out) const {
  const Manifest& manifest = set_->manifest();
  if (set_->features_) {
    set_->features_->read(manifest.image_number(sample.record), /*view=*/0, out);
    return;
  }
  const std::string path(manifest.image_path(sample.record));
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
  batch.concepts = set_->concepts(draft->samples.front().image_id, batch.image.size(0));
  return batch;
}

}  // namespace vicha

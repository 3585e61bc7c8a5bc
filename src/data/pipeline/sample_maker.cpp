#include "data/pipeline/sample_maker.h"

#include <bit>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "text/cleaning/caption.h"

namespace vicha {
namespace {

// What a sample's random numbers are for: each has its own, so that a change to one leaves the others alone.
enum Purpose : std::uint64_t { kPixels, kCaption, kConcepts };

}  // namespace

SampleText::SampleText(std::shared_ptr<const WordPiece> tokenizer, const DataOptions& options)
    : tokenizer_(std::move(tokenizer)),
      max_words_(static_cast<std::size_t>(options.max_words)),
      max_tokens_(static_cast<std::size_t>(options.max_tokens)),
      concepts_(options.concepts) {}

std::string SampleText::clean(std::string_view caption) const { return clean_caption(caption, max_words_); }

std::vector<std::int64_t> SampleText::encode(std::string_view cleaned) const {
  return tokenizer_->encode(cleaned, max_tokens_);
}

std::vector<std::int64_t> SampleText::encode_concepts(std::span<const std::string_view> words) const {
  std::string joined;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) joined += concepts_.separator;
    joined += words[i];
  }
  return tokenizer_->encode(joined, static_cast<std::size_t>(concepts_.max_tokens));
}

std::vector<std::string_view> SampleText::draw_concepts(std::span<const std::string_view> words, Rng& rng) const {
  if (concepts_.random_share == 0) return {words.begin(), words.end()};
  std::vector<std::string_view> drawn(
      static_cast<std::size_t>(concepts_.random_share * static_cast<double>(words.size())));
  for (std::string_view& word : drawn) word = words[rng.below(words.size())];
  return drawn;
}

std::int64_t text_id(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return std::bit_cast<std::int64_t>(mix_seed({hash, text.size()}));
}

SampleMaker::SampleMaker(std::shared_ptr<const Manifest> manifest, std::shared_ptr<const WordPiece> tokenizer,
                         const DataOptions& options, std::uint64_t seed, std::int64_t max_bad,
                         std::shared_ptr<const PictureFeatures> features)
    : images_(std::move(manifest), options.decode_options(), static_cast<std::size_t>(options.cache_mib) << 20),
      transform_(options.transform),
      text_(std::move(tokenizer), options),
      seed_(seed),
      max_bad_(max_bad),
      features_(std::move(features)) {}

bool SampleMaker::show(std::int64_t record, Rng& rng, std::span<float> out) {
  const std::int64_t image = images_.manifest().image_number(record);
  if (bad_.reason(image)) return false;
  std::shared_ptr<const Image> decoded;
  try {
    if (features_) {
      features_->read(image, static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(features_->views()))), out);
      return true;
    }
    decoded = images_.load(record);
  } catch (const DataError& error) {
    bad_.add(image, error.what());
    return false;
  }
  transform_.train(*decoded, rng, out);
  return true;
}

Sample SampleMaker::make(std::int64_t epoch, std::int64_t record, std::span<float> out) {
  const Manifest& manifest = images_.manifest();
  Sample sample;
  std::int64_t chosen = record;
  std::unordered_set<std::int64_t> bad_ones;
  const auto rng_for = [&](Purpose purpose) {
    return Rng(mix_seed({seed_, static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(record),
                         static_cast<std::uint64_t>(chosen), purpose}));
  };
  const auto shown = [&] {
    Rng rng = rng_for(kPixels);
    return show(chosen, rng, out);
  };
  while (!shown()) {
    sample.passed_over.push_back(chosen);
    bad_ones.insert(manifest.image_number(chosen));
    chosen = (chosen + 1) % manifest.size();
    if (chosen == record || static_cast<std::int64_t>(bad_ones.size()) > max_bad_) return sample;
  }
  sample.record = chosen;
  Rng caption_rng = rng_for(kCaption), concept_rng = rng_for(kConcepts);
  if (manifest.schema().caption) {
    const auto captions = static_cast<std::uint64_t>(manifest.caption_count(chosen));
    const std::string caption =
        text_.clean(manifest.caption(chosen, static_cast<std::int64_t>(caption_rng.below(captions))));
    sample.text = text_.encode(caption);
    sample.caption_id = text_id(caption);
  }
  sample.image_id = manifest.image_id(chosen);
  if (text_.has_concepts()) {
    sample.concepts = text_.encode_concepts(text_.draw_concepts(manifest.concepts(chosen), concept_rng));
  }
  return sample;
}

}  // namespace vicha

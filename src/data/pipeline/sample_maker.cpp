#include "data/pipeline/sample_maker.h"

#include <bit>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "text/cleaning/caption.h"

namespace vicha {
namespace {

// What a sample's random numbers are for: each has its own, so that a change to one leaves the others alone.
enum Purpose : std::uint64_t { kPixels, kCaption, kConcepts, kFurther };

}  // namespace

SampleText::SampleText(std::shared_ptr<const WordPiece> tokenizer, const DataOptions& options, const TextRule& rule)
    : tokenizer_(std::move(tokenizer)),
      cleaning_(rule.cleaning),
      max_words_(static_cast<std::size_t>(rule.max_words > 0 ? rule.max_words : options.max_words)),
      max_tokens_(static_cast<std::size_t>(rule.max_tokens > 0 ? rule.max_tokens : options.max_tokens)),
      framing_(options.sep_token ? Framing::kClsSep : Framing::kCls),
      clean_(options.clean),
      concepts_(options.concepts) {}

std::string SampleText::clean(std::string_view text) const {
  if (!clean_) return std::string(text);
  return cleaning_ == TextCleaning::kQuestion ? clean_question(text, max_words_) : clean_caption(text, max_words_);
}

std::vector<std::int64_t> SampleText::encode(std::string_view cleaned) const {
  return tokenizer_->encode(cleaned, max_tokens_, framing_);
}

std::vector<std::int64_t> SampleText::encode_concepts(std::span<const std::string_view> words) const {
  std::string joined;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) joined += concepts_.separator;
    joined += words[i];
  }
  return tokenizer_->encode(joined, static_cast<std::size_t>(concepts_.max_tokens), framing_);
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
      text_(std::move(tokenizer), options, images_.manifest().schema().text),
      seed_(seed),
      max_bad_(max_bad),
      features_(std::move(features)),
      whole_(options.features.whole) {}

bool SampleMaker::show(std::int64_t image, Rng& rng, std::span<float> out, Sample* sample) {
  if (bad_.reason(image)) return false;
  std::shared_ptr<const Image> decoded;
  try {
    if (features_) {
      const auto views = whole_ ? std::uint64_t{1} : static_cast<std::uint64_t>(features_->views());
      const auto view = static_cast<std::int64_t>(rng.below(views));
      features_->read(image, view, out);
      if (sample != nullptr) sample->view = view;
      return true;
    }
    decoded = images_.load(image);
  } catch (const DataError& error) {
    bad_.add(image, error.what());
    return false;
  }
  transform_.train(*decoded, rng, out, sample != nullptr ? &sample->seen : nullptr);
  return true;
}

Sample SampleMaker::make(std::int64_t epoch, std::int64_t record, const std::vector<std::span<float>>& out) {
  const Manifest& manifest = images_.manifest();
  Sample sample;
  std::int64_t chosen = record;
  std::unordered_set<std::int64_t> bad_ones;
  const auto rng_for = [&](std::uint64_t purpose) {
    return Rng(mix_seed({seed_, static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(record),
                         static_cast<std::uint64_t>(chosen), purpose}));
  };
  // The first image of the record that cannot be read; -1: all can.
  const auto unreadable = [&] {
    const std::vector<std::int64_t> images = manifest.image_numbers(chosen);
    VICHA_ASSERT(images.size() == out.size());
    for (std::size_t i = 0; i < images.size(); ++i) {
      Rng rng = rng_for(i == 0 ? kPixels : kFurther + 2 * (i - 1));
      if (!show(images[i], rng, out[i], i == 0 ? &sample : nullptr)) return images[i];
    }
    return std::int64_t{-1};
  };
  for (std::int64_t bad = unreadable(); bad >= 0; bad = unreadable()) {
    sample.passed_over.push_back(chosen);
    bad_ones.insert(bad);
    chosen = (chosen + 1) % manifest.size();
    if (chosen == record || static_cast<std::int64_t>(bad_ones.size()) > max_bad_) return sample;
  }
  sample.record = chosen;
  Rng caption_rng = rng_for(kCaption), concept_rng = rng_for(kConcepts);
  if (const std::string& field = manifest.schema().text.field; !field.empty()) {
    const std::string text = text_.clean(manifest.column<TextColumn>(field)[chosen]);
    sample.text = text_.encode(text);
    sample.caption_id = text_id(text);
  } else if (manifest.schema().caption) {
    const auto captions = static_cast<std::uint64_t>(manifest.caption_count(chosen));
    const std::string caption =
        text_.clean(manifest.caption(chosen, static_cast<std::int64_t>(caption_rng.below(captions))));
    sample.text = text_.encode(caption);
    sample.caption_id = text_id(caption);
  }
  sample.image_id = manifest.image_id(chosen);
  if (text_.has_concepts()) {
    sample.concept_words = text_.draw_concepts(manifest.concepts(chosen), concept_rng);
    sample.concepts = text_.encode_concepts(sample.concept_words);
    for (std::size_t i = 0; i + 1 < out.size(); ++i) {
      Rng rng = rng_for(kFurther + 2 * i + 1);
      sample.further_concepts.push_back(
          text_.encode_concepts(text_.draw_concepts(manifest.further_concepts(chosen, i), rng)));
    }
  }
  return sample;
}

}  // namespace vicha

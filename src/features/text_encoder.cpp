#include "features/text_encoder.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/sha256.h"
#include "models/image_pipeline.h"
#include "nn/kernel_choice.h"
#include "nn/precision.h"
#include "text/clip_bpe/clip_bpe.h"
#include "text/wordpiece/wordpiece.h"
#include "towers/registry.h"
#include "train/device.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;

void require_size(const fs::path& file, std::int64_t size, const TextTower& tower, bool fewer_too) {
  const std::int64_t known = tower.input().vocabulary_size;
  if (size == known || (fewer_too && size < known)) return;
  throw DataError(file.string(),
                  fmt::format("is a vocabulary of {} tokens, but {} knows {}", size, tower.identity().name, known),
                  "Give the vocabulary that came with the weights");
}

struct Tokenizer {
  std::function<TextTokens(std::string_view)> tokenize;
  std::string sha256;  ///< of its tokens in their order
};

Tokenizer word_pieces(const fs::path& file, const TextTower& tower) {
  const TextInput& input = tower.input();
  Vocabulary vocabulary = Vocabulary::load(file);
  require_size(file, vocabulary.size(), tower, true);  // some models have rows for tokens that are to come
  if (static_cast<std::int64_t>(vocabulary.size()) < input.vocabulary_size) {
    log::warning("{}: has {} tokens, {} knows {}; if it did not come with these weights, every word is read as another",
                 file.string(), vocabulary.size(), tower.identity().name, input.vocabulary_size);
  }
  Sha256 hash;
  for (std::int64_t id = 0; id < vocabulary.size(); ++id) {
    hash.update(vocabulary.token(id));
    hash.update("\n");
  }
  const auto pieces = std::make_shared<const WordPiece>(std::move(vocabulary), CharacterRules::kFast,
                                                        input.lower_case ? Casing::kUncased : Casing::kCased);
  const auto most = static_cast<std::size_t>(input.max_tokens);
  return {[pieces, most](std::string_view text) { return pieces->encode(text, most, Framing::kClsSep); }, hash.hex()};
}

Tokenizer byte_pairs(const fs::path& file, const TextTower& tower) {
  const auto pairs = std::make_shared<const ClipBpe>(ClipBpe::load(file));
  require_size(file, pairs->size(), tower, false);
  Sha256 hash;
  for (std::int64_t id = 0; id < pairs->size(); ++id) {
    hash.update(pairs->decode({&id, 1}));
    hash.update("\n");
  }
  const auto most = static_cast<std::size_t>(tower.input().max_tokens);
  return {[pairs, most](std::string_view text) { return pairs->tokenize(text, most); }, hash.hex()};
}

Tokenizer tokenizer_of(const TextTower& tower, const std::string& given) {
  const TextInput& input = tower.input();
  const bool clip = input.tokenizer == TextInput::Tokenizer::kClipBpe;
  const fs::path file = given.empty() ? input.vocabulary : fs::path(given);
  if (file.empty()) {
    throw DataError(tower.identity().name, "has no vocabulary, so texts cannot be read",
                    clip ? "Put bpe_simple_vocab_16e6.txt.gz (of OpenAI's clip package) or the model's tokenizer.json "
                           "beside the weights, or name it (--vocab FILE)"
                         : "Put the model's vocab.txt beside the weights, or name it (--vocab FILE)");
  }
  return clip ? byte_pairs(file, tower) : word_pieces(file, tower);
}

/// A text for a message.
std::string shown_text(std::string_view text) {
  constexpr std::size_t kShown = 80;
  return fmt::format("\"{}{}\"", printable(text.substr(0, kShown)), text.size() > kShown ? "…" : "");
}

}  // namespace

std::unique_ptr<TextEncoder> TextEncoder::open(std::string_view spec, const std::string& device,
                                               const std::string& vocabulary) {
  auto tower = open_text_tower(spec);
  tower->to(choose_device(device));
  return std::make_unique<TextEncoder>(std::move(tower), vocabulary);
}

TextEncoder::TextEncoder(std::unique_ptr<TextTower> tower, const std::string& vocabulary) : tower_(std::move(tower)) {
  const TowerIdentity& identity = tower_->identity();
  Tokenizer tokenizer = tokenizer_of(*tower_, vocabulary);
  tokenize_ = std::move(tokenizer.tokenize);
  weights_ = {identity.kind, identity.name, identity.sha256,
              fmt::format("{}, vocabulary {}", identity.view, tokenizer.sha256.substr(0, 12))};
}

at::Tensor TextEncoder::encode(std::span<const std::string> texts) const {
  std::vector<TextTokens> all(texts.size());
  at::parallel_for(0, static_cast<std::int64_t>(texts.size()), 64, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) all[i] = tokens(texts[i]);
  });
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (is_empty(all[i]))
      throw DataError(fmt::format("text {}", i + 1), shown_text(texts[i]) + " holds no word to embed");
  }
  return encode_tokens(all);
}

at::Tensor TextEncoder::encode_tokens(std::span<const TextTokens> tokens) const {
  return TextBatches(*this, tokens).rows([](std::int64_t) { return true; });
}

TextBatches::TextBatches(const TextEncoder& encoder, std::span<const TextTokens> tokens)
    : encoder_(encoder), tokens_(tokens) {
  std::vector<std::int64_t> order(tokens.size());
  std::iota(order.begin(), order.end(), 0);
  const auto length = [&](std::int64_t i) { return tokens_[static_cast<std::size_t>(i)].size(); };
  std::ranges::stable_sort(order, {}, length);
  const auto most = static_cast<std::size_t>(tower_rows(encoder.tower().device()));
  std::size_t room = 0;
  for (const std::int64_t text : order) {
    if (room < length(text)) {
      batches_.emplace_back();
      room = std::max(most, length(text));
    }
    room -= length(text);
    batches_.back().push_back(text);
  }
}

at::Tensor TextBatches::rows(const std::function<bool(std::int64_t)>& wanted, std::int64_t threads) const {
  const at::NoGradGuard no_grad;
  const at::Tensor out = at::empty({static_cast<std::int64_t>(tokens_.size()), encoder_.width()}, at::kFloat);
  const auto compute = [&](const std::vector<std::int64_t>& batch) {
    if (std::ranges::none_of(batch, wanted)) return;
    std::vector<TextTokens> ids;
    ids.reserve(batch.size());
    for (const std::int64_t text : batch) ids.push_back(tokens_[static_cast<std::size_t>(text)]);
    std::unique_lock turn(encoder_.on_device_, std::defer_lock);
    const bool on_cpu = encoder_.tower().device().is_cpu();
    if (!on_cpu) turn.lock();
    const at::Tensor rows = encoder_.tower().encode(ids).to(at::kCPU, at::kFloat).contiguous();
    const std::int64_t width = encoder_.width();
    for (std::size_t i = 0; i < batch.size(); ++i) {
      std::copy_n(rows.const_data_ptr<float>() + static_cast<std::int64_t>(i) * width, width,
                  out.data_ptr<float>() + batch[i] * width);
    }
  };
  const std::int64_t all = at::get_num_threads(), used = threads > 0 ? std::min(threads, all) : all;
  const bool bf16 = compute_type() == at::kBFloat16;
  kernel_choice();  // measured here, with all threads, rather than by one of several
  std::atomic<std::size_t> next = 0;
  // A region of all threads, as in ImagePipeline: inside of it a product runs on the calling thread alone.
  at::parallel_for(0, all, 1, [&](std::int64_t begin, std::int64_t) {
    if (begin >= used) return;
    const at::NoGradGuard none;
    const Bf16Scope scope(bf16);
    for (std::size_t b = next++; b < batches_.size(); b = next++) compute(batches_[b]);
  });
  return out;
}

}  // namespace vicha

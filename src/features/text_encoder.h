// A tower of texts with its tokenizer. n texts, P width of a feature.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "concepts/source/provenance.h"
#include "towers/tower.h"

namespace vicha {

using TextTokens = std::vector<std::int64_t>;

/// Any number of threads may share one.
class TextEncoder {
 public:
  /// Opens the tower (towers/registry.h) and its vocabulary. `vocabulary`: used instead of the file beside the weights;
  /// empty: that one. Throws as they do.
  static std::unique_ptr<TextEncoder> open(std::string_view spec, const std::string& device,
                                           const std::string& vocabulary = {});
  /// Throws DataError if there is no vocabulary, or one of another number of tokens than the tower knows.
  explicit TextEncoder(std::unique_ptr<TextTower> tower, const std::string& vocabulary = {});

  const TextTower& tower() const { return *tower_; }
  /// The tower's identity as stores keep it; the vocabulary is part of the view.
  const SourceWeights& weights() const { return weights_; }
  std::int64_t width() const { return tower_->width(); }

  /// -> (n, P), fp32 on the CPU; sorted by length inside, so that nothing is padded and all cores work. Longer texts
  /// than the tower takes are cut. Throws DataError naming a text that has no token.
  at::Tensor encode(std::span<const std::string> texts) const;

  /// What the tower reads of a text: framed, and cut so that the last special token stays. Thread-safe.
  TextTokens tokens(std::string_view text) const { return tokenize_(text); }
  /// Whether these are the special tokens around nothing.
  static bool is_empty(const TextTokens& tokens) { return tokens.size() <= 2; }
  /// Of texts that are tokens already, empty ones too.
  at::Tensor encode_tokens(std::span<const TextTokens> tokens) const;

 private:
  std::unique_ptr<TextTower> tower_;
  SourceWeights weights_;
  std::function<TextTokens(std::string_view text)> tokenize_;
  mutable std::mutex on_device_;

  friend class TextBatches;
};

/// Texts in batches of about equal lengths. A batch depends on the texts alone, and each is carried through the tower
/// by one thread, so that rows have the same bits whatever the threads and whichever batches are computed.
class TextBatches {
 public:
  /// Both must outlive this.
  TextBatches(const TextEncoder& encoder, std::span<const TextTokens> tokens);

  /// -> (n, P), fp32 on the CPU; rows of texts whose batch has none that is wanted are left as they are. `threads`: at
  /// most; 0: all of LibTorch's.
  at::Tensor rows(const std::function<bool(std::int64_t text)>& wanted, std::int64_t threads = 0) const;

 private:
  const TextEncoder& encoder_;
  std::span<const TextTokens> tokens_;
  std::vector<std::vector<std::int64_t>> batches_;  // of texts
};

}  // namespace vicha

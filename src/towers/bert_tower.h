// BERT and its kin (MiniLM, BGE, E5, GTE …) as a text tower.
// n texts, T tokens of all, D width, P width of what it gives.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "models/bert.h"
#include "towers/sentence_modules.h"
#include "towers/tower.h"

namespace vicha {

class BertTower final : public TextTower {
 public:
  struct Dense {
    std::int64_t outputs = 0;
    bool tanh = false;
    bool bias = true;
  };
  struct Options {
    TextOptions bert;  ///< no fusion layers
    towers::TextPooling pooling = towers::TextPooling::kClass;
    std::vector<Dense> dense;  ///< maps of the pooled state
    bool normalize = false;
    std::int64_t max_tokens = 512;
  };
  /// Random weights from `seed`, to be loaded over.
  explicit BertTower(const Options& options, std::uint64_t seed = 0);

  std::int64_t width() const override;
  at::Tensor encode(const std::vector<std::vector<std::int64_t>>& ids) const override;
  void to(const at::Device& device) override { store_->to(device); }
  at::Device device() const override { return bert_->embeddings().word.device(); }

  /// As `encode` by plain operations, one text after the other.
  at::Tensor plain(const std::vector<std::vector<std::int64_t>>& ids) const;

  const ParameterStore& parameters() const { return *store_; }
  const Options& options() const { return options_; }

  /// Once the weights are there.
  void identify(const std::filesystem::path& vocabulary, bool lower_case);

 private:
  at::Tensor encode_part(const std::vector<std::vector<std::int64_t>>& ids, std::int64_t begin, std::int64_t end) const;
  at::Tensor finished(at::Tensor pooled) const;

  Options options_;
  std::unique_ptr<ParameterStore> store_;
  std::unique_ptr<Bert> bert_;
  std::vector<Linear> dense_;
};

/// A file or folder of Hugging Face's BERT with config.json and sentence-transformers' files beside it. Without these
/// the pooled state is the class token's, which is said by the log. Strict: throws DataError naming what is missing,
/// left over or not built (another model_type, activation or kind of positions).
std::unique_ptr<BertTower> load_bert_tower(const std::filesystem::path& path);

}  // namespace vicha

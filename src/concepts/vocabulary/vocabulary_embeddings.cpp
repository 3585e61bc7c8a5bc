#include "concepts/vocabulary/vocabulary_embeddings.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"
#include "checkpoint/safetensors/safetensors.h"
#include "concepts/store/store.h"

namespace vicha {
namespace {

constexpr std::size_t kTextsPerPass = 256;

std::vector<std::string> with_default(std::span<const std::string> prompts) {
  if (prompts.empty()) return {"{}"};
  return {prompts.begin(), prompts.end()};
}

at::Tensor unit(const at::Tensor& rows, const std::string& what) {
  const at::Tensor length = rows.norm(2, {1}, true);
  if (!at::logical_and(at::isfinite(length), length > 0).all().item<bool>()) {
    throw DataError(what, "gives a word a vector that is zero or not finite", "Check its weights");
  }
  return rows / length;
}

/// Normalised vectors of the filled templates of some words, summed up.
at::Tensor embed_words(ConceptSource& source, const ConceptVocabulary& vocabulary, std::int64_t first,
                       std::int64_t count, std::span<const std::string> prompts) {
  at::Tensor sum;
  for (const std::string& prompt : prompts) {
    std::vector<std::string> texts;
    for (std::int64_t i = first; i < first + count; ++i) texts.push_back(fill_prompt(prompt, vocabulary.word(i)));
    const at::Tensor rows = unit(source.embed_texts(texts), source.weights().describe());
    sum = sum.defined() ? sum + rows : rows;
  }
  return unit(sum, source.weights().describe());
}

/// Work that a kill must not lose: a store keyed by the words, of source, vocabulary and prompts together.
class Partial {
 public:
  Partial(const fs::path& file, const ConceptIdentity& identity, std::int64_t width)
      : path_(file.string() + ".partial") {
    SourceWeights source = identity.weights;
    source.view += fmt::format(", vocabulary {}, prompt \"{}\"", identity.vocabulary_sha256, identity.prompt);
    const StoreShape shape{width, 1, StoreType::kFloat32};
    try {
      writer_.emplace(path_, source, shape);
    } catch (const DataError& error) {
      // Of another identity, or damaged: not worth keeping.
      log::warning("{}. It is begun anew", error.what());
      fs::remove(path_);
      writer_.emplace(path_, source, shape);
    }
  }

  bool has(const std::string& word) const { return writer_->content(word).has_value(); }
  void add(std::span<const std::string> words, const at::Tensor& rows) {
    writer_->add(words, std::vector<std::uint64_t>(words.size(), 0), rows);
  }
  at::Tensor finish(const ConceptVocabulary& vocabulary) {
    writer_->finish();
    const EmbeddingStore store = EmbeddingStore::open(path_);
    std::vector<std::int64_t> records;
    for (std::int64_t i = 0; i < vocabulary.size(); ++i) records.push_back(store.find(vocabulary.word(i)).value());
    return store.rows(records).select(1, 0).contiguous();
  }
  void remove() {
    writer_.reset();
    std::error_code ignored;
    fs::remove(path_, ignored);
  }

 private:
  fs::path path_;
  std::optional<EmbeddingStoreWriter> writer_;
};

std::optional<VocabularyEmbeddings> kept(const fs::path& file, const ConceptIdentity& identity) {
  if (file.empty() || !fs::exists(file)) return std::nullopt;
  VocabularyEmbeddings found = load_vocabulary_embeddings(file);
  if (found.identity.same(identity)) return found;
  log::info("{} is of {}: made again for {}", file.string(), found.identity.describe(), identity.describe());
  return std::nullopt;
}

}  // namespace

std::string fill_prompt(std::string_view prompt, std::string_view word) {
  std::string text;
  for (std::size_t i = 0; i < prompt.size();) {
    if (prompt.substr(i, 2) == "{}") {
      text += word;
      i += 2;
    } else {
      text += prompt[i++];
    }
  }
  return text;
}

std::string prompt_identity(std::span<const std::string> prompts) {
  const std::vector<std::string> all = with_default(prompts);
  for (const std::string& prompt : all) {
    if (prompt.find("{}") == std::string::npos) {
      throw UsageError(fmt::format(
          "--prompt \"{}\" has no {{}}, where the word is to stand; for example \"a photo of a {{}}\"", prompt));
    }
  }
  return fmt::format("{}", fmt::join(all, " | "));
}

ConceptIdentity identity_of(const ConceptSource& source, const ConceptVocabulary& vocabulary,
                            std::span<const std::string> prompts) {
  return {source.weights(), vocabulary.sha256(), prompt_identity(prompts)};
}

VocabularyEmbeddings embed_vocabulary(ConceptSource& source, const ConceptVocabulary& vocabulary,
                                      std::span<const std::string> prompts, const fs::path& file) {
  const at::NoGradGuard guard;
  VocabularyEmbeddings result{.scale = source.scale(), .identity = identity_of(source, vocabulary, prompts)};
  if (vocabulary.size() == 0) throw DataError("vocabulary", "has no words", "Lower the count a word must have");
  if (std::optional<VocabularyEmbeddings> found = kept(file, result.identity)) return std::move(*found);
  const std::vector<std::string> templates = with_default(prompts);
  std::optional<Partial> partial;
  if (!file.empty()) partial.emplace(file, result.identity, source.width());
  std::vector<at::Tensor> parts;
  {
    Progress progress("embedding words", "words", vocabulary.size());
    const auto per_pass = static_cast<std::int64_t>(kTextsPerPass);
    for (std::int64_t first = 0, known = 0; first < vocabulary.size(); first += per_pass) {
      const std::int64_t count = std::min(per_pass, vocabulary.size() - first);
      // Passes are whole or not there at all, so that every word is computed in the same company after a kill.
      std::vector<std::string> words;
      for (std::int64_t i = first; i < first + count; ++i) words.push_back(vocabulary.word(i));
      if (partial && std::all_of(words.begin(), words.end(), [&](const std::string& w) { return partial->has(w); })) {
        known += count;
      } else {
        const at::Tensor rows = embed_words(source, vocabulary, first, count, templates);
        if (partial) {
          partial->add(words, rows);
        } else {
          parts.push_back(rows);
        }
      }
      progress.update(first + count, known);
    }
  }
  result.unit_VE = partial ? partial->finish(vocabulary) : at::cat(parts);
  if (!file.empty()) save_vocabulary_embeddings(result, file);
  if (partial) partial->remove();
  return result;
}

namespace {

StateDict tensors_of(const VocabularyEmbeddings& embeddings) {
  StateDict tensors;
  tensors.set("embeddings", embeddings.unit_VE);
  return tensors;
}
Metadata metadata_of(const VocabularyEmbeddings& embeddings) {
  return {{"identity", to_json(embeddings.identity)}, {"scale", fmt::format("{}", embeddings.scale)}};
}

}  // namespace

void save_vocabulary_embeddings(const VocabularyEmbeddings& embeddings, const fs::path& file) {
  write_safetensors(file, tensors_of(embeddings), metadata_of(embeddings));
}

std::string vocabulary_embeddings_bytes(const VocabularyEmbeddings& embeddings) {
  return safetensors_bytes(tensors_of(embeddings), metadata_of(embeddings));
}

VocabularyEmbeddings load_vocabulary_embeddings(const fs::path& file) {
  Metadata metadata;
  const StateDict tensors = read_safetensors(file, &metadata);
  VocabularyEmbeddings result;
  result.unit_VE = tensors.at("embeddings", file.string());
  const std::string& scale = metadata["scale"];
  const auto [end, error] = std::from_chars(scale.data(), scale.data() + scale.size(), result.scale);
  if (result.unit_VE.dim() != 2 || result.unit_VE.scalar_type() != at::kFloat || error != std::errc() ||
      end != scale.data() + scale.size() || !std::isfinite(result.scale) || result.scale <= 0) {
    throw DataError(file.string(), "does not hold the embeddings of a vocabulary",
                    "Delete it; `vicha concepts assign` makes it again");
  }
  result.identity = concept_identity_from_json(metadata["identity"], file.string());
  return result;
}

}  // namespace vicha

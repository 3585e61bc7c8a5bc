#include "concepts/kit/vocabulary_embeddings.h"

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
#include "checkpoint/tensors/finite.h"
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
  Partial(const fs::path& file, const ConceptProvenance& provenance, std::int64_t width)
      : path_(file.string() + ".partial") {
    SourceWeights source = provenance.weights;
    source.view += fmt::format(", vocabulary {}, prompt \"{}\"", provenance.vocabulary_sha256, provenance.prompt);
    const StoreShape shape{width, 1, StoreType::kFloat32};
    const GuardedOutput guard(path_);  // what is read is not begun anew
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

std::optional<ConceptKit> kept(const fs::path& file, const ConceptVocabulary& vocabulary,
                               const ConceptProvenance& wanted) {
  if (file.empty() || !fs::exists(file)) return std::nullopt;
  go_on_with(file);
  ConceptKit found = load_vocabulary_embeddings(file, vocabulary);
  if (found.provenance.same(wanted)) return found;
  log::info("{} is of {}: made again for {}", file.string(), found.provenance.describe(), wanted.describe());
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

std::string joined_prompts(std::span<const std::string> prompts) {
  const std::vector<std::string> all = with_default(prompts);
  for (const std::string& prompt : all) {
    if (prompt.find("{}") == std::string::npos) {
      throw UsageError(fmt::format(
          "--prompt \"{}\" has no {{}}, where the word is to stand; for example \"a photo of a {{}}\"", prompt));
    }
  }
  return fmt::format("{}", fmt::join(all, " | "));
}

ConceptKit embed_vocabulary(ConceptSource& source, const ConceptVocabulary& vocabulary,
                            std::span<const std::string> prompts, const fs::path& file) {
  const at::NoGradGuard guard;
  ConceptKit kit{.provenance = {.weights = source.weights(),
                                .vocabulary_sha256 = vocabulary.sha256(),
                                .prompt = joined_prompts(prompts)},
                 .vocabulary = vocabulary,
                 .scale = source.scale()};
  if (vocabulary.size() == 0) throw DataError("vocabulary", "has no words", "Lower the count a word must have");
  if (std::optional<ConceptKit> found = kept(file, vocabulary, kit.provenance)) return std::move(*found);
  const std::vector<std::string> templates = with_default(prompts);
  std::optional<Partial> partial;
  if (!file.empty()) partial.emplace(file, kit.provenance, source.width());
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
  kit.unit_VE = partial ? partial->finish(vocabulary) : at::cat(parts);
  if (!file.empty()) save_vocabulary_embeddings(kit, file);
  if (partial) partial->remove();
  return kit;
}

namespace {

StateDict tensors_of(const ConceptKit& kit) {
  StateDict tensors;
  tensors.set("embeddings", kit.unit_VE);
  return tensors;
}
Metadata metadata_of(const ConceptKit& kit) {
  return {{"identity", identity_json(kit.provenance)}, {"scale", fmt::format("{}", kit.scale)}};
}

}  // namespace

void save_vocabulary_embeddings(const ConceptKit& kit, const fs::path& file) {
  write_safetensors(file, tensors_of(kit), metadata_of(kit));
}

std::string vocabulary_embeddings_bytes(const ConceptKit& kit) {
  return safetensors_bytes(tensors_of(kit), metadata_of(kit));
}

ConceptKit load_vocabulary_embeddings(const fs::path& file, ConceptVocabulary vocabulary) {
  Metadata metadata;
  const StateDict tensors = read_safetensors(file, &metadata);
  ConceptKit kit{.vocabulary = std::move(vocabulary)};
  kit.unit_VE = tensors.at("embeddings", file.string());
  const std::string& scale = metadata["scale"];
  const auto [end, error] = std::from_chars(scale.data(), scale.data() + scale.size(), kit.scale);
  if (kit.unit_VE.dim() != 2 || kit.unit_VE.scalar_type() != at::kFloat || error != std::errc() ||
      end != scale.data() + scale.size() || !std::isfinite(kit.scale) || kit.scale <= 0) {
    throw DataError(file.string(), "does not hold the embeddings of a vocabulary",
                    "Delete it; `vicha concepts assign` makes it again");
  }
  if (!is_finite(kit.unit_VE)) {
    throw DataError(file.string(), "tensor 'embeddings' holds NaN or an infinity",
                    "Delete it; `vicha concepts assign` makes it again");
  }
  kit.provenance = concept_provenance_from_json(metadata["identity"], file.string());
  if (kit.provenance.vocabulary_sha256 == kit.vocabulary.sha256() && kit.unit_VE.size(0) != kit.vocabulary.size()) {
    throw DataError(file.string(),
                    fmt::format("holds {} words, the vocabulary has {}", kit.unit_VE.size(0), kit.vocabulary.size()),
                    "Delete it and assign the concepts again (`vicha concepts assign`)");
  }
  return kit;
}

}  // namespace vicha

#include "objectives/words.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "objectives/alignment_loss.h"
#include "objectives/late_interaction.h"

namespace vicha {

void WordsOptions::describe(Visitor& v) {
  ObjectiveOptions::describe(v);
  v.field({"temperature", "", "Where its learned temperature starts", 0.001, 0.5}, temperature);
}

void WordsOptions::check(const ModelOptions& model) const {
  if (!model.fusion.similarity) {
    throw UsageError(
        "words.enabled = true teaches the maps of words and patches, which this model has not; set "
        "model.fusion.similarity = true, or words.enabled = false");
  }
}

at::Tensor word_patch_fit(const at::Tensor& words_TE, const std::vector<std::int64_t>& words_of_text,
                          const at::Tensor& patches_INE) {
  return run_means(best_matches(words_TE, patches_INE), words_of_text).t();
}

WordsObjective::WordsObjective(const WordsOptions& options, Vicha& model) : options_(options) {
  const ParameterStore::Scope scope(model.parameters(), "words_temp");
  temperature_ = model.parameters().add("words_temp", {}, Init::kZeros);
  const at::NoGradGuard guard;
  temperature_.fill_(options.temperature);
}

namespace {

class WordsStep : public ObjectiveStep {
 public:
  WordsStep(const WordsObjective& objective, Encodings& encodings) : objective_(objective), encodings_(encodings) {}

  at::Tensor loss() override {
    {
      // As the model's own in pretraining.
      const at::NoGradGuard guard;
      at::Tensor(objective_.temperature()).clamp_(0.001, 0.5);
    }
    const ImageStates& image = encodings_.image();
    const TextStates& text = encodings_.text();
    const CaptionWords caption = caption_words(text.pack);
    if (caption.rows.empty()) return encodings_.nothing();
    const at::Device device = encodings_.model().device();
    const at::Tensor words = image.similarity->words(text.states.index_select(0, row_indices(caption.rows, device)));
    return infonce_loss(word_patch_fit(words, caption.of_text, image.patches), encodings_.positives(false),
                        objective_.temperature());
  }

 private:
  const WordsObjective& objective_;
  Encodings& encodings_;
};

}  // namespace

std::unique_ptr<ObjectiveStep> WordsObjective::begin(Encodings& encodings, const Distillation&) const {
  return std::make_unique<WordsStep>(*this, encodings);
}

ObjectiveKind words_kind() {
  return {.key = "words",
          .title = "Contrast of words and patches",
          .name = "words",
          .curve = "Words: contrast of words and patches",
          .measure = "nats",
          .checkpoint_names = {"words_temp", "word_proj.**", "word_proj_m.**", "patch_proj.**", "patch_proj_m.**",
                               "word_similarity", "word_similarity_*", "patch_similarity", "patch_similarity_*"},
          .options = WordsOptions(),
          .make = [](const ObjectiveOptions& options, Vicha& model) {
            return std::make_unique<WordsObjective>(dynamic_cast<const WordsOptions&>(options), model);
          }};
}

}  // namespace vicha

#include "tasks/downstream/predict_input.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "concepts/kit/concept_kit.h"
#include "data/manifest/image_paths.h"
#include "data/pipeline/collate.h"
#include "tasks/downstream/concept_padding.h"
#include "tasks/host/input_object.h"
#include "tasks/host/model_files.h"
#include "tasks/host/shown_input.h"

namespace vicha {

struct PredictInput::Parts {
  PredictFields fields;
  std::string task;
  SampleText text;
  std::shared_ptr<const WordPiece> tokenizer;
  std::int64_t concept_tokens;  ///< at least
  at::Device device;
  ConceptsFrom from;
  std::string checkpoint;
  bool finds_concepts;
  std::unique_ptr<PictureFeed> feed;
  ConceptFinder finder;
};

namespace {

using InputJson = nlohmann::ordered_json;

/// {"image": "FILE", "sentence": "TEXT"}
std::string form_of(const PredictFields& fields) {
  std::string form;
  for (const std::string& field : fields.images)
    form += fmt::format("{}\"{}\": \"FILE\"", form.empty() ? "" : ", ", field);
  if (!fields.text.empty()) form += fmt::format("{}\"{}\": \"TEXT\"", form.empty() ? "" : ", ", fields.text);
  return "{" + form + "}";
}

std::string text_field(const InputJson& json, const std::string& field, const PredictFields& fields,
                       const std::string& input) {
  const auto value = json.find(field);
  const std::string remedy = "Give " + form_of(fields);
  if (value == json.end()) throw DataError(shown_input(input), fmt::format("has no field \"{}\"", field), remedy);
  if (!value->is_string())
    throw DataError(shown_input(input), fmt::format("field \"{}\" is not a string", field), remedy);
  return value->get<std::string>();
}

std::vector<std::string> words_of(const InputJson& list, const std::string& input) {
  std::vector<std::string> words;
  for (const InputJson& word : list) {
    if (word.is_string()) words.push_back(word.get<std::string>());
  }
  if (!list.is_array() || words.size() != list.size()) {
    throw DataError(shown_input(input),
                    "field \"concepts\" is neither a list of strings nor a list of them for each picture",
                    "Leave it out, and the concepts are found in the picture");
  }
  return words;
}

/// Concepts that the input gives, a list for each of `pictures`; nothing where it gives none.
std::optional<std::vector<std::vector<std::string>>> given_concepts(const InputJson& json, std::size_t pictures,
                                                                    const std::string& input) {
  const auto found = json.find("concepts");
  if (found == json.end() || found->is_null()) return std::nullopt;
  if (pictures == 1) return std::vector<std::vector<std::string>>{words_of(*found, input)};
  std::vector<std::vector<std::string>> lists;
  if (found->is_array() && found->size() == pictures) {
    for (const InputJson& list : *found) lists.push_back(words_of(list, input));
    return lists;
  }
  throw DataError(shown_input(input), fmt::format("field \"concepts\" is not a list of {} lists of strings", pictures),
                  "Give a list for each picture, or leave the field out");
}

}  // namespace

PredictInput::PredictInput(const LoadedModel& loaded, const PredictCommand& command, const TaskKind& kind,
                           const TextRule& rule, const std::optional<std::int64_t>& concept_tokens) {
  const TaskRecipe& recipe = *loaded.recipe;
  ConceptFinderOptions finding = command.concepts;
  finding.tower.device = command.device;
  const fs::path checkpoint = checkpoint_folder(command.checkpoint);
  std::optional<ConceptKit> kit = checkpoint_concept_kit(checkpoint);
  const bool finds_concepts = kit.has_value();
  parts_ = std::make_shared<Parts>(Parts{
      .fields = kind.predict_fields,
      .task = kind.key,
      .text = SampleText(loaded.tokenizer, recipe.data, rule),
      .tokenizer = loaded.tokenizer,
      .concept_tokens = concept_tokens ? *concept_tokens : ConceptPadding(checkpoint).tokens(),
      .device = loaded.vicha().device(),
      .from = finding.from,
      .checkpoint = checkpoint.string(),
      .finds_concepts = finds_concepts,
      .feed = open_picture_feed(loaded, command.device),
      .finder = ConceptFinder(std::move(kit), checkpoint.string(), finding),
  });
}

PredictInput::Item PredictInput::read(const std::string& input) const {
  Parts& parts = *parts_;
  Item item;
  item.json = input_object(input, "Give " + form_of(parts.fields));
  if (!parts.fields.text.empty()) {
    const std::string text = text_field(item.json, parts.fields.text, parts.fields, input);
    item.text = parts.text.clean(text);
    const std::vector<std::int64_t> ids = parts.text.encode(item.text);
    if (parts.text.is_empty(ids)) {
      throw DataError(shown_input(input),
                      text.empty()
                          ? fmt::format("field \"{}\" is empty", parts.fields.text)
                          : fmt::format("field \"{}\" has no words: cleaning leaves nothing of it", parts.fields.text),
                      "Give " + form_of(parts.fields));
    }
    item.tokens = collate_tokens({&ids}, parts.text.pad_id());
    for (const std::int64_t id : ids) item.pieces.emplace_back(parts.tokenizer->vocabulary().token(id));
  }
  const auto given = given_concepts(item.json, parts.fields.images.size(), input);
  if (given && !parts.text.has_concepts()) {
    throw DataError(shown_input(input), "gives \"concepts\", and the model reads none",
                    "Leave the field out, or take a model that was trained with concepts");
  }
  // All names before any file: what is missing in the line is said first.
  std::vector<std::string> names;
  for (const std::string& field : parts.fields.images) {
    names.push_back(text_field(item.json, field, parts.fields, input));
    if (!is_file_name(names.back())) {
      throw DataError(shown_input(input), fmt::format("field \"{}\" is not a file name", field),
                      "Give the picture's file");
    }
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    Picture picture;
    picture.file = with_jpg(names[i]);
    const std::string file = read_picture(picture.file);
    at::Tensor pixels = at::empty({1, 3, parts.feed->height(), parts.feed->width()});
    parts.feed->prepare({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}, picture.file.string(),
                        {pixels.data_ptr<float>(), static_cast<std::size_t>(pixels.numel())});
    picture.image = parts.feed->pictures(pixels).to(parts.device);
    if (parts.text.has_concepts()) {
      if (given) {
        picture.words = (*given)[i];
      } else if (parts.from == ConceptsFrom::kManifest) {
        throw DataError(shown_input(input), "has no field \"concepts\", where --concepts manifest looks for them",
                        "Give a list of words, or let them be found in the picture (--concepts find)");
      } else if (parts.from != ConceptsFrom::kNone) {
        if (!parts.finds_concepts) {
          throw DataError(parts.checkpoint, "reads concepts, and does not say how those of its training set were found",
                          "Give them in the input, as a list \"concepts\"; `--concepts none` does without them");
        }
        picture.words = parts.finder.find(picture.file).words;
      }
      const std::vector<std::int64_t> ids =
          parts.text.encode_concepts(std::vector<std::string_view>(picture.words.begin(), picture.words.end()));
      picture.concepts = collate_tokens({&ids}, parts.text.pad_id(), parts.concept_tokens);
    }
    item.pictures.push_back(std::move(picture));
  }
  return item;
}

void PredictInput::require_finite(const Item& item, const at::Tensor& scores) const {
  if (scores.isfinite().all().item<bool>()) return;
  throw DataError(parts_->checkpoint,
                  fmt::format("scores {} with a number that is not finite, so its answer says nothing",
                              shown_input(json_text(item.json))),
                  "Its weights are damaged, or training has diverged: take an earlier checkpoint");
}

nlohmann::ordered_json PredictInput::concepts_of(const Item& item) const {
  if (!parts_->text.has_concepts()) return nullptr;
  if (item.pictures.size() == 1) return item.pictures.front().words;
  InputJson lists = InputJson::array();
  for (const Picture& picture : item.pictures) lists.push_back(picture.words);
  return lists;
}

}  // namespace vicha

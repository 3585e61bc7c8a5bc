#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_text.h"
#include "base/printable.h"
#include "base/random.h"
#include "config/serialize.h"
#include "image/decode.h"
#include "tasks/downstream/answer_calibration.h"
#include "tasks/downstream/explanation.h"
#include "tasks/downstream/network/attention_maps.h"
#include "tasks/downstream/predict_input.h"
#include "tasks/grounding/grounding.h"
#include "tasks/grounding/grounding_model.h"
#include "tasks/host/model_files.h"

namespace vicha {
namespace {

using BoxJson = nlohmann::ordered_json;

constexpr double kLargestPixel = 1e6;  ///< beyond any picture; areas of larger boxes leave what a float holds

/// What the recipe says of maps; its file of boxes is of its own sets.
GroundingMapOptions map_options_of(const LoadedModel& loaded) {
  return loaded.recipe.get<GroundingRecipe>().grounding.maps;
}

BoxJson json_of_box(const PixelBox& b) {
  const auto rounded = [](double x) { return std::round(x * 100) / 100; };
  return {rounded(b.x), rounded(b.y), rounded(b.width), rounded(b.height)};
}

/// The input's own; sliding ones where it has none.
std::vector<PixelBox> boxes_of_input(const BoxJson& json, const PictureSize& size, const std::string& picture) {
  const auto given = json.find("boxes");
  if (given == json.end() || given->is_null()) return sliding_boxes(size);
  const auto refuse = [&](const std::string& what) {
    return DataError(picture, what,
                     "Give \"boxes\": [[x, y, width, height], ...] in the picture's pixels, or leave it out");
  };
  if (!given->is_array()) throw refuse("field \"boxes\" is not a list of boxes");
  if (given->empty()) throw refuse("field \"boxes\" is an empty list, so there is nothing to choose from");
  std::vector<PixelBox> boxes;
  for (std::size_t i = 0; i < given->size(); ++i) {
    const BoxJson& one = (*given)[i];
    const bool numbers = one.is_array() && one.size() >= 4 && one[0].is_number() && one[1].is_number() &&
                         one[2].is_number() && one[3].is_number();
    if (!numbers) throw refuse(fmt::format("box {} of \"boxes\" is not [x, y, width, height]", i + 1));
    const PixelBox box{one[0], one[1], one[2], one[3]};
    for (const double number : {box.x, box.y, box.width, box.height}) {
      if (!(std::abs(number) <= kLargestPixel)) {
        throw refuse(fmt::format("box {} of \"boxes\" has a number that no picture reaches ({:g})", i + 1, number));
      }
    }
    if (!(box.width > 0 && box.height > 0)) throw refuse(fmt::format("box {} of \"boxes\" has no area", i + 1));
    const PixelBox part = inside(box, size);
    if (part.width <= 0 || part.height <= 0) {
      throw refuse(fmt::format("box {} of \"boxes\" lies outside of the picture, which has {} x {} pixels", i + 1,
                               size.width, size.height));
    }
    boxes.push_back(box);
  }
  return boxes;
}

class GroundingPredictor {
 public:
  GroundingPredictor(const LoadedModel& loaded, const PredictCommand& command)
      : model_(dynamic_cast<const GroundingModel&>(*loaded.parts)),
        options_(map_options_of(loaded)),
        decode_(loaded.recipe->data.decode_options()),
        input_(loaded, command, grounding_kind(), expression_rule(), loaded.recipe->data.concepts.max_tokens),
        calibration_(calibration_of(checkpoint_folder(command.checkpoint))) {}

  std::string operator()(const PredictRequest& request) const {
    const PredictInput::Item item = input_.read(request.input);
    const PredictInput::Picture& picture = item.pictures.front();
    const Image pixels = load_rgb(picture.file, decode_);
    const PictureSize size{pixels.width, pixels.height};
    Candidates candidates{size, boxes_of_input(item.json, size, picture.file.string()), {}};
    const at::NoGradGuard guard;
    const QuestionBatch batch = encode(item);
    const PatchGrid grid = model_.grid_of(options_);

    BoxJson answer = item.json;
    std::vector<double> scores;
    at::Tensor logits, text_map;
    if (model_.supervised()) {
      logits = model_.judge(batch.image, fused(batch), {0}, candidate_targets({&candidates}))[0].cpu().to(at::kDouble);
      scores.assign(logits.data_ptr<double>(), logits.data_ptr<double>() + logits.numel());
    } else {
      text_map = options_.map == GroundingMap::kItc
                     ? model_.contrast_maps_of(picture.image, picture.concepts, item.tokens, {0}, options_)[0]
                     : model_.maps(batch, options_)[0];
      text_map = text_map.cpu().view({grid.rows, grid.columns});
      at::Tensor enlarged = upsample_map(text_map, size);
      // Of boxes of any size the whole picture would win wherever the map is spread out: what counts is above its mean.
      if (!item.json.contains("boxes")) enlarged = enlarged - enlarged.mean();
      scores = box_scores(enlarged, candidates.boxes, options_.alpha);
    }
    input_.require_finite(item, at::tensor(scores, at::kDouble));
    const BoxChoice choice = choose_box(scores, candidates.boxes, static_cast<std::uint64_t>(text_id(item.text)));
    VICHA_ASSERT(choice.box >= 0);
    const PixelBox& box = candidates.boxes[static_cast<std::size_t>(choice.box)];
    answer["box"] = json_of_box(box);
    answer["score"] = scores[static_cast<std::size_t>(choice.box)];
    if (logits.defined()) {
      const at::Tensor shares = (logits / temperature_of(calibration_)).softmax(0);
      answer["probability"] = std::round(shares[choice.box].item<double>() * 1e6) / 1e6;
      answer["calibrated"] = calibration_.has_value();
    }
    if (choice.tied) answer["tied"] = true;
    answer["by"] = model_.supervised() ? std::string("head") : std::string(name_of(kGroundingMapNames, options_.map));
    answer["candidates"] = item.json.contains("boxes") ? "given" : "sliding";
    answer["concepts"] = input_.concepts_of(item);
    if (!request.explain.empty()) {
      explain(request.explain, item, batch, candidates, choice, text_map);
      answer["explanation"] = request.explain.string();
    }
    return json_text(answer);
  }

 private:
  QuestionBatch encode(const PredictInput::Item& item) const {
    const Encoders& encoders = model_.vicha().online();
    const PredictInput::Picture& picture = item.pictures.front();
    QuestionBatch batch;
    batch.texts = {0};
    batch.text = encoders.encode_text(PackedText::packed(item.tokens, model_.vicha().device()), Dropout());
    batch.image =
        encoders.encode_image({patch_rows(picture.image, encoders.vit.options()), 1, picture.concepts}, Dropout());
    batch.kv = encoders.text.image_kv(batch.image.fusion_rows());
    batch.image_of = {{0}};
    return batch;
  }

  at::Tensor fused(const QuestionBatch& batch) const {
    return fuse_texts(model_.vicha().online(), batch.text, batch.kv, FusedImages(batch.image), {0}, FusedRows::kCls,
                      Dropout());
  }

  /// Of each token, what the choice rests on.
  at::Tensor word_maps_of(const QuestionBatch& batch, const Candidates& candidates, const BoxChoice& choice) const {
    if (!model_.supervised()) return model_.word_maps_of(batch, options_);
    const std::int64_t layer = options_.layer < 0 ? usual_map_layer(model_.vicha().options().text) : options_.layer;
    return word_maps(model_.vicha().online(), batch.text, batch.kv, FusedImages(batch.image), {0}, FusedRows::kCls,
                     layer, [&](const at::Tensor& cls) {
                       return model_.judge(batch.image, cls, {0}, candidate_targets({&candidates}))[0][choice.box];
                     });
  }

  void explain(const std::filesystem::path& file, const PredictInput::Item& item, const QuestionBatch& batch,
               const Candidates& candidates, const BoxChoice& choice, const at::Tensor& text_map) const {
    Explanation::Picture picture{.file = item.pictures.front().file, .maps = {}, .boxes = {}};
    if (!model_.supervised() && options_.map == GroundingMap::kItc) {
      picture.maps = {{"", text_map}};
    } else {
      const PatchGrid grid = model_.supervised() ? map_grid(model_.vicha().options()) : model_.grid_of(options_);
      picture.maps = maps_of_words(item.pieces, word_maps_of(batch, candidates, choice), grid);
    }
    const auto drawn = [](const PixelBox& b, bool chosen) {
      const FloatBox box{static_cast<float>(b.x), static_cast<float>(b.y), static_cast<float>(b.width),
                         static_cast<float>(b.height)};
      return DrawnBox{box, "", chosen};
    };
    if (item.json.contains("boxes")) {
      for (const PixelBox& box : candidates.boxes) picture.boxes.push_back(drawn(box, false));
    }
    picture.boxes.push_back(drawn(candidates.boxes[static_cast<std::size_t>(choice.box)], true));
    write_explanation(file, {.pictures = {picture}, .title = item.text});
  }

  const GroundingModel& model_;
  GroundingMapOptions options_;
  DecodeOptions decode_;
  PredictInput input_;
  std::optional<AnswerCalibration> calibration_;
};

}  // namespace

Predictor grounding_predictor(LoadedModel& loaded, const PredictCommand& command) {
  return [predictor = std::make_shared<const GroundingPredictor>(loaded, command)](const PredictRequest& request) {
    return (*predictor)(request);
  };
}

}  // namespace vicha

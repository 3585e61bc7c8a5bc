#include "tasks/nlvr2/text_assignment.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "checkpoint/names/fusion_layers.h"
#include "tasks/downstream/downstream_training.h"
#include "tasks/nlvr2/network/nlvr2_net.h"

namespace vicha {
namespace {

class TextAssignmentTraining : public TaskTraining {
 public:
  explicit TextAssignmentTraining(const TrainingSetup& setup)
      : recipe_(setup.recipe), model_(dynamic_cast<TextAssignmentModel&>(setup.model)) {}

  /// No soft targets; the copies follow all the same, so that NLVR2 begins with a teacher that reads two pictures.
  Losses step(const Batch& batch, const StepContext& context) override {
    Vicha& vicha = model_.vicha();
    if (context.micro_batch == 0) vicha.update_momentum();
    RandomAssignment draws(*context.rng);
    const AssignmentNet::Step step =
        model_.net().step({batch.image.to(vicha.device()), batch.concepts, batch.text, batch.image_ids}, draws,
                          Dropout(recipe_.model.text.dropout, context.rng));
    const at::Tensor labels = at::tensor(step.assignment.labels, at::kLong).to(step.logits.device());
    const at::Tensor right = step.logits.detach().argmax(1).eq(labels).to(at::kFloat).mean();
    return {step.loss, {{"ta", step.loss}}, {{"right", right}}};
  }

 private:
  const TaskRecipe& recipe_;
  TextAssignmentModel& model_;
};

}  // namespace

TextAssignmentRecipe::TextAssignmentRecipe() : TaskRecipe("text-assignment") {
  model.fusion.images = kPicturesOfStatement;
  data.concepts.random_share = 0;
}

void TextAssignmentRecipe::describe(Visitor& v) {
  describe_model(v);
  describe_training(v);
}

void TextAssignmentRecipe::finish() {
  require_two_images(model);
  if (data.batch_size < 3) {
    throw UsageError(
        fmt::format("data.batch_size = {}, and a text is shown with two pictures of its batch that are not its own; "
                    "set it to 3 or more",
                    data.batch_size));
  }
  TaskRecipe::finish();
}

TextAssignmentModel::TextAssignmentModel(const TextAssignmentRecipe& recipe, std::uint64_t seed)
    : TaskModel(recipe.model, no_objectives(), seed), net_(vicha()) {}

void TextAssignmentModel::adapt_weights(StateDict& weights, const std::string& file) const {
  const ModelOptions& sizes = vicha().options();
  if (sizes.fusion.joint()) {
    repeat_word_similarity(weights, sizes.fusion.images);
    return;
  }
  repeat_fusion_layers(weights, {sizes.text.text_layers, sizes.text.fusion_layers, sizes.fusion.images}, file);
}

TaskKind text_assignment_kind() {
  return {.key = "text-assignment",
          .title = "Text assignment",
          .about = "Which of two pictures a text belongs to: what precedes NLVR2",
          .recipe = TextAssignmentRecipe(),
          .checkpoint_names = {"ta_head.**"},
          .make_model =
              [](const TaskRecipe& recipe, std::uint64_t seed) {
                return std::make_unique<TextAssignmentModel>(dynamic_cast<const TextAssignmentRecipe&>(recipe), seed);
              },
          .begin_training = [](const TrainingSetup& setup) { return std::make_unique<TextAssignmentTraining>(setup); }};
}

}  // namespace vicha

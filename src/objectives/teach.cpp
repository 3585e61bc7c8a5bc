#include "objectives/teach.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "nn/norm.h"
#include "nn/vit_block.h"

namespace vicha {

void TeachOptions::describe(Visitor& v) {
  ObjectiveOptions::describe(v);
  v.field({"image", "", "Share of the pictures' term in the loss; 0: the image tower is not taught", 0}, image);
  v.field({"text", "", "Share of the captions' term in the loss; 0: the text tower is not taught", 0}, text);
  v.field(
      {"source", "",
       "The teacher: aligned:RUN, clip:FILE or vicha:RUN. What the stores below do not name, it embeds at the start "
       "into the run's folder"},
      source);
  v.field(
      {"pictures", "",
       "Store of the teacher's vectors of the pictures, by `vicha concepts embed --source`; empty: made at the start"},
      pictures);
  v.field(
      {"captions", "",
       "Store of its vectors of the captions: teach-captions.emb of a run with this teacher; empty: made at the start"},
      captions);
  v.field({"width", "numbers", "Width of the teacher's vectors; 0: as the teacher says", 0, 65536}, width);
  v.field(
      {"trust_names", "",
       "Take the vectors of `pictures` by the pictures' names alone; otherwise the files are read at the start, and "
       "one that has changed since is an error"},
      trust_names);
}

void TeachOptions::check(const ModelOptions&) const {
  if (image == 0 && text == 0) {
    throw UsageError(
        "teach.image = 0 and teach.text = 0 teach nothing; give one of them, or set teach.enabled = false");
  }
  if (source.empty() && ((image > 0 && pictures.empty()) || (text > 0 && captions.empty()))) {
    throw UsageError(
        "teach.enabled = true needs a teacher: teach.source (aligned:RUN), or stores of its vectors (teach.pictures, "
        "teach.captions)");
  }
}

std::string TeachOptions::note() const {
  if (image == 0) return "captions";
  return text == 0 ? "pictures" : "";
}

void TeacherFeatures::for_each_tensor(const TensorVisit& visit) {
  visit(image);
  visit(text);
}

at::Tensor teach_loss(const at::Tensor& features_BT, const at::Tensor& teacher_BT) {
  if (features_BT.size(0) == 0) return features_BT.to(at::kFloat).sum() * 0.0;
  return 1.0 - (unit_rows(features_BT) * teacher_BT).sum(1).mean();
}

TeachObjective::TeachObjective(const TeachOptions& options, Vicha& model) : options_(options) {
  const std::int64_t own = model.options().embed_dim;
  if (options.width == 0) {
    throw UsageError("teach.width = 0: nothing says how wide the teacher's vectors are; give teach.width");
  }
  if (options.width == own) return;
  const ParameterStore::Scope scope(model.parameters(), "teach_heads");
  const auto add = [&](const char* name) {
    return add_linear(model.parameters(), name, own, options.width, Init::kLinearDefault);
  };
  if (options.image > 0) image_ = add("teach_image.");
  if (options.text > 0) text_ = add("teach_text.");
}

at::Tensor TeachObjective::as_teacher_image(const at::Tensor& features_BE) const {
  return image_ ? (*image_)(features_BE) : features_BE;
}

at::Tensor TeachObjective::as_teacher_text(const at::Tensor& features_BE) const {
  return text_ ? (*text_)(features_BE) : features_BE;
}

namespace {

class TeachStep : public ObjectiveStep {
 public:
  TeachStep(const TeachObjective& objective, Encodings& encodings) : objective_(objective), encodings_(encodings) {}

  at::Tensor loss() override {
    const TeachOptions& options = objective_.teach_options();
    const auto& teacher = encodings_.batch().get<TeacherFeatures>();
    const Encodings::Features& own = encodings_.features();
    const at::Device device = own.image.device();
    at::Tensor pictures, captions;
    if (options.image > 0) {
      pictures = options.image * teach_loss(objective_.as_teacher_image(own.image), teacher.image.to(device));
    }
    if (options.text > 0) {
      captions = options.text * teach_loss(objective_.as_teacher_text(own.text), teacher.text.to(device));
    }
    if (!captions.defined()) return pictures;
    return pictures.defined() ? pictures + captions : captions;
  }

 private:
  const TeachObjective& objective_;
  Encodings& encodings_;
};

}  // namespace

std::unique_ptr<ObjectiveStep> TeachObjective::begin(Encodings& encodings, const Distillation&) const {
  return std::make_unique<TeachStep>(*this, encodings);
}

ObjectiveKind teach_kind() {
  return {.key = "teach",
          .title = "Distillation from an aligned model",
          .name = "Teach",
          .curve = "Teach: cosine to the teacher",
          .measure = "1 − cosine",
          .checkpoint_names = {"teach_image.**", "teach_text.**"},
          .options = TeachOptions(),
          .make = [](const ObjectiveOptions& options, Vicha& model) {
            return std::make_unique<TeachObjective>(dynamic_cast<const TeachOptions&>(options), model);
          }};
}

}  // namespace vicha

#include "tasks/pretrain/pretrain_recipe.h"

#include <fmt/format.h>

#include "objectives/registry.h"
#include "tasks/pretrain/teacher.h"

namespace vicha {

void EvalOptions::describe(Visitor& v) {
  v.field({"manifest", "", "Retrieval set that is evaluated at each checkpoint; empty: none"}, manifest);
  v.field({"k_test", "candidates", "Best candidates of each query that are matched and re-ranked", 0, 1e9}, k_test);
  v.choice({.key = "ranking",
            .meaning = "What orders them: matching alone, as the paper, or the product of its odds and the contrast's "
                       "probability"},
           ranking, kRankingNames);
  v.field({"batch_size", "pictures", "Pictures encoded at once", 1, 1e6}, batch_size);
}

void PretrainRecipe::describe(Visitor& v) {
  describe_model(v);
  objectives.describe(v);
  describe_training(v);
  v.section("eval", "Evaluation along the way", eval);
  v.moved("model.mae_decoder", "mae.decoder");
}

void PretrainRecipe::finish() {
  TaskRecipe::finish();
  objectives.check(model);
}

void PretrainRecipe::read_sizes(const std::string& device) {
  TaskRecipe::read_sizes(device);
  auto& teach = objectives.get<TeachOptions>();
  if (teach.enabled && teach.width == 0) teach.width = teacher_width(teach, device);
}

std::vector<std::string> PretrainRecipe::evaluation_settings() const {
  return {fmt::format("k_test={}", eval.k_test), fmt::format("ranking={}", name_of(kRankingNames, eval.ranking)),
          fmt::format("batch_size={}", eval.batch_size)};
}

std::vector<std::pair<std::string, std::string>> PretrainRecipe::facts() const {
  std::string text;
  for (const ObjectiveKind& kind : objective_kinds()) {
    const ObjectiveOptions& o = objectives.at(kind.key);
    if (!o.enabled) continue;
    if (!text.empty()) text += ", ";
    text += kind.name;
    if (const std::string note = o.note(); !note.empty()) text += fmt::format(" ({})", note);
    if (o.weight != 1.0) text += fmt::format(" × {:g}", o.weight);
    if (o.start > 0) text += fmt::format(" from {:.3g} %", o.start * 100);
  }
  return {{"Objectives (and when they set in)", text.empty() ? "none" : text}};
}

}  // namespace vicha

// The page's head: what was trained, on what, for how long, and what came out.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "config/serialize.h"
#include "report/chart_axis.h"
#include "report/sections.h"

namespace vicha {
namespace {

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

/// Parameters without the momentum copies.
std::int64_t count_parameters(const Vicha& model) {
  std::int64_t count = 0;
  for (const Parameter& parameter : model.parameters().parameters()) {
    if (!parameter.follower) count += parameter.value.numel();
  }
  return count;
}

std::string millions(std::int64_t count) {
  return fmt::format("{:.{}f} million", count / 1e6, count < 10'000'000 ? 2 : 1);
}

class Facts {
 public:
  explicit Facts(Html& html) : html_(html), list_(html.element("dl", {{"class", "facts"}})) {}
  void add(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    const auto pair = html_.element("div");
    html_.leaf("dt", {}, name);
    html_.leaf("dd", {}, value);
  }

 private:
  Html& html_;
  Html::Element list_;
};

void add_model_facts(Facts& facts, const TaskRecipe& recipe) {
  const ModelOptions& model = recipe.model;
  const std::string patches = model.vit.reads_features()
                                  ? fmt::format("features of {} × {} patches, {} numbers each", model.vit.picture.rows,
                                                model.vit.picture.columns, model.vit.picture.width)
                                  : fmt::format("{} px in patches of {} px", model.vit.image_res, model.vit.patch);
  facts.add("Picture encoder",
            fmt::format("ViT: {}, {} blocks, width {}, {} heads{}", patches, model.vit.depth, model.vit.width,
                        model.vit.heads, model.concepts.enabled ? "; reads concepts" : ""));
  facts.add("Text and fusion", fmt::format("BERT: {} + {} layers, width {}, {} heads{}", model.text.text_layers,
                                           model.text.fusion_layers, model.text.width, model.text.heads,
                                           model.fusion.joint() ? fmt::format("; joint fusion with {} × {} regions",
                                                                              model.regions.rows, model.regions.columns)
                                                                : ""));
  facts.add("Common embedding",
            fmt::format("{} channels, queue of {}", model.embed_dim, format_count(model.queue_size)));
}

void add_recipe_facts(Facts& facts, const TaskRecipe& recipe) {
  for (const auto& [name, value] : recipe.facts()) facts.add(name, value);
  facts.add("Frozen", fmt::format("{}", fmt::join(recipe.freeze, ", ")));
  facts.add("Training data", fmt::format("{}", fmt::join(recipe.data.manifests, ", ")));
  const OptimizerOptions& optimizer = recipe.training.optimizer;
  facts.add("Batch", optimizer.accumulate > 1
                         ? fmt::format("{} × {} accumulated", recipe.data.batch_size, optimizer.accumulate)
                         : fmt::format("{}", recipe.data.batch_size));
  facts.add("Optimiser",
            fmt::format("AdamW, learning rate {:g} ({}), weight decay {:g}", optimizer.lr,
                        name_of(kScheduleKindNames, recipe.training.schedule.kind), optimizer.weight_decay));
  facts.add("Precision", name_of(kPrecisionNames, recipe.training.length.precision));
  facts.add("Seed", fmt::format("{}", recipe.training.length.seed));
}

void tile(Html& html, std::string_view name, std::string_view value, std::string_view note) {
  const auto box = html.element("div", {{"class", "tile"}});
  html.leaf("span", {{"class", "what"}}, name);
  html.leaf("strong", {}, value);
  html.leaf("span", {{"class", "note"}}, note);
}

void write_tiles(Html& html, const ReportData& data, std::int64_t samples) {
  const auto tiles = html.element("div", {{"class", "tiles"}});
  if (data.retrieval.value) {
    const RunRetrieval& result = *data.retrieval.value;
    const auto chance = [&](Recalls RetrievalMetrics::*way) {
      return result.chance ? fmt::format("chance {} %", format_percent(((*result.chance).*way).r10)) : "of the queries";
    };
    tile(html, "Text → picture, R@10", format_percent(result.reranked.image.r10) + " %",
         chance(&RetrievalMetrics::image));
    tile(html, "Picture → text, R@10", format_percent(result.reranked.text.r10) + " %",
         chance(&RetrievalMetrics::text));
  }
  for (const auto& [name, value] : headline_figures(data)) tile(html, name, value, "of the evaluation");
  tile(html, "Steps", format_count(data.metrics.steps),
       samples > 0 ? format_count(samples) + " samples seen" : fmt::format("in epoch {}", data.metrics.epoch + 1));
  const std::string rate =
      samples > 0 && data.metrics.seconds > 0
          ? fmt::format("{} samples/s over all", format_number(static_cast<double>(samples) / data.metrics.seconds))
          : "of training";
  tile(html, "Wall time", duration(data.metrics.seconds), rate);
}

}  // namespace

void write_summary(Html& html, const ReportData& data) {
  const auto header = html.element("header");
  html.leaf("h1", {}, data.name);
  html.leaf("p", {{"class", "lead"}}, fmt::format("ViCHA {} run, last step {}", data.task_title, data.date));
  const TaskRecipe* recipe = data.recipe.value ? &**data.recipe.value : nullptr;
  const std::int64_t samples =
      recipe != nullptr ? data.metrics.steps * recipe->data.batch_size * recipe->training.optimizer.accumulate : 0;
  write_tiles(html, data, samples);
  {
    Facts facts(html);
    if (data.loaded.value) {
      const std::int64_t count = count_parameters(data.loaded.value->vicha());
      facts.add("Parameters", millions(count) + ", momentum copies not counted");
    }
    if (recipe != nullptr && (data.kind == nullptr || data.kind->make_model)) add_model_facts(facts, *recipe);
    if (recipe != nullptr) add_recipe_facts(facts, *recipe);
    facts.add("Epochs", fmt::format("{} begun", data.metrics.epoch + 1));
    if (data.metrics.skipped > 0) facts.add("Unreadable", format_count(data.metrics.skipped) + " samples skipped");
  }
  if (recipe == nullptr) {
    write_absence(html, data.recipe.problem);
    return;
  }
  const auto details = html.element("details");
  html.leaf("summary", {}, "Recipe: what differs from the defaults");
  html.leaf("pre", {}, to_toml(*data.recipe.value, {.only_changes = true}));
}

}  // namespace vicha

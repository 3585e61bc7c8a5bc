// The "retrieval" fixture: fine-tuning steps with repeated images, and two-stage evaluation. Also the ranking
// metrics.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "base/files.h"
#include "checkpoint/safetensors/safetensors.h"
#include "fixture_set.h"
#include "metrics/recall.h"
#include "models/pair_scorer.h"
#include "objectives/itc.h"
#include "objectives/itm.h"

namespace vicha::parity {
namespace {

ObjectivesOptions fine_tuning(ObjectivesOptions o) {
  o.get<ItcOptions>().positives = Positives::kImageId;
  o.enable_only({"itc", "itm"});
  o.clamp_temperature = false;
  return o;
}

void add_metrics(Report& report, const RetrievalMetrics& m, const nlohmann::json& expected) {
  const std::pair<const char*, double> values[] = {
      {"txt_r1", m.text.r1},         {"txt_r5", m.text.r5},          {"txt_r10", m.text.r10},
      {"txt_r_mean", m.text.mean()}, {"img_r1", m.image.r1},         {"img_r5", m.image.r5},
      {"img_r10", m.image.r10},      {"img_r_mean", m.image.mean()}, {"r_mean", m.mean()}};
  for (const auto& [name, value] : values) report.add(name, std::abs(value - expected.at(name).get<double>()), 1e-9);
}

void evaluate(const FixtureSet& set, const PretrainStep& step, const StateDict& data, Report& report) {
  const auto& expected = set.fixture().at("eval");
  const Batch b = set.batch(data, "eval");
  PairScorer scorer(step.model(), step.objectives().find<ItmObjective>()->head());
  // The sizes in which the reference read its images; ours may not matter.
  std::int64_t at = 0;
  for (const std::int64_t n : expected.at("image_batches")) {
    const Tokens concepts{b.concepts.ids.slice(0, at, at + n),
                          {b.concepts.lengths.begin() + at, b.concepts.lengths.begin() + at + n}};
    scorer.add_images(b.image.slice(0, at, at + n), concepts);
    at += n;
  }
  scorer.add_texts(b.text);
  const PairScorer::Scores scores = scorer.rerank(expected.at("k_test"));
  const std::pair<const char*, at::Tensor> all[] = {
      {"sims_i2t", scorer.similarities()}, {"score_i2t", scores.i2t}, {"score_t2i", scores.t2i}};
  for (const auto& [name, ours] : all) {
    const at::Tensor theirs = data.at(std::string("eval.out.") + name), scored = theirs.ne(-100);
    report.expect(std::string(name) + " chosen pairs", at::equal(ours.ne(-100), scored));
    report.tensor(name, ours.masked_select(scored), theirs.masked_select(scored), kState);
  }
  report.close("retrieval evaluation scores");
  std::vector<std::vector<std::int64_t>> texts_of;
  std::vector<std::int64_t> image_of;
  for (std::int64_t i = 0; i < scorer.images(); ++i) texts_of.push_back(expected.at("img2txt").at(std::to_string(i)));
  for (std::int64_t t = 0; t < scorer.texts(); ++t) image_of.push_back(expected.at("txt2img").at(std::to_string(t)));
  add_metrics(report, retrieval_metrics(scores.i2t, scores.t2i, texts_of, image_of), expected.at("metrics"));
  report.close("retrieval evaluation metrics");
}

}  // namespace

void check_retrieval(const fs::path& folder, Report& report) {
  const FixtureSet set(folder, "retrieval");
  const StateDict data = read_safetensors(folder / "retrieval.safetensors");
  const ObjectivesOptions objectives = fine_tuning(set.objectives());
  const auto model = set.model();
  const ObjectiveSet heads(objectives, *model);
  const PretrainStep step(objectives, heads, *model);
  set.fill(*model, report);
  const ReleasedNames names(model->parameters());
  const auto& fixture = set.fixture();
  for (std::size_t i = 0; i < fixture.at("state_names").size(); ++i) {
    const std::string name = fixture.at("state_names")[i];
    add_fingerprint(report, name, names.value(name), fixture.at("loaded_fp")[i], kState);
  }
  for (const auto& [name, theirs] : below(data, "loaded.")) report.tensor(name, names.value(name), theirs, kState);
  report.close("retrieval load");
  evaluate(set, step, data, report);

  AdamW optimizer(model->parameters(), OptimizerOptions{});
  for (std::size_t k = 0; fixture.contains("train" + std::to_string(k)); ++k) {
    const auto& expected = fixture.at("train" + std::to_string(k));
    const std::string prefix = fmt::format("s{}", k), label = fmt::format("retrieval {}", k);
    const Batch batch = set.batch(data, prefix);
    RecordedDraws draws(data, prefix);
    const double alpha = expected.at("alpha");
    model->update_momentum();
    const auto run = step.begin(batch, draws, 0, alpha);
    Encodings& e = run->encodings;
    ItmStep& itm = *run->find<ItmStep>();
    const PretrainStep::Result r = step.losses(*run);
    const StepChecks checks{label, report, names};
    checks.losses({{"ita", r.terms[0].second}, {"itm", r.terms[1].second}, {"total", r.total}}, expected);
    {
      const at::NoGradGuard guard;
      StateDict ours;
      ours.set("image_embeds", e.image().states.view({batch.size(), e.image().tokens, -1}));
      ours.set("itm_logits", itm.logits());
      ours.set("itm_weights_i2t", itm.negatives().weights_i2t);
      ours.set("itm_weights_t2i", itm.negatives().weights_t2i);
      ours.set("loss_ita", r.terms[0].second);
      ours.set("loss_itm", r.terms[1].second);
      ours.set("sim_i2t", e.similarities().i2t);
      ours.set("sim_t2i", e.similarities().t2i);
      ours.set("sim_i2t_m", e.momentum_similarities().i2t);
      ours.set("sim_t2i_m", e.momentum_similarities().t2i);
      for (const auto& [name, theirs] : below(data, prefix + ".out."))
        report.tensor(name, ours.find(name), theirs, kState);
      report.close(label + " intermediate results");
    }
    const Encodings::Features features = e.momentum().features;
    torch::autograd::backward({r.total});
    checks.gradients(fixture.at("train0").at("grad_names"), expected, below(data, prefix + ".grad."));
    optimizer.step(expected.at("lr"));
    optimizer.clear_gradients();
    model->queue().push(features.image, features.text, batch.image_ids);
    checks.states(fixture.at("state_names"), expected, below(data, prefix + ".after."));
  }
}

void check_metrics(const fs::path& folder, Report& report) {
  const nlohmann::json cases = nlohmann::json::parse(read_file(folder / "metrics" / "retrieval.json")).at("cases");
  const StateDict scores = read_safetensors(folder / "metrics" / "retrieval.safetensors");
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::string key = std::to_string(i);
    const nlohmann::json& c = cases[i];
    std::vector<std::vector<std::int64_t>> texts_of;
    std::vector<std::int64_t> image_of;
    for (std::size_t k = 0; k < c.at("img2txt").size(); ++k) texts_of.push_back(c.at("img2txt")[k]);
    for (std::size_t k = 0; k < c.at("txt2img").size(); ++k) image_of.push_back(c.at("txt2img")[k]);
    add_metrics(report, retrieval_metrics(scores.at(key + ".i2t"), scores.at(key + ".t2i"), texts_of, image_of),
                c.at("expected"));
  }
  report.close("metrics of retrieval");
  check_vqa_metrics(folder, report);
}

}  // namespace vicha::parity

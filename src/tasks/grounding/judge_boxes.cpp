#include "tasks/grounding/judge_boxes.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <map>

#include "base/error.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/random.h"
#include "data/pipeline/sample_maker.h"
#include "metrics/share.h"

namespace vicha {
namespace {

/// The public code looks for a score above 0 alone, and keeps the box of the expression before where there is none.
struct ReleasedChooser {
  std::optional<PixelBox> kept;
  void choose(const std::vector<double>& scores, const std::vector<PixelBox>& boxes) {
    double best = 0;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (scores[i] <= best) continue;
      best = scores[i];
      kept = boxes[i];
    }
  }
};

bool is_right_box(const PixelBox& box, const Candidates& own, GroundingMetric metric) {
  return overlap(box, *own.right, metric) >= kRightOverlap;
}

}  // namespace

at::Tensor right_candidates(const EvaluationSet& set, const CandidateBoxes& boxes) {
  at::Tensor right = at::full({set.caption_count()}, -1, at::kLong);
  auto* out = right.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < set.caption_count(); ++i) {
    const Candidates& own = boxes[set.caption_record(i)];
    for (std::size_t c = own.boxes.size(); c-- > 0;) {
      if (is_right_box(own.boxes[c], own, GroundingMetric::kExact)) out[i] = static_cast<std::int64_t>(c);
    }
  }
  return right;
}

Judgement judge_boxes(const EvaluationSet& set, const CandidateBoxes& boxes, const GroundingAnswers& answers,
                      const GroundingMapOptions& options) {
  const Manifest& manifest = set.manifest();
  const bool by_map = answers.maps_XN.defined();
  Share all, chance, pointing;
  std::map<std::string, Share> splits, types;
  std::int64_t ties = 0, without_positive = 0;
  ReleasedChooser released;
  for (std::int64_t i = 0; i < set.caption_count(); ++i) {
    const std::int64_t record = set.caption_record(i);
    const Candidates& own = boxes[record];
    std::vector<double> scores;
    if (by_map) {
      const at::Tensor map = upsample_map(answers.maps_XN[i].view({answers.rows, answers.columns}), own.size);
      scores = box_scores(map, own.boxes, options.alpha);
      pointing.add(points_into(map, *own.right) ? 1 : 0);
    } else {
      const at::Tensor row = answers.logits_XC[i].to(at::kDouble).contiguous();
      const double* p = row.const_data_ptr<double>();
      scores.assign(p, p + own.boxes.size());
    }
    const std::uint64_t lot = mix_seed({static_cast<std::uint64_t>(text_id(set.caption(i))),
                                        static_cast<std::uint64_t>(manifest.number_in_file(record))});
    const BoxChoice choice = choose_box(scores, own.boxes, lot);
    std::optional<PixelBox> box;
    if (choice.box >= 0) box = own.boxes[static_cast<std::size_t>(choice.box)];
    if (by_map && options.metric == GroundingMetric::kReleased) {
      released.choose(scores, own.boxes);
      box = released.kept;
    }
    ties += choice.tied ? 1 : 0;
    without_positive += by_map && !own.boxes.empty() && !choice.positive ? 1 : 0;
    const double right = box && is_right_box(*box, own, options.metric) ? 1 : 0;
    double rights = 0;
    for (const PixelBox& candidate : own.boxes) rights += is_right_box(candidate, own, options.metric) ? 1 : 0;
    chance.add(own.boxes.empty() ? 0 : rights / static_cast<double>(own.boxes.size()));
    all.add(right);
    const auto by = [&](const char* field, std::map<std::string, Share>& shares) {
      const auto& column = manifest.column<TextColumn>(field);
      if (column.has(record)) shares[std::string(column[record])].add(right);
    };
    by("split", splits);
    by("type", types);
  }

  Judgement judged;
  judged.score = all.percent();
  auto& json = judged.figures;
  json = {{"accuracy", all.percent()}, {"chance", chance.percent()}};
  if (by_map) json["pointing"] = pointing.percent();
  judged.table = fmt::format("{:<24}{:>9}{:>13}\n", "", "right, %", "expressions");
  const auto row = [&](const std::string& name, const Share& share) {
    judged.table += fmt::format("{:<24}{:>9.2f}{:>13}\n", printable(name), share.percent(), share.all);
  };
  const auto add_all = [&](const char* key, const char* word, const std::map<std::string, Share>& shares) {
    for (const auto& [name, share] : shares) {
      json[key][name] = share.percent();
      row(fmt::format("{} {}", word, name), share);
    }
  };
  add_all("splits", "split", splits);
  add_all("types", "type", types);
  row("all", all);
  json["expressions"] = all.all;
  json["pictures"] = set.image_count();
  json["by"] = by_map ? std::string(name_of(kGroundingMapNames, options.map)) : "head";
  json["metric"] = name_of(kGroundingMetricNames, options.metric);
  if (by_map) json["alpha"] = options.alpha;
  json["ties"] = ties;
  if (by_map) json["without_positive"] = without_positive;
  json["without_candidates"] = boxes.empty();
  json["without_right_candidate"] = boxes.unreached();
  json["boxes_cut"] = boxes.cut();
  judged.table += fmt::format("a candidate drawn at random: {:.2f} %", chance.percent());
  if (by_map) judged.table += fmt::format("; the map's highest point in the right box: {:.2f} %", pointing.percent());
  judged.table += "\n";
  const auto say = [&](std::int64_t count, const char* what) {
    if (count > 0) judged.table += fmt::format("{} {}\n", count, what);
  };
  say(boxes.empty(), "expressions have no candidate box and count as wrong");
  say(boxes.unreached() - boxes.empty(), "expressions have candidates of which none is right");
  say(boxes.cut(), "candidate boxes stick out of their picture (what lies inside is summed)");
  say(ties, "expressions have several best boxes, one of which was drawn");
  say(without_positive, "expressions have no box with a positive score");
  return judged;
}

}  // namespace vicha

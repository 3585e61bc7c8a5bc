#include "tasks/retrieval/score_gate.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/printable.h"

namespace vicha {
namespace {

constexpr const char* kOtherCheckpoint =
    "The weights lead to numbers that are too large or none: look at the losses of the training, or evaluate an "
    "earlier "
    "checkpoint";

/// The first row of which every number is 0; -1 if there is none.
std::int64_t first_zero_row(const at::Tensor& x) {
  const at::Tensor rows = x.eq(0).all(1);
  const at::Tensor found = rows.nonzero();
  return found.size(0) == 0 ? -1 : found[0][0].item<std::int64_t>();
}

}  // namespace

std::string ScoreGate::picture(std::int64_t image) const {
  return fmt::format("the picture of {} ({})", set_.manifest().where(set_.image_record(image)),
                     printable(set_.image_path(image)));
}

std::string ScoreGate::caption(std::int64_t text) const {
  constexpr std::size_t kShown = 80;
  const std::string whole = printable(set_.caption(text));
  return fmt::format("\"{}\"{}", std::string_view(whole).substr(0, kShown), whole.size() > kShown ? "…" : "");
}

void ScoreGate::require_finite(const at::Tensor& scores) const {
  const at::Tensor bad = scores.isfinite().logical_not();
  if (!bad.any().item<bool>()) return;
  const at::Tensor first = bad.nonzero()[0];
  const auto image = first[0].item<std::int64_t>(), text = first[1].item<std::int64_t>();
  throw DataError(model_,
                  fmt::format("the score of {} and caption {} is {}, and a ranking by it says nothing", picture(image),
                              caption(text), scores[image][text].item<float>()),
                  kOtherCheckpoint);
}

void ScoreGate::require_meaning(const at::Tensor& cosines) const {
  require_finite(cosines);
  if (cosines.numel() == 0) return;
  if (const std::int64_t image = first_zero_row(cosines); image >= 0) {
    throw DataError(model_, fmt::format("the embedding of {} is zero, or too large to be normalised", picture(image)),
                    kOtherCheckpoint);
  }
  if (const std::int64_t text = first_zero_row(cosines.t()); text >= 0) {
    throw DataError(model_,
                    fmt::format("the embedding of caption {} is zero, or too large to be normalised", caption(text)),
                    kOtherCheckpoint);
  }
  if (cosines.size(0) < 2 || !cosines.eq(cosines[0]).all().item<bool>()) return;
  log::warning(
      "{}: all pictures have the same embedding, so that the scores do not depend on the picture and recalls say "
      "nothing about the model",
      model_);
}

}  // namespace vicha

// What a recipe says about heads on stored features and their contrast.
#pragma once

#include <cstdint>

#include "align/features.h"
#include "config/describe.h"
#include "nn/head.h"

namespace vicha {

enum class ContrastLoss { kInfoNce, kSigmoid };
inline constexpr Choice<ContrastLoss> kContrastLossNames[] = {{"infonce", ContrastLoss::kInfoNce},
                                                              {"sigmoid", ContrastLoss::kSigmoid}};

struct ContrastOptions {
  ContrastLoss loss = ContrastLoss::kInfoNce;
  PairPositives positives = PairPositives::kText;
  double temperature = 0.07;
  double min_temperature = 0.01;
  double bias = -10.0;
  std::int64_t tile = 2048;

  void describe(Visitor& v) {
    v.choice(
        {.key = "loss", .meaning = "Softmax over the batch in both directions, or each pair by itself as in SigLIP"},
        loss, kContrastLossNames);
    v.choice(
        {.key = "positives",
         .meaning = "What else in the batch belongs to a pair: nothing, pairs of the same text, of the same image"},
        positives, kPairPositivesNames);
    v.field({.key = "temperature",
             .meaning = "Learned divisor of similarities, at the start; SigLIP's is 0.1",
             .min = 1e-3,
             .max = 10},
            temperature);
    v.field({.key = "min_temperature", .meaning = "It never falls below", .min = 1e-3, .max = 10}, min_temperature);
    v.field({.key = "bias",
             .meaning = "Learned addend of similarities, at the start; only for loss = \"sigmoid\"",
             .min = -100,
             .max = 100},
            bias);
    v.field({.key = "tile",
             .unit = "pairs",
             .meaning = "Similarities are computed in squares of this side: memory, not results, depends on it",
             .min = 16,
             .max = 32768},
            tile);
  }
};

struct AlignOptions {
  std::int64_t embed_dim = 512;
  bool standardise = true;
  double ema = 0.0;
  HeadOptions image_head, text_head;
  ContrastOptions contrast;

  void describe(Visitor& v) {
    v.field({.key = "embed_dim", .meaning = "Size of the common space", .min = 2, .max = 8192}, embed_dim);
    v.field({.key = "standardise",
             .meaning = "Each number of a feature less its mean over the training data, divided by its deviation"},
            standardise);
    v.field(
        {.key = "ema",
         .meaning = "The heads that are evaluated and used are a mean of those of all steps, which keeps this share "
                    "of itself at each; 0: the last step's",
         .min = 0,
         .max = 0.99999},
        ema);
    v.section("image_head", "From the features of images to the common space", image_head);
    v.section("text_head", "The same for texts", text_head);
    v.section("contrast", "What the heads are trained with", contrast);
  }
};

}  // namespace vicha

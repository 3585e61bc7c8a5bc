// Texts on their way through a trained model's text encoder. n texts, E width of the common embedding.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>

#include "data/pipeline/sample_maker.h"
#include "models/vicha.h"

namespace vicha {

/// Cleaned and cut as captions are.
Tokens text_tokens(const SampleText& text, std::span<const std::string> texts);

/// -> (n, E), fp32 on the CPU, not normalised; evaluation mode, no gradient.
at::Tensor embed_texts(const Vicha& model, const SampleText& text, std::span<const std::string> texts);

}  // namespace vicha

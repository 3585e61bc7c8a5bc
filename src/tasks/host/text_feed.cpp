#include "tasks/host/text_feed.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "data/pipeline/collate.h"

namespace vicha {
namespace {

constexpr std::size_t kTextsPerPass = 256;

}  // namespace

Tokens text_tokens(const SampleText& text, std::span<const std::string> texts) {
  std::vector<std::vector<std::int64_t>> rows;
  for (const std::string& one : texts) rows.push_back(text.encode(text.clean(one)));
  std::vector<const std::vector<std::int64_t>*> pointers;
  for (const auto& row : rows) pointers.push_back(&row);
  return collate_tokens(pointers, text.pad_id());
}

at::Tensor embed_texts(const Vicha& model, const SampleText& text, std::span<const std::string> texts) {
  const at::NoGradGuard guard;
  const Encoders& online = model.online();
  std::vector<at::Tensor> parts;
  for (std::size_t begin = 0; begin < texts.size(); begin += kTextsPerPass) {
    const Tokens tokens = text_tokens(text, texts.subspan(begin, std::min(kTextsPerPass, texts.size() - begin)));
    const TextStates states = online.encode_text(PackedText::packed(tokens, model.device()), Dropout());
    parts.push_back(online.text_embedding(states).to(at::kCPU, at::kFloat));
  }
  return parts.empty() ? at::empty({0, model.options().embed_dim}) : at::cat(parts);
}

}  // namespace vicha

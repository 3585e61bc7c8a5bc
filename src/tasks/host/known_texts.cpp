#include "tasks/host/known_texts.h"

#include <fmt/format.h>

#include <utility>

#include "nn/kernel_choice.h"
#include "tasks/host/model_identity.h"

namespace vicha {

std::string text_encoder_digest(const Vicha& vicha) {
  const TextOptions& sizes = vicha.options().text;
  Sha256 digest =
      hash_of_parameters(vicha, [](const Parameter& parameter) { return !parameter.follower && parameter.in("text"); });
  digest.update(fmt::format("{} layers of {} heads; {}", sizes.text_layers, sizes.heads, kernel_choice().describe()));
  return digest.hex();
}

const std::vector<StateMoments>* KnownTexts::moments(const std::string& key) const {
  const auto at = moments_.find(key);
  return at == moments_.end() ? nullptr : &at->second;
}

void KnownTexts::keep_moments(const std::string& key, std::vector<StateMoments> moments) {
  moments_.emplace(key, std::move(moments));
}

std::shared_ptr<TextCache> KnownTexts::states(const std::string& key, std::int64_t budget_bytes) {
  if (!states_ || states_key_ != key) {
    states_ = std::make_shared<TextCache>(budget_bytes);
    states_key_ = key;
  }
  return states_;
}

}  // namespace vicha

#include "checkpoint/names/names.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "checkpoint/names/hf_vit_names.h"
#include "checkpoint/names/wrapper.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {
namespace {

using Rules = std::vector<NameRule>;

constexpr NameRule kCommon[] = {
    {"module.**", "**"},
    {"_orig_mod.**", "**"},
    {"**.LayerNorm.gamma", "**.LayerNorm.weight"},
    {"**.LayerNorm.beta", "**.LayerNorm.bias"},
    {"**.position_ids", "", "constant, not a weight"},
};

constexpr NameRule kHuggingFaceBert[] = {
    {"bert.pooler.**", "", "BERT's pooler"},
    {"pooler.**", "", "BERT's pooler"},
    {"cls.seq_relationship.**", "", "BERT's next-sentence head"},
    {"bert.**", "text_encoder.bert.**"},
    {"cls.predictions.**", "text_encoder.cls.predictions.**"},
    {"embeddings.**", "text_encoder.bert.embeddings.**"},
    {"encoder.**", "text_encoder.bert.encoder.**"},
};

constexpr NameRule kTimmVit[] = {
    {"head.**", "", "the classifier"},
    {"head_dist.**", "", "the distillation classifier"},
    {"pre_logits.**", "", "the layer before the classifier"},
    {"fc_norm.**", "", "the norm before the classifier"},
    {"*", "visual_encoder.*"},  // cls_token, pos_embed, dist_token
    {"patch_embed.**", "visual_encoder.patch_embed.**"},
    {"blocks.**", "visual_encoder.blocks.**"},
    {"norm.**", "visual_encoder.norm.**"},
};

// Released downstream models have their text encoders without the language model around it.
constexpr NameRule kFineTuned[] = {
    {"text_encoder.embeddings.**", "text_encoder.bert.embeddings.**"},
    {"text_encoder.encoder.**", "text_encoder.bert.encoder.**"},
    {"text_encoder_m.embeddings.**", "text_encoder_m.bert.embeddings.**"},
    {"text_encoder_m.encoder.**", "text_encoder_m.bert.encoder.**"},
};
// Without layers, a concept encoder is a whole BERT in some of them, and bare embeddings in others, as in ours.
constexpr NameRule kBareConcepts[] = {
    {"kw_encoder.embeddings.**", "kw_encoder.**"},
    {"kw_encoder_m.embeddings.**", "kw_encoder_m.**"},
};

// What every downstream model does with a pretraining checkpoint.
constexpr NameRule kDownstream[] = {
    {"**.position_ids", "", "constant, not a weight"},
    {"text_encoder.bert.**", "text_encoder.**"},
    {"text_encoder_m.bert.**", "text_encoder_m.**"},
    {"decoder_*", "", "MAE, pretraining only"},
    {"decoder_*.**", "", "MAE, pretraining only"},
    {"mae_proj.**", "", "MAE, pretraining only"},
    {"mae_proj_uni.**", "", "MAE, pretraining only"},
    {"mask_token", "", "MAE, pretraining only"},
    {"*_proj_hidden.**", "", "hierarchical ITC, pretraining only"},
};
constexpr NameRule kMlmHead[] = {{"text_encoder.cls.**", "", "the MLM head"},
                                 {"text_encoder_m.cls.**", "", "the MLM head"}};
constexpr NameRule kQueues[] = {{"*_queue", "", "ITC's queue"}, {"queue_ptr", "", "ITC's queue"}};
constexpr NameRule kItmHead[] = {{"itm_head.**", "", "ITM's head"}};
constexpr NameRule kItc[] = {{"temp", "", "ITC's temperature"},
                             {"vision_proj.**", "", "ITC's projection"},
                             {"text_proj.**", "", "ITC's projection"},
                             {"vision_proj_m.**", "", "ITC's projection"},
                             {"text_proj_m.**", "", "ITC's projection"}};
constexpr NameRule kMomentum[] = {{"*_m.**", "", "a momentum copy"}};

Rules join(std::initializer_list<std::span<const NameRule>> parts) {
  Rules rules;
  for (const auto part : parts) rules.insert(rules.end(), part.begin(), part.end());
  return rules;
}

std::vector<std::string_view> split(std::string_view name) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0;;) {
    const std::size_t dot = name.find('.', at);
    parts.push_back(name.substr(at, dot == std::string_view::npos ? dot : dot - at));
    if (dot == std::string_view::npos) return parts;
    at = dot + 1;
  }
}

using Parts = std::span<const std::string_view>;
using Captures = std::vector<std::string>;

/// One part, with at most one `*` in it.
bool match_part(std::string_view pattern, std::string_view part, Captures& captures) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == part;
  const std::string_view before = pattern.substr(0, star), after = pattern.substr(star + 1);
  if (part.size() <= before.size() + after.size() || !part.starts_with(before) || !part.ends_with(after)) return false;
  captures.emplace_back(part.substr(before.size(), part.size() - before.size() - after.size()));
  return true;
}

bool match_parts(Parts pattern, Parts name, Captures& captures) {
  if (pattern.empty() || name.empty()) return pattern.empty() && name.empty();
  const std::size_t held = captures.size();
  if (pattern[0] != "**") {
    if (match_part(pattern[0], name[0], captures) && match_parts(pattern.subspan(1), name.subspan(1), captures))
      return true;
    captures.resize(held);
    return false;
  }
  // Whole parts that stand after the last `**` leave no choice.
  const bool last = std::ranges::find(pattern.subspan(1), std::string_view("**")) == pattern.end();
  if (last && name.size() < pattern.size()) return false;
  for (std::size_t count = last ? name.size() - (pattern.size() - 1) : name.size(); count > 0; --count) {
    const char* begin = name[0].data();
    captures.emplace_back(begin, static_cast<std::size_t>(name[count - 1].data() + name[count - 1].size() - begin));
    if (match_parts(pattern.subspan(1), name.subspan(count), captures)) return true;
    captures.resize(held);
    if (last) return false;
  }
  return false;
}

std::string substitute(std::string_view replacement, const Captures& captures) {
  std::string name;
  std::size_t next = 0;
  for (std::size_t i = 0; i < replacement.size(); ++i) {
    if (replacement[i] != '*') {
      name.push_back(replacement[i]);
      continue;
    }
    if (i + 1 < replacement.size() && replacement[i + 1] == '*') ++i;
    name += captures.at(next++);
  }
  return name;
}

bool starts_any(const StateDict& tensors, std::string_view prefix) {
  for (const auto& [name, tensor] : tensors) {
    if (std::string_view(name).starts_with(prefix)) return true;
  }
  return false;
}

/// A distilled DeiT has a second token; our ViT has one, so that token goes and its position with it.
void drop_distillation_token(StateDict& tensors, RenameReport* report) {
  constexpr const char* kToken = "visual_encoder.dist_token";
  constexpr const char* kPositions = "visual_encoder.pos_embed";
  if (!tensors.erase(kToken)) return;
  if (report != nullptr)
    report->dropped.push_back({"dist_token", "the distillation token, and its position in pos_embed"});
  const at::Tensor positions = tensors.find(kPositions);
  if (positions.defined() && positions.dim() == 3 && positions.size(1) > 2) {
    tensors.set(kPositions, at::cat({positions.narrow(1, 0, 1), positions.narrow(1, 2, positions.size(1) - 2)}, 1));
  }
}

}  // namespace

bool matches(std::string_view pattern, std::string_view name, std::vector<std::string>* captures) {
  // Most names do not fit most patterns, which the ends show without taking the names apart.
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) {
    if (captures != nullptr) captures->clear();
    return pattern == name;
  }
  if (!name.starts_with(pattern.substr(0, star)) || !name.ends_with(pattern.substr(pattern.rfind('*') + 1)))
    return false;
  Captures found;
  if (!match_parts(split(pattern), split(name), found)) return false;
  if (captures != nullptr) *captures = std::move(found);
  return true;
}

std::optional<std::string> rename(std::string_view name, std::span<const NameRule> rules, std::string_view* why) {
  std::string current(name);
  for (const NameRule& rule : rules) {
    Captures captures;
    if (!matches(rule.pattern, current, &captures)) continue;
    if (rule.replacement.empty()) {
      if (why != nullptr) *why = rule.why;
      return std::nullopt;
    }
    current = substitute(rule.replacement, captures);
  }
  return current;
}

StateDict rename(const StateDict& tensors, std::span<const NameRule> rules, std::string_view where,
                 RenameReport* report) {
  StateDict renamed;
  std::map<std::string, std::string> origin;
  for (const auto& [name, tensor] : tensors) {
    std::string_view why;
    const auto ours = rename(name, rules, &why);
    if (!ours) {
      if (report != nullptr) report->dropped.push_back({name, std::string(why)});
      continue;
    }
    const auto [at, added] = origin.try_emplace(*ours, name);
    if (!added)
      throw DataError(where,
                      "both " + in_quotes(at->second) + " and " + in_quotes(name) + " would be " + in_quotes(*ours));
    renamed.set(*ours, tensor);
  }
  return renamed;
}

std::span<const NameRule> common_rules() { return kCommon; }

std::string_view to_string(Naming naming) {
  switch (naming) {
    case Naming::kReleased:
      return "ViCHA/ALBEF";
    case Naming::kHuggingFaceBert:
      return "Hugging Face BERT";
    case Naming::kTimmVit:
      return "timm/DeiT ViT";
    case Naming::kHuggingFaceVit:
      return "Hugging Face ViT";
    case Naming::kUnknown:
      break;
  }
  return "unknown";
}

Naming detect_naming(const StateDict& tensors) {
  if (starts_any(tensors, "visual_encoder.") || starts_any(tensors, "text_encoder.")) return Naming::kReleased;
  if (starts_any(tensors, "bert.embeddings.") || tensors.contains("embeddings.word_embeddings.weight")) {
    return Naming::kHuggingFaceBert;
  }
  if (is_hugging_face_vit(tensors)) return Naming::kHuggingFaceVit;
  if (tensors.contains("pos_embed") && tensors.contains("patch_embed.proj.weight")) return Naming::kTimmVit;
  return Naming::kUnknown;
}

StateDict to_released_names(const StateDict& tensors, std::string_view where, RenameReport* report, Naming* naming) {
  StateDict ours = rename(tensors, kCommon, where, report);
  if (detect_naming(ours) == Naming::kUnknown)
    ours = rename(without_wrapper(ours, where, report), kCommon, where, report);
  const Naming found = detect_naming(ours);
  if (naming != nullptr) *naming = found;
  switch (found) {
    case Naming::kReleased:
      ours = rename(ours, kFineTuned, where, report);
      if (!starts_any(ours, "kw_encoder.encoder.")) ours = rename(ours, kBareConcepts, where, report);
      break;
    case Naming::kHuggingFaceBert:
      ours = rename(ours, kHuggingFaceBert, where, report);
      break;
    case Naming::kTimmVit:
      ours = rename(ours, kTimmVit, where, report);
      drop_distillation_token(ours, report);
      break;
    case Naming::kHuggingFaceVit:
      ours = rename(hugging_face_vit_to_timm(ours, where, report), kTimmVit, where, report);
      drop_distillation_token(ours, report);
      break;
    case Naming::kUnknown:
      throw DataError(where,
                      tensors.size() == 0
                          ? "has no tensors"
                          : "has tensors of an unknown model, the first one " + in_quotes(tensors.begin()->first),
                      "Known are ViCHA and ALBEF checkpoints, Hugging Face's BERT and ViT, timm/DeiT ViT");
  }
  return ours;
}

std::span<const NameRule> downstream_rules(Downstream task) {
  static const Rules kContrastive = join({kDownstream, kMlmHead});
  static const Rules kVqa = join({kDownstream, kQueues, kItmHead, kItc});
  static const Rules kClassification = join({kDownstream, kMlmHead, kQueues, kItmHead, kItc});
  static const Rules kTextAssignment = join({kDownstream, kMlmHead, kQueues, kItmHead, kMomentum});
  switch (task) {
    case Downstream::kRetrieval:
    case Downstream::kGrounding:
      return kContrastive;
    case Downstream::kVqa:
      return kVqa;
    case Downstream::kEntailment:
    case Downstream::kNlvr2:
      return kClassification;
    case Downstream::kTextAssignment:
      return kTextAssignment;
  }
  return kContrastive;
}

}  // namespace vicha

// What other programs call the same tensors. Ours are the names in the released ViCHA checkpoints (and ALBEF's, which
// are the same): `visual_encoder.blocks.0.attn.qkv.weight`, `text_encoder.bert.encoder.layer.0…`, `temp`,
// `image_queue`.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tensors/state_dict.h"

namespace vicha {

/// One line of a name map. `*` stands for one part between dots (or a part of it: `blocks_*`), `**` for one or more
/// whole parts. The replacement repeats the wildcards in order. Without a replacement the tensor is left out: it has no
/// place in our models, `why` says what it is.
struct NameRule {
  std::string_view pattern, replacement;
  std::string_view why = "";
};

/// Whether the name fits; `captures` receives what each wildcard stands for.
bool matches(std::string_view pattern, std::string_view name, std::vector<std::string>* captures = nullptr);

/// Applies each rule that fits, in order, to what the ones before it made of the name. Nothing if the name is dropped;
/// `why`, if given, then points to the reason.
std::optional<std::string> rename(std::string_view name, std::span<const NameRule> rules,
                                  std::string_view* why = nullptr);

struct RenameReport {
  struct Dropped {
    std::string name, why;
  };
  std::vector<Dropped> dropped;
};
/// Throws DataError naming both if two tensors get the same name.
StateDict rename(const StateDict& tensors, std::span<const NameRule> rules, std::string_view where,
                 RenameReport* report = nullptr);

/// DataParallel's and torch.compile's prefixes, BERT's names before 2019 (gamma, beta), position ids.
std::span<const NameRule> common_rules();

enum class Naming { kReleased, kHuggingFaceBert, kTimmVit, kHuggingFaceVit, kUnknown };
std::string_view to_string(Naming naming);
Naming detect_naming(const StateDict& tensors);

/// Detects whose names they are and gives ours. What a training program put before them (see wrapper.h) is taken off. A
/// distilled DeiT loses its second token and that token's position. Throws DataError naming `where` if the names are
/// nobody's that we know.
StateDict to_released_names(const StateDict& tensors, std::string_view where, RenameReport* report = nullptr,
                            Naming* naming = nullptr);

/// The downstream models that start from a pretraining checkpoint; method.md, section 5.
enum class Downstream { kRetrieval, kGrounding, kVqa, kEntailment, kNlvr2, kTextAssignment };
/// Renames `text_encoder(_m).bert.X` to `text_encoder(_m).X` and drops what the task's model does not have. Positions
/// are not interpolated here.
std::span<const NameRule> downstream_rules(Downstream task);

}  // namespace vicha

// Sources of concepts by their names on the command line: a prefix, and what is meant. tasks/registry.cpp lists those
// that the program is built with.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "concepts/source/source.h"
#include "tasks/host/concept_options.h"

namespace vicha {

/// One form of name, "clip:FILE".
struct ConceptSourceKind {
  std::string key;    ///< what stands before the colon: "clip"
  std::string where;  ///< what stands behind it: "FILE"
  std::string about;  ///< "weights of CLIP"
  /// Two towers from what stood behind the colon. Empty: words come from there in another way.
  std::function<std::unique_ptr<ConceptSource>(const std::string& where, const ConceptSourceOptions& options)> open =
      {};
  /// Of those without towers: why they cannot embed anything, and where they are used.
  std::string instead = {};
};

/// The built-in kinds, then those that the program has added.
const std::vector<ConceptSourceKind>& concept_source_kinds();
/// As add_objective_kind.
void add_concept_source(ConceptSourceKind kind);

/// "clip:FILE, vicha:CHECKPOINT or aligned:RUN": the forms that have towers, for help and messages; all of them if
/// `towerless`, and with `about` what each is.
std::string concept_source_forms(bool towerless = false, bool about = false);

struct NamedSource {
  const ConceptSourceKind& kind;
  std::string where;  ///< a file, a folder, a field
};
/// Throws UsageError that lists the forms if `spec` has none of them.
NamedSource parse_concept_source(std::string_view spec);

/// The field of "manifest:FIELD"; nothing of others. Throws as parse_concept_source.
std::optional<std::string> field_of_source(std::string_view spec);
/// The store of "tower:STORE"; nothing of others. Throws as parse_concept_source.
std::optional<std::string> store_of_source(std::string_view spec);

/// Throws UsageError if `spec` has none of the forms or one without towers; DataError as the source's reader does.
std::unique_ptr<ConceptSource> open_concept_source(std::string_view spec, const ConceptSourceOptions& options = {});

/// clip:FILE, manifest:FIELD, tower:STORE; vicha:CHECKPOINT is in vicha_source.h, aligned:RUN in tasks/align.
ConceptSourceKind clip_source_kind();
ConceptSourceKind manifest_source_kind();
ConceptSourceKind tower_source_kind();

}  // namespace vicha

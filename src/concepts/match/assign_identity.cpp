#include <fmt/format.h>

#include "base/files.h"
#include "base/sha256.h"
#include "concepts/match/assign.h"

namespace vicha {

fs::path concept_identity_file(const fs::path& manifest) { return manifest.string() + ".identity.json"; }

std::optional<ConceptIdentity> concept_identity_of(const fs::path& manifest) {
  const fs::path file = concept_identity_file(manifest);
  if (!fs::exists(file)) return std::nullopt;
  return concept_identity_from_json(read_file(file), file.string());
}

void set_concept_identity(const fs::path& manifest, const ConceptIdentity& identity) {
  write_file_atomic(concept_identity_file(manifest), to_json(identity) + "\n");
}

ConceptIdentity field_identity(std::string_view field) {
  const std::string name(field), hash = sha256_hex("manifest field " + name);
  return {{"manifest", fmt::format("field \"{}\"", name), hash, "none"}, hash, "{}"};
}

}  // namespace vicha

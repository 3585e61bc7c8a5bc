#include "concepts/source/provenance.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_depth.h"
#include "base/json_number.h"
#include "base/json_text.h"
#include "base/sha256.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kAssignAgain = "Assign the concepts again (`vicha concepts assign`)";

std::string short_hash(const std::string& sha256) { return sha256.substr(0, 12); }

Json parse(std::string_view text, std::string_view where) {
  Json json = nests_deeper(text) ? Json() : Json::parse(text, nullptr, false);
  if (!json.is_object()) throw DataError(where, "the identity of a concept source is not readable");
  return json;
}

std::string text_field(const Json& json, const char* key, std::string_view where) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_string()) {
    throw DataError(where, fmt::format("the identity of a concept source lacks \"{}\"", key));
  }
  return found->get<std::string>();
}

Json json_of(const SourceWeights& weights) {
  return {{"kind", weights.kind}, {"name", weights.name}, {"sha256", weights.sha256}, {"view", weights.view}};
}

Json json_of(const NeighbourChoice& choice) {
  return {{"count", choice.count},
          {"temperature", choice.temperature},
          {"group", choice.group},
          {"table_sha256", choice.table_sha256}};
}

Json json_of_identity(const ConceptProvenance& provenance) {
  Json json = {{"weights", json_of(provenance.weights)},
               {"vocabulary_sha256", provenance.vocabulary_sha256},
               {"prompt", provenance.prompt}};
  if (provenance.neighbours) json["neighbours"] = json_of(*provenance.neighbours);
  return json;
}

NeighbourChoice neighbours_of(const Json& json, std::string_view where) {
  NeighbourChoice choice;
  try {
    choice.count = whole_number<std::int64_t>(json, "count");
    choice.temperature = json.at("temperature").get<double>();
    choice.group = json.at("group").get<std::string>();
    choice.table_sha256 = json.at("table_sha256").get<std::string>();
    choice.store = json.value("store", std::string());
    choice.image_tower = json.value("image_tower", std::string());
  } catch (const Json::exception& error) {
    throw DataError(where, fmt::format("does not say which neighbours were asked ({})", error.what()), kAssignAgain);
  }
  if (choice.count < 1 || !(choice.temperature > 0)) {
    throw DataError(where, fmt::format("{} neighbours at temperature {} cannot be", choice.count, choice.temperature),
                    kAssignAgain);
  }
  return choice;
}

SourceWeights weights_of(const Json& json, std::string_view where) {
  return {text_field(json, "kind", where), text_field(json, "name", where), text_field(json, "sha256", where),
          text_field(json, "view", where)};
}

void read_choice(const Json& json, std::string_view where, ConceptProvenance& provenance) {
  try {
    provenance.source = json.at("source").get<std::string>();
    provenance.k = whole_number<std::int64_t>(json, "k");
    provenance.threshold = json.at("threshold").get<double>();
    provenance.vocabulary = json.at("vocabulary").get<std::string>();
    provenance.embeddings = json.at("embeddings").get<std::string>();
    if (json.contains("merged_from")) provenance.merged_from = json.at("merged_from").get<std::vector<std::string>>();
  } catch (const Json::exception& error) {
    throw DataError(where, fmt::format("does not say how concepts were made ({})", error.what()), kAssignAgain);
  }
  if (provenance.k < 1 || !(provenance.threshold >= 0 && provenance.threshold <= 1)) {
    throw DataError(where, fmt::format("k {} or threshold {} is out of range", provenance.k, provenance.threshold),
                    kAssignAgain);
  }
}

std::string relative_to(const fs::path& file, const fs::path& folder) {
  if (file.empty()) return "";
  const fs::path from = folder.empty() ? fs::path(".") : folder;
  return fs::relative(fs::absolute(file), fs::absolute(from)).generic_string();
}

[[noreturn]] void refuse(const std::string& a, std::string_view where_a, const std::string& b,
                         std::string_view where_b) {
  throw DataError(where_b, fmt::format("comes from {}, and {} from {}: the two do not mix", b, where_a, a),
                  "Compute one of the two again with what made the other");
}

}  // namespace

bool SourceWeights::same(const SourceWeights& other) const {
  return kind == other.kind && sha256 == other.sha256 && view == other.view;
}

std::string SourceWeights::describe() const {
  return fmt::format("{} {} (weights {}, view {})", kind, name, short_hash(sha256), view);
}

bool NeighbourChoice::same(const NeighbourChoice& other) const {
  return count == other.count && temperature == other.temperature && group == other.group &&
         table_sha256 == other.table_sha256;
}

bool ConceptProvenance::same(const ConceptProvenance& other) const {
  const bool same_way =
      neighbours.has_value() == other.neighbours.has_value() && (!neighbours || neighbours->same(*other.neighbours));
  return weights.same(other.weights) && vocabulary_sha256 == other.vocabulary_sha256 && prompt == other.prompt &&
         same_way;
}

bool ConceptProvenance::covers(const ConceptProvenance& other) const {
  return same(other) || (weights.same(other.weights) && prompt == other.prompt && !neighbours && !other.neighbours &&
                         std::ranges::find(merged_from, other.vocabulary_sha256) != merged_from.end());
}

std::string ConceptProvenance::describe() const {
  if (neighbours) {
    return fmt::format("{}, words of {} nearest pictures (captions {}, temperature {:g}{}), vocabulary {}",
                       weights.describe(), neighbours->count, short_hash(neighbours->table_sha256),
                       neighbours->temperature,
                       neighbours->group.empty() ? "" : fmt::format(", of another \"{}\"", neighbours->group),
                       short_hash(vocabulary_sha256));
  }
  return fmt::format("{}, vocabulary {}, prompt \"{}\"", weights.describe(), short_hash(vocabulary_sha256), prompt);
}

void require_same(const SourceWeights& a, std::string_view where_a, const SourceWeights& b, std::string_view where_b) {
  if (!a.same(b)) refuse(a.describe(), where_a, b.describe(), where_b);
}

void require_same(const ConceptProvenance& a, std::string_view where_a, const ConceptProvenance& b,
                  std::string_view where_b) {
  if (!a.same(b)) refuse(a.describe(), where_a, b.describe(), where_b);
}

void require_covered(const ConceptProvenance& a, std::string_view where_a, const ConceptProvenance& b,
                     std::string_view where_b) {
  if (!a.covers(b)) refuse(a.describe(), where_a, b.describe(), where_b);
}

std::string to_json(const SourceWeights& weights) { return json_text(json_of(weights)); }

SourceWeights source_weights_from_json(std::string_view json, std::string_view where) {
  return weights_of(parse(json, where), where);
}

std::string identity_json(const ConceptProvenance& provenance) { return json_text(json_of_identity(provenance)); }

std::string provenance_json(const ConceptProvenance& provenance, const std::string& vocabulary,
                            const std::string& embeddings) {
  Json json = json_of_identity(provenance);
  json["source"] = provenance.source;
  json["k"] = provenance.k;
  json["threshold"] = provenance.threshold;
  json["vocabulary"] = vocabulary;
  json["embeddings"] = embeddings;
  if (!provenance.merged_from.empty()) json["merged_from"] = provenance.merged_from;
  if (provenance.neighbours) {
    json["neighbours"]["store"] = provenance.neighbours->store.generic_string();
    json["neighbours"]["image_tower"] = provenance.neighbours->image_tower;
  }
  return json_text(json, 1) + "\n";
}

ConceptProvenance concept_provenance_from_json(std::string_view text, std::string_view where) {
  const Json json = parse(text, where);
  const auto weights = json.find("weights");
  if (weights == json.end() || !weights->is_object()) {
    throw DataError(where, "the identity of a concept source lacks \"weights\"");
  }
  ConceptProvenance provenance{.weights = weights_of(*weights, where),
                               .vocabulary_sha256 = text_field(json, "vocabulary_sha256", where),
                               .prompt = text_field(json, "prompt", where)};
  if (json.contains("neighbours")) provenance.neighbours = neighbours_of(json["neighbours"], where);
  if (json.contains("source")) read_choice(json, where, provenance);
  return provenance;
}

ConceptProvenance read_concept_provenance(const fs::path& file) {
  ConceptProvenance provenance = concept_provenance_from_json(read_file(file), file.string());
  for (fs::path* part : {&provenance.vocabulary, &provenance.embeddings}) {
    if (!part->empty()) *part = file.parent_path() / *part;
  }
  if (provenance.neighbours && !provenance.neighbours->store.empty()) {
    provenance.neighbours->store = file.parent_path() / provenance.neighbours->store;
  }
  return provenance;
}

fs::path concept_provenance_file(const fs::path& manifest) { return manifest.string() + ".identity.json"; }

std::optional<ConceptProvenance> concept_provenance_of(const fs::path& manifest) {
  const fs::path file = concept_provenance_file(manifest);
  if (!fs::exists(file)) return std::nullopt;
  return read_concept_provenance(file);
}

void set_concept_provenance(const fs::path& manifest, const ConceptProvenance& given) {
  const fs::path folder = manifest.parent_path();
  ConceptProvenance provenance = given;
  if (provenance.neighbours) provenance.neighbours->store = relative_to(provenance.neighbours->store, folder);
  write_file_atomic(concept_provenance_file(manifest),
                    provenance.source.empty() ? identity_json(provenance) + "\n"
                                              : provenance_json(provenance, relative_to(provenance.vocabulary, folder),
                                                                relative_to(provenance.embeddings, folder)));
}

ConceptProvenance field_provenance(std::string_view field, std::int64_t k) {
  const std::string name(field), hash = sha256_hex("manifest field " + name);
  return {.weights = {"manifest", fmt::format("field \"{}\"", name), hash, "none"},
          .vocabulary_sha256 = hash,
          .source = "manifest:" + name,
          .k = k};
}

}  // namespace vicha

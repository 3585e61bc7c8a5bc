#include "concepts/source/identity.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

std::string short_hash(const std::string& sha256) { return sha256.substr(0, 12); }

Json parse(std::string_view text, std::string_view where) {
  Json json = Json::parse(text, nullptr, false);
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

SourceWeights weights_of(const Json& json, std::string_view where) {
  return {text_field(json, "kind", where), text_field(json, "name", where), text_field(json, "sha256", where),
          text_field(json, "view", where)};
}

[[noreturn]] void refuse(const std::string& a, std::string_view where_a, const std::string& b,
                         std::string_view where_b) {
  throw DataError(where_b,
                  fmt::format("comes from {}, and {} from {}: two sources of concepts do not mix", b, where_a, a),
                  "Compute one of the two again with the other's source");
}

}  // namespace

bool SourceWeights::same(const SourceWeights& other) const {
  return kind == other.kind && sha256 == other.sha256 && view == other.view;
}

std::string SourceWeights::describe() const {
  return fmt::format("{} {} (weights {}, view {})", kind, name, short_hash(sha256), view);
}

bool ConceptIdentity::same(const ConceptIdentity& other) const {
  return weights.same(other.weights) && vocabulary_sha256 == other.vocabulary_sha256 && prompt == other.prompt;
}

std::string ConceptIdentity::describe() const {
  return fmt::format("{}, vocabulary {}, prompt \"{}\"", weights.describe(), short_hash(vocabulary_sha256), prompt);
}

std::string to_json(const SourceWeights& weights) { return json_of(weights).dump(); }

std::string to_json(const ConceptIdentity& identity) {
  return Json{{"weights", json_of(identity.weights)},
              {"vocabulary_sha256", identity.vocabulary_sha256},
              {"prompt", identity.prompt}}
      .dump();
}

SourceWeights source_weights_from_json(std::string_view json, std::string_view where) {
  return weights_of(parse(json, where), where);
}

ConceptIdentity concept_identity_from_json(std::string_view text, std::string_view where) {
  const Json json = parse(text, where);
  const auto weights = json.find("weights");
  if (weights == json.end() || !weights->is_object()) {
    throw DataError(where, "the identity of a concept source lacks \"weights\"");
  }
  return {weights_of(*weights, where), text_field(json, "vocabulary_sha256", where), text_field(json, "prompt", where)};
}

void require_same(const SourceWeights& a, std::string_view where_a, const SourceWeights& b, std::string_view where_b) {
  if (!a.same(b)) refuse(a.describe(), where_a, b.describe(), where_b);
}

void require_same(const ConceptIdentity& a, std::string_view where_a, const ConceptIdentity& b,
                  std::string_view where_b) {
  if (!a.same(b)) refuse(a.describe(), where_a, b.describe(), where_b);
}

}  // namespace vicha

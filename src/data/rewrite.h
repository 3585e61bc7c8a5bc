// Manifests rewritten record by record: a field added or changed, records left out, everything else kept as it stands.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>

namespace vicha {

/// Reads `in` (a JSON list or JSON lines; streamed) and writes `out` in the same form, atomically. `edit` sees each
/// record in order with its number from 0, may change it, and returns whether it is kept. Fields keep their order;
/// unknown ones stay. Returns the number kept. Throws DataError naming file, record and line where `in` is not a list
/// of objects.
std::int64_t rewrite_manifest(const std::filesystem::path& in, const std::filesystem::path& out,
                              const std::function<bool(nlohmann::ordered_json& record, std::int64_t number)>& edit);

/// The same without writing.
void for_each_record(const std::filesystem::path& in,
                     const std::function<void(const nlohmann::ordered_json& record, std::int64_t number)>& see);

/// Writes records one by one, as a list or (suffix .jsonl) as lines; nothing is left under the name without `finish`.
class ManifestWriter {
 public:
  explicit ManifestWriter(const std::filesystem::path& out);
  ~ManifestWriter();
  void add(const nlohmann::ordered_json& record);
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vicha

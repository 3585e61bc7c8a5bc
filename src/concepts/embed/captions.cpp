#include "concepts/embed/captions.h"

#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "data/manifest/record_fields.h"
#include "data/manifest/record_reader.h"

namespace vicha {

std::string caption_key(std::string_view caption) {
  constexpr std::size_t kLongestKey = 4096, kKeptOfLong = 1024;
  if (caption.size() <= kLongestKey) return std::string(caption);
  return std::string(caption.substr(0, kKeptOfLong)) + " sha256:" + sha256_hex(caption);
}

StringPool distinct_captions(const std::vector<std::filesystem::path>& manifests) {
  StringPool captions;
  for (const std::filesystem::path& manifest : manifests) {
    RecordReader reader(manifest);
    RecordText text;
    while (reader.next(text)) {
      for (const std::string& caption : captions_of(reader.parse(text), reader)) {
        if (!caption.empty()) captions.intern(caption);
      }
    }
  }
  captions.seal();
  return captions;
}

}  // namespace vicha

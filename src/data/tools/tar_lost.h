// Samples of an archive that got no record: which, and why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {

enum class LostCause {
  kNoPicture,
  kUnknownExtension,  ///< no member has a picture's extension, but one may be a picture
  kSeveralPictures,
  kNotAPicture,  ///< by its first bytes
  kDotsInKey,
  kNoCaption,
  kEmptyCaption,
  kNoText,  ///< the field holds a number or an object
  kNan,
  kBrokenJson,
  kEncoding,
  kTooLarge,
  kLink,
  kUnsafeName,
  kNameEncoding,
  kNameTaken,
  kDuplicateKey,
  kDamagedArchive,
};
inline constexpr std::size_t kLostCauses = static_cast<std::size_t>(LostCause::kDamagedArchive) + 1;

/// "no_caption": as lost.jsonl has it.
std::string_view cause_name(LostCause cause);
/// "without a caption": for people, behind a number of samples.
std::string_view cause_meaning(LostCause cause);

struct LostSample {
  LostCause cause = LostCause::kNoPicture;
  std::string key, detail;
  std::vector<std::string> members = {};  ///< what follows the key in their names: "jpg", "txt"
  /// {"key", "cause", "detail", "members"} on one line; bytes that are no UTF-8 become U+FFFD.
  std::string to_json() const;
};

/// What is there in archives, for messages that tell where a caption could be. Bounded: the first names count.
struct TarInventory {
  std::map<std::string, std::int64_t> members;  ///< of members, by what follows the key
  std::map<std::string, std::int64_t> fields;   ///< of JSON fields that hold text, or a list of it: "meta.title"

  void add_member(const std::string& part) { add(members, part, 1); }
  void add_field(const std::string& path) { add(fields, path, 1); }
  void add(const TarInventory& other);
  /// "jpg (3), txt (2)": the commonest ones.
  static std::string listed(const std::map<std::string, std::int64_t>& names);

 private:
  static void add(std::map<std::string, std::int64_t>& names, const std::string& name, std::int64_t count);
};

}  // namespace vicha

// What a sample of an archive says: which of its members is the picture, which the caption, what its JSON holds.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/tools/tar_lost.h"
#include "data/tools/tar_spool.h"

namespace vicha {

/// Names of members are what follows the key ("txt", "outputs.txt"), in lower case.
struct SampleOptions {
  std::vector<std::string> image_members = {};  ///< the first that is there; none: any with a picture's extension
  /// Where captions are looked for: the first that has one is taken. None of both: member "txt", then field "caption".
  std::vector<std::string> caption_members = {};  ///< those named json, or ending in .json, are read for the fields
  std::vector<std::string> caption_fields = {};   ///< of the JSON; "meta.title" is title in meta; lists are searched
  std::vector<std::string> fields = {"url"};      ///< of the JSON, that the record keeps
};

/// Gives the content of a member that is a text.
using MemberContent = std::function<std::string(const TarSpool::Member&)>;

struct ReadSample {
  /// The member that is the picture, of those of the sample; null if it is lost.
  const TarSpool::Member* image = nullptr;
  std::vector<std::string> captions = {};                         ///< at least one, none empty, all UTF-8
  bool list = false;                                              ///< the field holds a list
  std::vector<std::pair<std::string, nlohmann::json>> kept = {};  ///< the fields that the record keeps
  std::string note = {};  ///< on what it lacks though it is not lost: JSON that cannot be read
  std::optional<LostSample> lost = {};
  /// What is lost though the sample may be taken: members of its key that came again, pictures beside the one that was
  /// taken, entries of its captions that are no texts.
  std::vector<LostSample> lost_parts = {};
};

/// Whether a member of this name is to be read for a caption or for fields.
bool is_text_part(std::string_view part, const SampleOptions& options);
/// Whether it may be the picture.
bool is_image_part(std::string_view part, const SampleOptions& options);

/// Looks at one sample; the inventory learns which text fields its JSON has. Members that are no sample at all (nothing
/// like a picture or a caption among them) give neither a picture nor a loss.
ReadSample read_sample(const TarSpool::Sample& sample, const SampleOptions& options, const MemberContent& content,
                       TarInventory& inventory);

}  // namespace vicha

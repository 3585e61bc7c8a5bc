// What a file of a data set is, told by its content. Used inside of this room only.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include "data/tools/convert.h"

namespace vicha {

/// Files of the official downloads, the second ones of sets of two among them.
enum class SourceFile {
  kOther,  ///< one of the general forms, or unknown
  kFlickr,
  kPairs,
  kAddresses,  ///< a line each: SBU
  kLinks,
  kGenomeRegions,
  kGenomeQuestions,
  kGenomeImages,
  kVqaQuestions,
  kVqaAnnotations,
  kNlvr2,
  kSnliVe,
  kRefs,
  kInstances,  ///< COCO's form without captions
  kMdetr,
};

/// Throws DataError if the file cannot be read.
SourceFile source_file(const std::filesystem::path& file);

/// Throws DataError where the file's form is unknown, or it is the second file of a set of two.
SetForm set_form_of(const std::filesystem::path& in);

/// Throws DataError naming what the file is instead, if that is known and is none of `expected`.
void require_source(const std::filesystem::path& file, std::initializer_list<SourceFile> expected,
                    std::string_view remedy);

/// Whether a text begins as an address in the web does.
bool is_address(std::string_view text);
/// "1000092795.jpg" of "1000092795.jpg#0", as Flickr30K numbers its captions; "" of anything else.
std::string_view picture_of_caption_id(std::string_view id);

}  // namespace vicha

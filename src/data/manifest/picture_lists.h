// Records that name their pictures in a list, as NLVR2 does: {"images": [a, b], "kwords1": [...], "kwords2": [...]}.
// They are read as the same record with a field for each picture: `image`, then the schema's columns of pictures;
// `kwords1` is `kwords` then, `kwords2` and so on stand beside the columns.
#pragma once

#include <filesystem>
#include <optional>

#include "data/manifest/record_reader.h"
#include "data/manifest/schema.h"

namespace vicha {

/// The record in that form; nothing if it has none of these lists, or if the schema has no columns of pictures. Tells
/// the handler, and gives a text without JSON, where the list does not name as many pictures as the schema wants, or
/// something in it is no string. `reader`: has read the text last.
std::optional<RecordText> with_pictures_apart(const RecordText& text, const Schema& schema, const RecordReader& reader,
                                              const ProblemHandler& on_problem);

/// Columns for the pictures behind the first that the manifest's first record names, in a list or in fields of their
/// own (`image2`, …); none for others, and for files that cannot be read. Records may lack fields, not pictures of a
/// list.
std::vector<ColumnSpec> columns_of_further_pictures(const std::filesystem::path& manifest);
/// Of several manifests those of the one that has most: records of the others lack them.
std::vector<ColumnSpec> columns_of_further_pictures(const std::vector<std::filesystem::path>& manifests);

}  // namespace vicha

// Titles of captions: the objects that a caption names, joined by " and ".
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "text/scene_graph/scene_graph.h"

namespace vicha {

struct TitleOptions {
  std::string field = "title";
  SceneGraphOptions parser = {};
  std::int64_t threads = 0;  ///< 0: one for each core
  std::function<void(std::int64_t records)> progress = {};
};

struct TitleReport {
  std::int64_t records = 0, captions = 0;
  std::int64_t untitled = 0;       ///< captions that name no object
  std::int64_t records_known = 0;  ///< whose titles a run that was killed had found
};

/// "dog and beach" of "Two brown dogs on a beach."; "" if the caption names no object.
std::string title_of(SceneGraphParser& parser, std::string_view caption);

/// Each record gets a title, or a list of titles where its caption is a list. Streamed; the result does not depend on
/// the number of threads. `out`.partial keeps what is found on the way: repeated after a kill, with the same captions
/// and parser, it goes on from there and ends with the same file. Throws DataError where the manifest is not right.
TitleReport add_titles(const std::filesystem::path& in, const std::filesystem::path& out,
                       const TitleOptions& options = {});

}  // namespace vicha

// Scene graphs of many captions: all cores, in order, in bounded memory, resumed after a kill (method, section 6.1).
//
// Output: JSON lines, one a caption, in the order of the captions:
//   {"caption":"…","objects":["dog"],"attributes":[["dog","brown"]],"relations":[["dog","on","beach"]]}
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "text/scene_graph/scene_graph.h"

namespace vicha {

struct ParseOptions {
  SceneGraphOptions graph = {};
  int threads = 0;               ///< 0: one for each core
  std::size_t cached = 1 << 16;  ///< parsed captions that are kept for repetitions; 0: none
};

/// Parses what is pushed on several threads and hands it over in the order of the pushes.
class CaptionParsers {
 public:
  /// Called for one caption at a time, in order, from the parsing threads.
  using Take = std::function<void(const std::string& caption, const SceneGraph& graph)>;

  /// Throws DataError if the dictionary cannot be found.
  CaptionParsers(const ParseOptions& options, Take take);
  ~CaptionParsers();  ///< without `finish` what is under way is dropped
  CaptionParsers(const CaptionParsers&) = delete;
  CaptionParsers& operator=(const CaptionParsers&) = delete;

  /// Waits while much is under way. Throws what `take` threw.
  void push(std::string caption);
  /// Returns when everything has been handed over. Throws what `take` threw.
  void finish();

 private:
  class Cache;
  struct Job {
    std::string caption;
    std::shared_ptr<const SceneGraph> graph;  // null until parsed
  };

  void work();
  void hand_over(std::unique_lock<std::mutex>& lock);
  std::shared_ptr<const SceneGraph> parse(SceneGraphParser& parser, const std::string& caption);

  const ParseOptions options_;
  const Take take_;
  const std::unique_ptr<Cache> cache_;
  const SceneGraphParser keeps_dictionary_;  // also: a missing one is an error of the constructor

  std::mutex mutex_;
  std::condition_variable work_to_do_, room_;
  std::deque<std::shared_ptr<Job>> jobs_;  // pushed and not handed over, in order
  std::size_t unclaimed_ = 0;              // the last so many of them
  std::size_t most_jobs_ = 0;
  bool handing_over_ = false, stopping_ = false;
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;
};

/// Every caption of text files (one a line; "-" is standard input) and of manifests (.json, .jsonl; the field
/// `caption`, a string or a list of strings), in order. A line's end (\n or \r\n) and a byte order mark do not belong
/// to the caption. Throws DataError naming file and record or line: a file that cannot be read, a record without
/// captions, a line of more than 16 MiB.
void for_each_caption(const std::vector<std::filesystem::path>& files, const std::function<void(std::string)>& see);

/// Changes with what the parser finds in a caption; stands in OUT.parser.json. 2: what is no word is seen to first
/// (text/cleaning/prose.h). 3: a verb that ends the caption, digests, decimals behind thousands.
inline constexpr std::int64_t kCaptionParserVersion = 3;

/// The version of the parser that wrote a file of parse_captions; none where nothing beside it tells (captions that
/// were parsed to standard output). Throws DataError if what lies beside it cannot be read.
std::optional<std::int64_t> parser_version_of(const std::filesystem::path& parsed);

/// OUT.parser.json
std::filesystem::path parser_identity_path(const std::filesystem::path& out);

struct ParseRun {
  std::int64_t captions = 0;  ///< lines of the output
  std::int64_t found = 0;     ///< of them, those that an earlier run had written
  double seconds = 0;
};

/// Writes `out`, line by line. What a killed run has left is kept, but for an unfinished last line, and gone on with:
/// the end is the same file. Beside it stands `out`.parser.json, which says what parsed it. Throws DataError if `out`
/// belongs to other captions or other options, is no such file or is being written by somebody else.
ParseRun parse_captions(const std::vector<std::filesystem::path>& files, const std::filesystem::path& out,
                        const ParseOptions& options);

/// The line of a caption, without its end. Bytes that are not UTF-8 become U+FFFD.
std::string scene_graph_json(std::string_view caption, const SceneGraph& graph);

}  // namespace vicha

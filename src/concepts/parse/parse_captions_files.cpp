// The files of parse_captions: captions in, lines out, and going on where a killed run has stopped.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"
#include "base/json_depth.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/progress.h"
#include "concepts/parse/parse_captions.h"
#include "data/manifest/rewrite.h"

namespace vicha {
namespace {

using json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kLongestLine = std::size_t{16} << 20;
constexpr std::size_t kBufferedBytes = std::size_t{256} << 10;
constexpr std::chrono::milliseconds kWriteEvery{500};

std::string dump(const json& value) { return json_text(value); }

bool is_manifest(const fs::path& file) { return file.extension() == ".json" || file.extension() == ".jsonl"; }

// One line without its end; false behind the last one.
bool read_line(std::istream& in, const fs::path& file, std::int64_t number, std::string& line) {
  line.clear();
  std::streambuf& bytes = *in.rdbuf();
  for (int c = bytes.sbumpc(); c != std::char_traits<char>::eof(); c = bytes.sbumpc()) {
    if (c == '\n') {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return true;
    }
    if (line.size() >= kLongestLine) {
      throw DataError(file.string() + ", line " + std::to_string(number), "has more than 16 MiB",
                      "Give a text file with one caption a line, or a manifest (.json, .jsonl)");
    }
    line += static_cast<char>(c);
  }
  return !line.empty();
}

void read_text(std::istream& in, const fs::path& file, const std::function<void(std::string)>& see) {
  std::string line;
  for (std::int64_t number = 1; read_line(in, file, number, line); ++number) {
    if (number == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    see(line);
  }
  if (in.bad()) throw DataError(file.string(), "cannot be read");
}

void read_captions_of(const json& record, const std::string& where, const std::function<void(std::string)>& see) {
  const auto raise = [&](const char* what) {
    throw DataError(where, what, "Each record needs a field 'caption': a string or a list of strings");
  };
  const auto field = record.find("caption");
  if (field == record.end()) raise("has no field 'caption'");
  if (field->is_string()) return see(field->get<std::string>());
  if (!field->is_array()) raise("its field 'caption' is neither a string nor a list of strings");
  for (const json& caption : *field) {
    if (!caption.is_string()) raise("its field 'caption' is neither a string nor a list of strings");
    see(caption.get<std::string>());
  }
}

// What a line of the output starts with, if it is of this caption.
std::string line_start(std::string_view caption) { return R"({"caption":)" + dump(std::string(caption)) + ","; }

// What the lines depend on beside the captions.
json parser_identity(const ParseOptions& options) {
  const SceneGraphOptions& graph = options.graph;
  const char* links = graph.links == LinkUse::kAlways          ? "always"
                      : graph.links == LinkUse::kWhereDoubtful ? "doubtful"
                                                               : "never";
  return {{"parser", "vicha concepts parse"},
          {"version", kCaptionParserVersion},
          {"links", links},
          {"max_linkage_words", graph.max_linkage_words},
          {"max_linkage_sentences", graph.max_linkage_sentences}};
}

/// The output: what is there is read and compared first, then lines are appended.
class ResumedOutput {
 public:
  ResumedOutput(const fs::path& path, const ParseOptions& options)
      : path_(path), file_(path, GrowingFile::Access::kReadWrite), fd_(file_.fd()) {
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK)
        throw DataError(path.string(), "is being written by another process", "Wait for it, or end it");
      throw Error(path.string() + ": cannot be locked (" + std::strerror(errno) + ")");
    }
    check_identity(options);
    old_.open(path, std::ios::binary);
    if (!old_) fail("cannot be read");
  }
  ResumedOutput(const ResumedOutput&) = delete;
  ResumedOutput& operator=(const ResumedOutput&) = delete;

  /// Whether an earlier run has written the line of the next caption. Throws if the line there is another's.
  bool has(std::string_view caption) {
    if (!old_.is_open()) return false;
    std::string line;
    if (!std::getline(old_, line) || old_.eof()) {  // the end, or a line without one
      begin_appending();
      return false;
    }
    ++found_;
    if (!line.starts_with(line_start(caption)) || !line.ends_with("}")) {
      throw DataError(path_.string() + ", line " + std::to_string(found_),
                      "is not of the caption that stands there now",
                      "The file belongs to other captions; give another --out or remove it");
    }
    kept_bytes_ += line.size() + 1;
    return true;
  }

  void append(const std::string& caption, const SceneGraph& graph) {
    buffer_ += scene_graph_json(caption, graph);
    buffer_ += '\n';
    if (buffer_.size() >= kBufferedBytes || Clock::now() - written_ >= kWriteEvery) write();
  }

  void finish() {
    if (old_.is_open()) {
      std::string line;
      if (std::getline(old_, line) && !old_.eof()) {
        throw DataError(path_.string(), "has more lines than there are captions",
                        "The file belongs to other captions; give another --out or remove it");
      }
      begin_appending();
    }
    write();
    if (::fsync(fd_) != 0 && errno != EINVAL) fail("cannot be synced to disk");
  }

  std::int64_t found() const { return found_; }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw Error(path_.string() + ": " + what + " (" + std::strerror(errno) +
                "). Free space or check the folder's permissions, then repeat the command");
  }

  void check_identity(const ParseOptions& options) {
    const fs::path file = parser_identity_path(path_);
    go_on_with(file);
    const json ours = parser_identity(options);
    if (::lseek(fd_, 0, SEEK_END) > 0) {
      json theirs;
      const std::string text = fs::exists(file) ? read_file(file) : "";
      if (!nests_deeper(text)) theirs = json::parse(text, nullptr, false);
      if (!theirs.is_object()) {
        throw DataError(path_.string(), "is there, but " + file.string() + " does not say what made it",
                        "Give another --out or remove it");
      }
      if (theirs != ours) {
        const bool other_version = theirs.value("version", json()) != ours.at("version");
        throw DataError(path_.string(), "was made with " + dump(theirs) + ", not with " + dump(ours),
                        other_version ? "This program's parser finds other words; give another --out or remove the file"
                                      : "Give the same options or another --out");
      }
    }
    write_file_atomic(file, json_text(ours, 1) + "\n");
  }

  // Cuts off an unfinished line.
  void begin_appending() {
    old_.close();
    if (::ftruncate(fd_, static_cast<off_t>(kept_bytes_)) != 0) fail("cannot be cut");
    if (::lseek(fd_, 0, SEEK_END) < 0) fail("cannot be written");
  }

  void write() {
    std::string_view data = buffer_;
    while (!data.empty()) {
      const ssize_t n = ::write(fd_, data.data(), data.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("cannot be written");
      data.remove_prefix(static_cast<std::size_t>(n));
    }
    buffer_.clear();
    written_ = Clock::now();
  }

  fs::path path_;
  GrowingFile file_;
  int fd_;
  std::ifstream old_;  // open while its lines are compared
  std::uint64_t kept_bytes_ = 0;
  std::int64_t found_ = 0;
  std::string buffer_;
  Clock::time_point written_ = Clock::now();
};

}  // namespace

fs::path parser_identity_path(const fs::path& out) { return out.string() + ".parser.json"; }

void for_each_caption(const std::vector<fs::path>& files, const std::function<void(std::string)>& see) {
  for (const fs::path& file : files) {
    if (file == "-") {
      read_text(std::cin, "standard input", see);
    } else if (is_manifest(file)) {
      for_each_record(file, [&](const json& record, std::int64_t number) {
        read_captions_of(record, file.string() + ", record " + std::to_string(number), see);
      });
    } else {
      require_text_file(file);
      std::ifstream in = open_input(file);
      read_text(in, file, see);
    }
  }
}

ParseRun parse_captions(const std::vector<fs::path>& files, const fs::path& out, const ParseOptions& options) {
  for (const fs::path& file : files) {
    if (file == "-") throw UsageError("--out needs files: standard input cannot be read again after a kill");
    std::error_code ignored;
    if (fs::equivalent(file, out, ignored)) throw UsageError("--out names an input: " + file.string());
  }
  ParseRun run;
  for_each_caption(files, [&](const std::string&) { ++run.captions; });
  go_on_with(parser_identity_path(out));  // refused before anything is written, where the captions are read from it
  ResumedOutput output(out, options);
  Progress progress("parsing captions", "captions", run.captions);
  std::int64_t done = 0;
  std::optional<CaptionParsers> parsers;
  for_each_caption(files, [&](std::string caption) {
    if (!parsers && output.has(caption)) return;
    if (!parsers) {
      done = output.found();
      if (done > 0) log::info("{}: {} of {} captions are there already", out.string(), done, run.captions);
      parsers.emplace(options, [&](const std::string& parsed, const SceneGraph& graph) {
        output.append(parsed, graph);
        progress.update(++done, output.found());
      });
    }
    parsers->push(std::move(caption));
  });
  if (parsers) parsers->finish();
  output.finish();
  run.found = output.found();
  run.seconds = progress.seconds();
  return run;
}

std::optional<std::int64_t> parser_version_of(const fs::path& parsed) {
  const fs::path file = parser_identity_path(parsed);
  if (!fs::is_regular_file(file)) return std::nullopt;
  const json identity = json::parse(read_file(file), nullptr, false);
  if (!identity.is_object() || !identity.contains("version") || !identity.at("version").is_number_integer()) {
    throw DataError(file.string(), "does not say which parser made " + parsed.string(),
                    "Parse the captions again: vicha concepts parse");
  }
  return identity.at("version").get<std::int64_t>();
}

std::string scene_graph_json(std::string_view caption, const SceneGraph& graph) {
  json attributes = json::array(), relations = json::array();
  for (const auto& [object, attribute] : graph.attributes) attributes.push_back({object, attribute});
  for (const auto& [subject, relation, object] : graph.relations) relations.push_back({subject, relation, object});
  json line;
  line["caption"] = std::string(caption);
  line["objects"] = graph.objects;
  line["attributes"] = std::move(attributes);
  line["relations"] = std::move(relations);
  return dump(line);
}

}  // namespace vicha

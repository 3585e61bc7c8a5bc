#include "data/titles.h"

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string_view>
#include <thread>
#include <vector>

#include "base/files.h"
#include "base/threads.h"
#include "data/rewrite.h"
#include "data/rewrite_fields.h"
#include "data/rewrite_reader.h"

namespace vicha {
namespace {

constexpr std::size_t kRecordsAtOnce = 4096;  // enough work for many threads
constexpr std::size_t kRecordsAPiece = 32;    // a thread takes so many at a time

/// A parser is for one thread at a time: threads borrow them.
class Parsers {
 public:
  explicit Parsers(const SceneGraphOptions& options) : options_(options) {}

  SceneGraphParser take() {
    {
      const std::lock_guard guard(mutex_);
      if (!idle_.empty()) {
        SceneGraphParser parser = std::move(idle_.back());
        idle_.pop_back();
        return parser;
      }
    }
    return SceneGraphParser(options_);
  }
  void give_back(SceneGraphParser parser) {
    const std::lock_guard guard(mutex_);
    idle_.push_back(std::move(parser));
  }

 private:
  const SceneGraphOptions& options_;
  std::mutex mutex_;
  std::vector<SceneGraphParser> idle_;
};

struct Titled {
  nlohmann::ordered_json record;
  std::vector<std::string> captions, titles;
};

}  // namespace

std::string title_of(SceneGraphParser& parser, std::string_view caption) {
  std::string title;
  for (const std::string& object : parser.parse(caption).objects) {
    if (!title.empty()) title += " and ";
    title += object;
  }
  return title;
}

TitleReport add_titles(const fs::path& in, const fs::path& out, const TitleOptions& options) {
  const int threads =
      static_cast<int>(options.threads > 0 ? options.threads : std::max(1u, std::thread::hardware_concurrency()));
  TitleReport report;
  RecordReader reader(in);
  ManifestWriter writer(out, out_in_lines(in, out, reader.lines()));
  Parsers parsers(options.parser);
  std::vector<Titled> waiting;
  RecordText text;
  for (bool more = true; more;) {
    waiting.clear();
    while (waiting.size() < kRecordsAtOnce && (more = reader.next(text))) {
      nlohmann::ordered_json record = reader.parse(text);
      std::vector<std::string> captions = captions_of(record, reader);
      waiting.push_back({std::move(record), std::move(captions), {}});
    }
    for_each_index((waiting.size() + kRecordsAPiece - 1) / kRecordsAPiece, threads, [&](std::size_t piece) {
      SceneGraphParser parser = parsers.take();
      const std::size_t end = std::min(waiting.size(), (piece + 1) * kRecordsAPiece);
      for (std::size_t i = piece * kRecordsAPiece; i < end; ++i) {
        for (const std::string& caption : waiting[i].captions) waiting[i].titles.push_back(title_of(parser, caption));
      }
      parsers.give_back(std::move(parser));
    });
    for (Titled& titled : waiting) {
      report.captions += std::ssize(titled.titles);
      report.untitled += std::count(titled.titles.begin(), titled.titles.end(), "");
      if (titled.record["caption"].is_string()) {
        titled.record[options.field] = std::move(titled.titles.front());
      } else {
        titled.record[options.field] = std::move(titled.titles);
      }
      writer.add(titled.record);
    }
    if (options.progress) options.progress(writer.size());
  }
  report.records = writer.size();
  writer.finish();
  return report;
}

}  // namespace vicha

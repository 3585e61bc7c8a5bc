#include "data/tools/titles.h"

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "base/files.h"
#include "base/json_text.h"
#include "base/sha256.h"
#include "base/threads.h"
#include "data/manifest/record_fields.h"
#include "data/manifest/record_reader.h"
#include "data/manifest/rewrite.h"
#include "data/tools/journal.h"

namespace vicha {
namespace {

constexpr std::size_t kTitledAtOnce = 4096;  // enough work for many threads
constexpr std::size_t kRecordsAPiece = 32;   // a thread takes so many at a time
constexpr int kTitleVersion = 2;             // changes with what the parser finds

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
  std::string text;
  nlohmann::ordered_json record;
  std::vector<std::string> captions, titles;
  bool known = false;  // by the run before
};

/// Titles as they are found, a line a record, until all of them are in the manifest.
class TitleJournal {
 public:
  TitleJournal(const fs::path& out, const SceneGraphOptions& parser)
      : journal_(journal_of(out), nlohmann::ordered_json{{"titles", kTitleVersion},
                                                         {"links", static_cast<int>(parser.links)},
                                                         {"max_linkage_words", parser.max_linkage_words},
                                                         {"max_linkage_sentences", parser.max_linkage_sentences}}
                                      .dump()) {}

  /// Gives a record its titles if the run before had come to it, and with these captions.
  void recall(Titled& titled) {
    std::string line;
    if (!journal_.next(line)) return;
    const nlohmann::json found = nlohmann::json::parse(line, nullptr, false);
    if (found.is_object() && found.contains("captions") && found["captions"] == hash_of(titled.captions) &&
        found.contains("titles") && found["titles"].is_array() && found["titles"].size() == titled.captions.size() &&
        std::ranges::all_of(found["titles"], [](const nlohmann::json& title) { return title.is_string(); })) {
      titled.titles = found["titles"].get<std::vector<std::string>>();
      titled.known = true;
    } else {
      journal_.reject();
    }
  }
  void keep(std::span<const Titled> all) {
    for (const Titled& titled : all) {
      if (titled.known) continue;
      journal_.add(
          json_text(nlohmann::ordered_json{{"captions", hash_of(titled.captions)}, {"titles", titled.titles}}));
    }
    journal_.flush();
  }
  void remove() { journal_.remove(); }

 private:
  static std::string hash_of(const std::vector<std::string>& captions) {
    Sha256 hash;
    for (const std::string& caption : captions) {
      hash.update(caption);
      hash.update(std::string_view("\0", 1));
    }
    return hash.hex().substr(0, 16);
  }

  Journal journal_;
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
  for (const char* taken : {"", "image", "image_id", "caption"}) {
    if (options.field == taken) {
      throw UsageError(fmt::format(
          "--field \"{}\": titles have a field of their own, which no reader takes for another", options.field));
    }
  }
  TitleReport report;
  RecordReader reader(in);
  ManifestWriter writer(out, out_in_lines(in, out, reader.lines()));
  Parsers parsers(options.parser);
  TitleJournal journal(out, options.parser);
  std::vector<Titled> waiting;
  RecordText text;
  for (bool more = true; more;) {
    waiting.clear();
    while (waiting.size() < kTitledAtOnce && (more = reader.next(text))) {
      nlohmann::ordered_json record = reader.parse(text);
      std::vector<std::string> captions = captions_of(record, reader);
      waiting.push_back({text.json, std::move(record), std::move(captions), {}});
      journal.recall(waiting.back());
    }
    for_each_index((waiting.size() + kRecordsAPiece - 1) / kRecordsAPiece, threads, [&](std::size_t piece) {
      SceneGraphParser parser = parsers.take();
      const std::size_t end = std::min(waiting.size(), (piece + 1) * kRecordsAPiece);
      for (std::size_t i = piece * kRecordsAPiece; i < end; ++i) {
        if (waiting[i].known) continue;
        for (const std::string& caption : waiting[i].captions) waiting[i].titles.push_back(title_of(parser, caption));
      }
      parsers.give_back(std::move(parser));
    });
    journal.keep(waiting);
    for (Titled& titled : waiting) {
      report.records_known += titled.known ? 1 : 0;
      report.captions += std::ssize(titled.titles);
      report.untitled += std::count(titled.titles.begin(), titled.titles.end(), "");
      if (titled.record["caption"].is_string()) {
        titled.record[options.field] = std::move(titled.titles.front());
      } else {
        titled.record[options.field] = std::move(titled.titles);
      }
      add_changed(writer, titled.text, titled.record);
    }
    if (options.progress) options.progress(writer.size());
  }
  report.records = writer.size();
  writer.finish();
  journal.remove();
  return report;
}

}  // namespace vicha

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"
#include "base/log.h"
#include "concepts/parse/parse_captions.h"
#include "concepts/vocabulary/count_concepts.h"
#include "data/manifest/manifest_reader.h"
#include "data/manifest/rewrite.h"

namespace vicha {
namespace {

using CountJson = nlohmann::ordered_json;
namespace fs = std::filesystem;

enum class CountInput { kManifest, kParsed, kVocabulary };

/// Stops at the end of the first object and knows its fields.
class FirstRecord : public nlohmann::json_sax<CountJson> {
 public:
  bool has_image = false, has_objects = false;

  bool key(std::string& name) override {
    has_image |= objects_ == 1 && name == "image";
    has_objects |= objects_ == 1 && name == "objects";
    return true;
  }
  bool start_object(std::size_t) override { return ++objects_ > 0; }
  bool end_object() override { return --objects_ > 0; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return objects_ > 0; }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  int objects_ = 0;  // open
};

/// "dog, tab, 12": a file that is no JSON may be a vocabulary, or captions that somebody forgot to parse.
bool begins_as_vocabulary(std::istream& in) {
  std::string line;
  while (std::getline(in, line)) {
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos || line[first] == '#') continue;
    const std::size_t tab = line.find('\t', first);
    const std::size_t count = tab == std::string::npos ? tab : line.find_first_not_of(' ', tab + 1);
    return count != std::string::npos && line[count] >= '0' && line[count] <= '9';
  }
  return false;
}

constexpr std::size_t kHead = std::size_t{8} << 20;  // more than a record may have

CountInput kind_of(const fs::path& path) {
  require_text_file(path);
  std::ifstream file = open_input(path);
  std::string head(kHead, '\0');
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(file.gcount()));
  std::istringstream in(head);
  if (in.peek() == 0xEF) in.ignore(3);
  in >> std::ws;
  if (in.peek() == std::char_traits<char>::eof()) throw DataError(path.string(), "is empty");
  if (in.peek() == '{' || in.peek() == '[') {
    FirstRecord record;
    CountJson::sax_parse(in, &record);
    return record.has_objects && !record.has_image ? CountInput::kParsed : CountInput::kManifest;
  }
  if (begins_as_vocabulary(in)) return CountInput::kVocabulary;
  throw DataError(path.string(), "is neither a manifest nor parsed captions nor a vocabulary with counts",
                  "Plain captions are parsed first: vicha concepts parse FILE.txt --json > FILE.jsonl");
}

/// A field that holds lists of `Size` strings; none if it is missing.
template <std::size_t Size>
std::vector<std::array<std::string, Size>> tuples(const CountJson& record, const char* field,
                                                  const std::string& where) {
  std::vector<std::array<std::string, Size>> result;
  const auto found = record.find(field);
  if (found == record.end()) return result;
  const auto fail = [&] {
    throw DataError(where, fmt::format("\"{}\" is not a list of lists of {} strings", field, Size),
                    "Parse the captions again: vicha concepts parse");
  };
  if (!found->is_array()) fail();
  for (const CountJson& item : *found) {
    if (!item.is_array() || item.size() != Size) fail();
    std::array<std::string, Size>& parts = result.emplace_back();
    for (std::size_t i = 0; i < Size; ++i) {
      if (!item[i].is_string()) fail();
      parts[i] = item[i].get<std::string>();
    }
  }
  return result;
}

SceneGraph graph_of(const CountJson& record, const std::string& where) {
  SceneGraph graph;
  const auto objects = record.find("objects");
  const bool right = objects != record.end() && objects->is_array() &&
                     std::ranges::all_of(*objects, [](const CountJson& item) { return item.is_string(); });
  if (!right) {
    throw DataError(where, "\"objects\" is not a list of strings", "Parse the captions again: vicha concepts parse");
  }
  for (const CountJson& object : *objects) graph.objects.push_back(object.get<std::string>());
  graph.attributes = tuples<2>(record, "attributes", where);
  graph.relations = tuples<3>(record, "relations", where);
  return graph;
}

/// The terminal's last line, which goes away with the object.
struct StatusLine {
  ~StatusLine() { log::status(""); }
};

void show_progress(const ConceptCounter& counter) {
  constexpr std::int64_t kEach = 1024;
  const std::int64_t captions = counter.report().captions;
  if (captions % kEach == 0) log::status(fmt::format("counting: {} captions", captions));
}

void count_manifest(const fs::path& path, const CountOptions& options, ConceptCounter& counter) {
  CaptionParsers parsers({.graph = options.scene_graphs, .threads = options.threads},
                         [&](const std::string&, const SceneGraph& graph) {
                           counter.add(graph);
                           show_progress(counter);
                         });
  read_manifest(
      path, {},
      [&](const ManifestRecord& record) {
        for (const std::string& caption : record.captions) parsers.push(caption);
      },
      [](const ManifestProblem& problem) { problem.raise(); });
  parsers.finish();
}

void count_parsed(const fs::path& path, ConceptCounter& counter) {
  for_each_parsed(path, [&](const std::string&, const SceneGraph& graph) {
    counter.add(graph);
    show_progress(counter);
  });
}

/// Counts of two parsers do not add up: what one takes for a word the other does not. Of vocabularies, which are text
/// that people edit, nobody knows.
void require_one_parser(std::span<const fs::path> inputs, std::span<const CountInput> kinds) {
  const fs::path* first = nullptr;
  std::int64_t version = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (kinds[i] == CountInput::kVocabulary) continue;
    const bool parsed = kinds[i] == CountInput::kParsed;
    const auto told = parsed ? parser_version_of(inputs[i]) : std::optional(kCaptionParserVersion);
    if (!told) continue;
    if (parsed && *told != kCaptionParserVersion) {
      log::warning(
          "{}: parsed by version {} of the parser of captions; this program has version {}, which may find other "
          "words. To have those, parse the captions again",
          inputs[i].string(), *told, kCaptionParserVersion);
    }
    if (first != nullptr && *told != version) {
      throw DataError(
          inputs[i].string(),
          fmt::format("is parsed by version {} of the parser of captions, and {} by version {}: their words do "
                      "not add up",
                      *told, first->string(), version),
          "Parse the older captions again: vicha concepts parse");
    }
    first = &inputs[i];
    version = *told;
  }
}

}  // namespace

void for_each_parsed(const fs::path& path,
                     const std::function<void(const std::string& caption, const SceneGraph& graph)>& see) {
  for_each_record(path, [&](const CountJson& record, std::int64_t number) {
    const auto caption = record.find("caption");
    see(caption != record.end() && caption->is_string() ? caption->get<std::string>() : "",
        graph_of(record, fmt::format("{}, record {}", path.string(), number)));
  });
}

ConceptVocabulary count_concepts(std::span<const fs::path> inputs, const CountOptions& options, CountReport* report) {
  std::vector<CountInput> kinds;  // of all, before the first is read: a wrong one is reported immediately
  for (const fs::path& input : inputs) kinds.push_back(kind_of(input));
  require_one_parser(inputs, kinds);
  ConceptCounter counter(options);
  const StatusLine status;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    switch (kinds[i]) {
      case CountInput::kManifest:
        count_manifest(inputs[i], options, counter);
        break;
      case CountInput::kParsed:
        count_parsed(inputs[i], counter);
        break;
      case CountInput::kVocabulary:
        counter.add(ConceptVocabulary::load(inputs[i]));
        break;
    }
  }
  if (report != nullptr) *report = counter.report();
  return counter.vocabulary();
}

}  // namespace vicha

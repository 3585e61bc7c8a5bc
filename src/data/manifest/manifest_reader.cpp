#include "data/manifest/manifest_reader.h"

#include <istream>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "data/manifest/byte_stream.h"
#include "data/manifest/manifest_events.h"

namespace vicha {

void ManifestProblem::raise() const { throw DataError(where, what, remedy); }

namespace {

using Json = nlohmann::json;

/// One line of a ByteStream: ends where the line ends.
class Line : public std::streambuf {
 public:
  explicit Line(ByteStream& stream) : stream_(stream) {}
  void skip_rest() {
    while (uflow() != traits_type::eof()) {
    }
    stream_.sbumpc();  // the line's end
  }

 protected:
  int_type underflow() override {
    const int_type c = stream_.sgetc();
    return c == '\n' ? traits_type::eof() : c;
  }
  int_type uflow() override {
    const int_type c = underflow();
    if (c != traits_type::eof()) stream_.sbumpc();
    return c;
  }

 private:
  ByteStream& stream_;
};

/// The first character that is not white space, left in the stream; -1 at the end.
int skip_space(std::streambuf& stream) {
  int c = stream.sgetc();
  while (c == ' ' || c == '\t' || c == '\r' || c == '\n') c = stream.snextc();
  return c;
}

class ManifestReader {
 public:
  ManifestReader(ByteStream& stream, ManifestEvents& events) : stream_(stream), events_(events) {}

  /// Whether all was JSON.
  bool list() {
    std::istream in(&stream_);
    events_.expect_records_at(1);
    const bool parsed = Json::sax_parse(in, &events_);
    if (!parsed) syntax_problem();
    return parsed;
  }

  void lines() {
    while (skip_space(stream_) >= 0) {
      Line line(stream_);
      std::istream in(&line);
      events_.expect_records_at(0);
      const bool parsed = Json::sax_parse(in, &events_);
      if (!parsed) syntax_problem();
      events_.finish_record(parsed);
      line.skip_rest();
    }
  }

 private:
  void syntax_problem() {
    const std::string reason = events_.take_syntax_error();
    if (stream_.end_seen()) {
      events_.problem("", "the file ends in the middle (" + reason + ")",
                      "It was cut short, or a bracket is missing: write or copy it again");
    } else {
      events_.problem("", "not JSON: " + reason, "Correct the text there, or write the file again");
    }
  }

  ByteStream& stream_;
  ManifestEvents& events_;
};

}  // namespace

void read_manifest(const std::filesystem::path& file, const ManifestNeeds& needs,
                   const std::function<void(const ManifestRecord&)>& on_record,
                   const std::function<void(const ManifestProblem&)>& on_problem) {
  ByteStream stream(file);
  const auto whole = [&](std::string what, std::string remedy) {
    on_problem({file.string(), 0, "", std::move(what), std::move(remedy)});
  };
  if (stream.at_end()) return whole("is empty", "A manifest is a JSON list of records, or one record a line");
  if (stream.sgetc() == 0xEF) {  // the byte order mark that some editors put in front
    for (const int expected : {0xEF, 0xBB, 0xBF}) {
      if (stream.sbumpc() != expected) return whole("is no text", "A manifest is JSON in UTF-8");
    }
  }
  const int first = skip_space(stream);
  if (first != '[' && first != '{') {
    return whole("is neither a JSON list nor JSON lines",
                 "It must begin with [ (a list of records) or { (one record a line)");
  }
  ManifestEvents events(file, needs, on_record, on_problem, stream);
  ManifestReader reader(stream, events);
  if (first == '{') {
    reader.lines();
  } else if (reader.list() && events.records() == 0) {
    whole("holds no records", "Fill it, or leave it out of data.manifests");
  }
}

}  // namespace vicha

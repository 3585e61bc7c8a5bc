// Captions in the forms that Flickr30K and SBU come in.
#include <fmt/format.h>

#include "base/error.h"
#include "data/tools/convert_sink.h"
#include "data/tools/json_elements.h"
#include "data/tools/set_form.h"
#include "data/tools/table.h"
#include "text/utf8.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

std::string trimmed_line(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(kSpace) - first + 1));
}

/// One row of results.csv lacks the separator between number and caption: "a.jpg| 4   A dog runs".
std::string caption_behind_number(std::string_view text) {
  const std::string cell = trimmed_line(text);
  const std::size_t end = cell.find_first_not_of("0123456789");
  return end == 0 || end == std::string::npos || cell[end] != ' ' ? ""
                                                                  : trimmed_line(std::string_view(cell).substr(end));
}

/// Captions of one picture that stand behind each other, as one record.
class FlickrRecords {
 public:
  explicit FlickrRecords(ConvertSink& sink) : sink_(sink) {}

  void add(const std::string& where, std::string image, std::string caption) {
    if (image != image_) {
      flush();
      image_ = std::move(image);
      where_ = where;
    }
    captions_.push_back(std::move(caption));
  }
  void flush() {
    if (!captions_.empty()) sink_.add(where_, image_, Json(), captions_, true, Json::object());
    captions_.clear();
  }

 private:
  ConvertSink& sink_;
  std::string image_, where_;
  std::vector<std::string> captions_;
};

/// Lines of a text file; a line end of Windows is none of the line's.
class SourceLines {
 public:
  explicit SourceLines(const std::filesystem::path& file) : bytes_(file), stream_(&bytes_) {
    if (bytes_.ahead().starts_with("\xEF\xBB\xBF")) bytes_.skip(3);
  }
  bool next(std::string& line) {
    if (!std::getline(stream_, line)) return false;
    if (line.ends_with('\r')) line.pop_back();
    ++line_;
    return true;
  }
  std::int64_t line() const { return line_; }

 private:
  ByteStream bytes_;
  std::istream stream_;
  std::int64_t line_ = 0;
};

}  // namespace

void convert_flickr(const std::filesystem::path& in, ConvertSink& sink) {
  SourceLines lines(in);
  FlickrRecords records(sink);
  std::string line;
  while (lines.next(line)) {
    if (trimmed_line(line).empty()) continue;
    const std::string where = fmt::format("{} (line {})", in.string(), lines.line());
    if (!is_utf8(line)) {
      sink.lose(where, "is not UTF-8 (of Latin-1: iconv -f LATIN1 -t UTF-8)");
      continue;
    }
    const std::string_view text = line;
    if (const std::size_t tab = text.find('\t'); tab != std::string_view::npos) {  // results_20130124.token
      const std::string id = trimmed_line(text.substr(0, tab));
      const std::string_view image = picture_of_caption_id(id);
      std::string caption = trimmed_line(text.substr(tab + 1));
      if (image.empty()) {
        sink.lose(where, "does not begin with a picture and a number, as \"1000092795.jpg#0\" is");
      } else if (caption.empty()) {
        sink.lose(where, "has no caption");
      } else {
        records.add(where, std::string(image), std::move(caption));
      }
      continue;
    }
    const std::size_t first = text.find('|');
    if (first == std::string_view::npos) {
      sink.lose(where, "has neither a tab nor a bar between picture and caption");
      continue;
    }
    std::string image = trimmed_line(text.substr(0, first));
    const std::string_view rest = text.substr(first + 1);
    if (lines.line() == 1 && rest.find("comment_number") != std::string_view::npos) continue;  // the header
    const std::size_t second = rest.find('|');
    std::string caption =
        second == std::string_view::npos ? caption_behind_number(rest) : trimmed_line(rest.substr(second + 1));
    if (caption.empty()) {
      sink.lose(where, "has no caption");
    } else {
      records.add(where, std::move(image), std::move(caption));
    }
  }
  records.flush();
}

void convert_pairs(const std::filesystem::path& in, ConvertSink& sink) {
  for_each_list(in, [&](std::int64_t number, const nlohmann::json& pair) {
    const std::string where = fmt::format("{}, pair {}", in.string(), number);
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string()) {
      return sink.lose(where, "is not a list of a path and a caption");
    }
    sink.add(where, pair[0].get<std::string>(), Json(), {pair[1].get<std::string>()}, false, Json::object());
  });
}

void convert_sbu(const std::filesystem::path& in, ConvertSink& sink) {
  const std::filesystem::path& with = sink.options().with;
  const std::string remedy =
      "vicha data convert SBU_captioned_photo_dataset_urls.txt --with SBU_captioned_photo_dataset_captions.txt";
  if (with.empty()) throw DataError(in.string(), "holds addresses without captions", "Give both files: " + remedy);
  SourceLines links(in), captions(with);
  std::string link, caption;
  while (true) {
    const bool more = links.next(link), more_captions = captions.next(caption);
    if (!more && !more_captions) break;
    const std::string where = fmt::format("{} (line {})", in.string(), std::max(links.line(), captions.line()));
    if (more != more_captions) {
      throw DataError(where,
                      fmt::format("{} ends here and {} does not: line by line they do not belong together",
                                  more ? with.string() : in.string(), more ? in.string() : with.string()),
                      "Download both again, from the same archive");
    }
    const std::int64_t row = sink.next_row();
    link = trimmed_line(link);
    if (row == 0 && !is_address(link) && is_address(caption)) {
      throw DataError(in.string(), "holds captions, and --with addresses", "Change places: " + remedy);
    }
    if (!is_address(link)) {
      sink.lose(where, "is not an address");
    } else if (is_address(trimmed_line(caption)) && row == 0) {
      throw DataError(with.string(), "holds addresses, not captions", "Give captions: " + remedy);
    } else if (const std::optional<std::string> name = sink.name_of_link(where, link, row)) {
      sink.add(where, *name, Json(), {trimmed_line(caption)}, false, {{"url", link}});
    }
  }
}

}  // namespace vicha

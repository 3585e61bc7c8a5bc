// Tables made into manifests.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "data/manifest/foreign_form.h"
#include "data/tools/convert_sink.h"
#include "data/tools/set_form.h"
#include "data/tools/table.h"
#include "text/utf8.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

char delimiter_of(const fs::path& in, SetForm form, const ConvertOptions& options) {
  if (options.delimiter != '\0') return options.delimiter;
  if (form == SetForm::kTsv || form == SetForm::kLinks) return '\t';
  ByteStream stream(in);
  const std::string_view head = stream.ahead(), line = head.substr(0, head.find('\n'));
  char best = ',';
  std::ptrdiff_t most = 0;
  for (const char c : {',', ';', '\t', '|'}) {
    const auto count = std::count(line.begin(), line.end(), c);
    if (count > most) {
      most = count;
      best = c;
    }
  }
  return best;
}

/// Columns of a table without a header, by the looks of its first row: the picture's is the one with a picture's name
/// or address.
std::vector<std::string> guessed_names(const std::vector<std::string>& row) {
  std::vector<std::string> names;
  bool image = false, caption = false;
  for (const std::string& cell : row) {
    if (!image && is_address(cell)) {
      names.emplace_back("url");
      image = true;
    } else if (!image && is_picture_name(cell)) {
      names.emplace_back("image");
      image = true;
    } else if (!caption && cell.find(' ') != std::string::npos) {
      names.emplace_back("caption");
      caption = true;
    } else {
      names.push_back(fmt::format("column{}", names.size() + 1));
    }
  }
  // Of two columns the one beside the picture's.
  if (image && !caption && names.size() == 2) {
    names[names[0] == "image" || names[0] == "url" ? 1 : 0] = "caption";
  }
  return names;
}

/// What pandas and others write where they have no value.
bool is_no_id(std::string_view cell) {
  return cell.find_first_not_of(" \t") == std::string_view::npos || cell == "NaN" || cell == "nan" || cell == "NAN";
}

/// Of two columns of one name only one could be kept.
void require_one_each(const std::string& where, const std::vector<std::string>& names) {
  for (auto name = names.begin(); name != names.end(); ++name) {
    if (name->empty() || std::find(names.begin(), name, *name) == name) continue;
    throw DataError(where, fmt::format("the header names two columns \"{}\"", *name),
                    "Give one of them another name, or take it out");
  }
}

}  // namespace

void convert_table(const fs::path& in, SetForm form, ConvertSink& sink) {
  const ConvertOptions& options = sink.options();
  const char delimiter = delimiter_of(in, form, options);
  RowReader rows(in, delimiter, options.quotes && form != SetForm::kLinks);
  std::vector<std::string> row, names;
  if (!rows.next(row)) throw DataError(in.string(), "is empty", "A table has a row for each picture or caption");
  // A header names columns, not pictures.
  const bool header = options.header && std::none_of(row.begin(), row.end(), [](const std::string& cell) {
                        return is_picture_name(cell) || is_address(cell);
                      });
  names = header ? row : guessed_names(row);
  for (std::string& name : names) {
    if (const std::size_t last = name.find_last_not_of(" \t"); last != std::string::npos) name.resize(last + 1);
    name.erase(0, name.find_first_not_of(" \t"));  // Flickr's results.csv has "image_name| comment_number| comment"
  }
  if (!std::all_of(names.begin(), names.end(), [](const std::string& name) { return is_utf8(name); })) {
    throw DataError(in.string(), "is not UTF-8", "Write it in UTF-8 (of Latin-1: iconv -f LATIN1 -t UTF-8)");
  }
  const auto where = [&] { return fmt::format("{} (line {})", in.string(), rows.line()); };
  require_one_each(where(), names);
  const ConvertFields fields = choose_fields(sink, where(), names);
  if (!header) sink.report().fields.emplace_back("no header");
  bool nameless = false;  // as pandas' index is, which nobody misses
  for (bool more = header ? rows.next(row) : true; more; more = rows.next(row)) {
    if (row.size() != names.size()) {
      sink.next_row();
      sink.lose(where(), fmt::format("has {} columns, not {}", row.size(), names.size()));
      continue;
    }
    Json record = Json::object();
    bool text = true;
    for (std::size_t i = 0; i < row.size(); ++i) {
      text = text && is_utf8(row[i]);
      const bool no_id = names[i] == fields.id && is_no_id(row[i]);
      if (!names[i].empty() && !no_id) record[names[i]] = row[i];
      if (names[i].empty() && !row[i].empty() && !std::exchange(nameless, true)) {
        sink.note(fmt::format("column {} has no name in the header, and is left aside", i + 1));
      }
    }
    if (!text) {
      sink.next_row();
      sink.lose(where(), "is not UTF-8 (of Latin-1: iconv -f LATIN1 -t UTF-8)");
      continue;
    }
    add_object(sink, where(), record, fields);
  }
}

}  // namespace vicha

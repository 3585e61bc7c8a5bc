#include "data/tools/table.h"

#include <fmt/format.h>

#include "base/error.h"

namespace vicha {
namespace {

constexpr std::size_t kMostRowBytes = std::size_t{4} << 20;  // of a row

}  // namespace

RowReader::RowReader(const std::filesystem::path& file, char delimiter, bool quotes)
    : file_(file), stream_(file), delimiter_(delimiter), quotes_(quotes) {
  if (stream_.ahead().starts_with("\xEF\xBB\xBF")) stream_.skip(3);
}

void RowReader::fail(const std::string& what, const std::string& remedy) const {
  throw DataError(fmt::format("{} (line {})", file_.string(), line_), what, remedy);
}

bool RowReader::next(std::vector<std::string>& cells) {
  cells.clear();
  line_ = next_line_;
  std::string cell;
  std::size_t bytes = 0;
  bool quoted = false, closed = false, begun = false;  // of the cell; `begun`: the row has anything
  const auto end_cell = [&] {
    cells.push_back(cell);
    cell.clear();
    closed = false;
  };
  for (int c = stream_.sbumpc(); c >= 0; c = stream_.sbumpc()) {
    if (++bytes > kMostRowBytes) {
      fail("the row is longer than 4 MiB",
           quoted ? "A quotation mark has no second one; --no-quotes reads them as text" : "Is it a table?");
    }
    if (c == '\n') ++next_line_;
    if (quoted) {
      if (c != '"') {
        cell += static_cast<char>(c);
      } else if (stream_.sgetc() == '"') {
        cell += static_cast<char>(stream_.sbumpc());
      } else {
        quoted = false;
        closed = true;
      }
      continue;
    }
    if (c == '\r' && stream_.sgetc() == '\n') continue;
    if (c == '\n') {
      if (!begun) {
        line_ = next_line_;
        continue;
      }
      end_cell();
      return true;
    }
    begun = true;
    if (c == delimiter_) {
      end_cell();
    } else if (c == '"' && quotes_ && cell.empty() && !closed) {
      quoted = true;
    } else if (closed && c != ' ') {
      fail("a cell goes on behind the quotation mark that ends it",
           "Write \"\" for a mark within a quoted cell; --no-quotes reads quotation marks as text");
    } else if (!closed) {
      cell += static_cast<char>(c);
    }
  }
  if (quoted) {
    fail("a quotation mark of this row has no second one", "Close it, or read quotation marks as text: --no-quotes");
  }
  if (!begun) return false;
  end_cell();
  return true;
}

}  // namespace vicha

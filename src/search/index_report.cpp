#include "search/index_report.h"

#include <fmt/format.h>

#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace vicha {

void count_changes(const std::vector<IndexedFile>& before, const std::vector<IndexedFile>& now, IndexReport& report) {
  std::unordered_map<std::string_view, std::uint64_t> content_before;
  for (const IndexedFile& file : before) content_before.emplace(file.name, file.content);
  std::unordered_set<std::string_view> names;
  for (const IndexedFile& file : now) names.insert(file.name);
  std::unordered_multiset<std::uint64_t> gone;  // contents of names that are not there any more
  for (const IndexedFile& file : before) {
    if (!names.contains(file.name)) gone.insert(file.content);
  }
  for (const IndexedFile& file : now) {
    const auto at = content_before.find(file.name);
    if (at != content_before.end()) {
      ++(at->second == file.content ? report.unchanged : report.changed);
    } else if (const auto from = gone.find(file.content); from != gone.end()) {
      gone.erase(from);
      ++report.moved;
    } else {
      ++report.fresh;
    }
  }
  report.removed = static_cast<std::int64_t>(gone.size());
}

std::string describe(const IndexReport& r) {
  std::string text = fmt::format(
      "{} files, {} different pictures: {} new, {} changed, {} moved, {} removed, {} as before; {} embedded; {:.1f} "
      "s\n",
      r.files, r.pictures, r.fresh, r.changed, r.moved, r.removed, r.unchanged, r.embedded, r.seconds);
  text += fmt::format("left out: {} other files, {} hidden, {} that cannot be read{}\n", r.others, r.hidden, r.skipped,
                      r.skipped > 0 ? " (skipped.jsonl)" : "");
  return text;
}

}  // namespace vicha

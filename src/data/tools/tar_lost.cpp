#include "data/tools/tar_lost.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json_text.h"

namespace vicha {
namespace {

constexpr std::size_t kNames = 1000;
constexpr std::size_t kListed = 12;

using Row = std::pair<std::string_view, std::string_view>;
constexpr std::array<Row, kLostCauses> kCauses = {{
    {"no_picture", "without a picture"},
    {"unknown_extension", "whose picture's extension is not known"},
    {"several_pictures", "with several pictures"},
    {"not_a_picture", "whose picture begins as none of a known format"},
    {"dots_in_key", "whose key holds dots"},
    {"no_caption", "without a caption"},
    {"empty_caption", "whose caption is empty"},
    {"no_text", "whose caption's field holds no text"},
    {"nan", "whose caption's field is NaN"},
    {"broken_json", "whose JSON cannot be read"},
    {"encoding", "whose caption is not UTF-8"},
    {"too_large", "with a member that is too large"},
    {"link", "with a link or a device for a file"},
    {"unsafe_name", "whose name is refused"},
    {"name_encoding", "whose name is not UTF-8"},
    {"name_taken", "whose name another member has taken"},
    {"duplicate_key", "whose key came before"},
    {"damaged_archive", "of archives that are damaged or cut short"},
}};

}  // namespace

std::string_view cause_name(LostCause cause) { return kCauses[static_cast<std::size_t>(cause)].first; }
std::string_view cause_meaning(LostCause cause) { return kCauses[static_cast<std::size_t>(cause)].second; }

std::string LostSample::to_json() const {
  const nlohmann::ordered_json line = {
      {"key", key}, {"cause", cause_name(cause)}, {"detail", detail}, {"members", members}};
  return json_text(line);
}

void TarInventory::add(const TarInventory& other) {
  for (const auto& [name, count] : other.members) add(members, name, count);
  for (const auto& [name, count] : other.fields) add(fields, name, count);
}

void TarInventory::add(std::map<std::string, std::int64_t>& names, const std::string& name, std::int64_t count) {
  if (const auto found = names.find(name); found != names.end()) {
    found->second += count;
  } else if (names.size() < kNames) {
    names.emplace(name, count);
  }
}

std::string TarInventory::listed(const std::map<std::string, std::int64_t>& names) {
  std::vector<std::pair<std::string, std::int64_t>> sorted(names.begin(), names.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string text;
  for (std::size_t i = 0; i < std::min(sorted.size(), kListed); ++i) {
    text += fmt::format("{}{} ({})", i == 0 ? "" : ", ", sorted[i].first, sorted[i].second);
  }
  if (sorted.size() > kListed) text += fmt::format(" and {} more", sorted.size() - kListed);
  return text.empty() ? "none" : text;
}

}  // namespace vicha

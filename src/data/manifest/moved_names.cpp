#include "data/manifest/moved_names.h"

#include <string_view>

#include "data/manifest/image_names.h"

namespace vicha {
namespace {

/// Of a name that is foreign: whether nothing may stand in front of it. Members of archives and names with backslashes
/// between their parts are relative ones.
bool begins_itself(std::string_view name) {
  const std::size_t colon = name.find(':');
  return std::string_view("~$%\\").find(name.front()) != std::string_view::npos || name.starts_with("www.") ||
         (colon != std::string_view::npos && colon < name.find('/') && colon < name.find('.'));
}

}  // namespace

std::string moved_name(const std::string& name, const std::filesystem::path& from, const std::filesystem::path& to) {
  const std::filesystem::path path(name);
  if (from == to || name.empty() || !path.is_relative()) return name;
  const std::filesystem::path file = (from / path).lexically_normal();
  if (foreign_name(name, file) && begins_itself(name)) return name;
  return file.lexically_relative(to).string();
}

}  // namespace vicha

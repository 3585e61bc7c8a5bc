#include "base/error.h"

namespace vicha {
namespace {

std::string compose(std::string_view where, std::string_view what, std::string_view remedy) {
  std::string text;
  if (!where.empty()) text.append(where).append(": ");
  text.append(what);
  if (!remedy.empty()) text.append(". ").append(remedy);
  // Who reads what() reads up to the first of them.
  for (std::size_t at = 0; (at = text.find('\0', at)) != std::string::npos;) text.replace(at, 1, "\\x00");
  return text;
}

}  // namespace

DataError::DataError(std::string_view where, std::string_view what, std::string_view remedy)
    : Error(compose(where, what, remedy), ExitCode::kData) {}

void assertion_failed(const char* condition, const char* file, int line) {
  throw std::logic_error(std::string("internal error: ") + condition + " does not hold at " + file + ":" +
                         std::to_string(line) + "; please report it");
}

}  // namespace vicha

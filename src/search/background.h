// Texts that an index is asked for when it is made, to learn what scores mean in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vicha {

/// Things that pictures show, some 270 of all kinds (background.txt).
std::vector<std::string> background_texts();

/// Texts that name nothing: one to four words of random letters. The same ones everywhere.
std::vector<std::string> nonsense_texts(std::int64_t count);

}  // namespace vicha

// Words of the demonstration set's labels and captions, and the draws that decide splits. Text is UTF-8.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vicha::demo {

/// The letters, digits and underscores of `text`: what is compared to see whether two captions say the same.
std::string word_characters(std::string_view text);

/// The runs of a–z in the lower-cased text.
std::vector<std::string> words(std::string_view text);

/// An icon set's name for a label: accents and apostrophes dropped, all but a–z and 0–9 made single hyphens.
std::string slug(std::string_view label);

/// The label without a leading "man", "woman", "person" …: variants of one act share it, and with it their split.
std::string stem(std::string_view label);

/// "mice" of "mouse", "polar bears" of "polar bear": of lower-case names of one or more words.
std::string plural(std::string_view name);

/// "an ox", "a unicorn".
std::string with_article(std::string_view name);

/// A number in [0, 1) that depends on `key` alone (48 bits of its SHA-256).
double draw(std::string_view key);

}  // namespace vicha::demo

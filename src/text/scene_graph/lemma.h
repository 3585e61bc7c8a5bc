// Dictionary forms of English nouns as captions use them.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace vicha {

/// Whether a dictionary has the word as a noun; decides between "horse" and "hors" for "horses".
using KnownNoun = std::function<bool(std::string_view)>;

/// The singular of a lower-case noun: "men" man, "people" person, "knives" knife, "cookies" cookie, "buses" bus. Words
/// that have no singular, or look like plurals and are none, stay: "sheep", "scissors", "grass". Any bytes may be
/// given.
std::string noun_lemma(std::string_view noun, const KnownNoun& known = {});

}  // namespace vicha

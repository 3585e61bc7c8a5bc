#include "text/cleaning/mojibake.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

#include "text/clip_bpe/clip_bpe.h"

namespace vicha {
namespace {

using text_detail::fix_encoding;

/// What ftfy 6.3.1 makes of them.
TEST(Mojibake, IsRepairedAsFtfyDoes) {
  const std::pair<std::string, std::string> cases[] = {
      {"Ã©", "é"},
      {"sÃ³", "só"},
      {"naÃ¯ve â€” itâ€™s", "naïve — it’s"},
      {"voilÃ le travail", "voilà le travail"},
      {"Ã\302\240 perturber la rÃ©flexion", "à perturber la réflexion"},
      {"Ã  la carte", "à la carte"},
      {"â€œ like this â€�", "“ like this �"},
      {"L’humanitÃ© â€¦", "L’humanité …"},
      {"ÃƒÂ©", "é"},
      {"The MÃ¼nchen â„¢ trip ðŸ¶", "The München â„¢ trip ðŸ¶"},
      {"ÐŸÑ€Ð¸Ð²ÐµÑ‚", "Привет"},
      {"РџСЂРёРІРµС‚", "Привет"},
      {"schön 50â‚¬, dÃ©jÃ  vu 日本", "schön 50€, déjà  vu 日本"},
      {"l\302\222eau \302\223bleue\302\224", "l’eau “bleue”"},
      {"caf√©", "café"},
      {"caf├⌐", "café"},
      {"ĂŠtre", "ĂŠtre"},
      {"ÅÃ³dÅº", "Åódź"},
      {"Ã°ÂŸÂ\302\230Â\302\215", "😍"},
      {"í\302\240½í¸\302\215 à", "😍 à"},
      {"IL Y MARQUÉ…", "IL Y MARQUÉ…"},
      {"œuvre à Noël", "œuvre à Noël"},
      {"2 × 3 ± ½", "2 × 3 ± ½"},
      {"(8Ô±ÔÔ)", "(8Ô±ÔÔ)"},
      {"¿Qué\077 ¡Sí! «señor»", "¿Qué\077 ¡Sí! «señor»"},
      {"Ãlvarez", "Ãlvarez"},
      {"a Â dog", "a \302\240dog"},
      {"Привет, мир — да", "Привет, мир — да"},
      {"Œ\302\240dipe", "Œ\302\240dipe"},
      {"Ã quele", "àquele"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(fix_encoding(text), expected) << text;
}

TEST(Mojibake, TheTokenizerReadsWhatWasMeant) {
  EXPECT_EQ(ClipBpe::clean("A CafÃ© in MÃ¼nchen, itâ€™s Â£5"), ClipBpe::clean("a café in münchen, it's £5"));
  EXPECT_EQ(ClipBpe::clean("&Atilde;&copy;"), "é");  // references first
}

TEST(Mojibake, BytesThatAreNotUtf8AndLongTextsAreTaken) {
  EXPECT_EQ(fix_encoding("caf\xC3"), "caf\xEF\xBF\xBD");
  EXPECT_EQ(fix_encoding(""), "");
  const auto start = std::chrono::steady_clock::now();
  std::string text;
  for (int i = 0; i < 20000; ++i) text += i % 3 == 0 ? "日Ã©" : "Ã©";
  EXPECT_EQ(fix_encoding(text).find("Ã©"), std::string::npos);
  std::string plain;
  for (int i = 0; i < 100000; ++i) plain += "ü";
  EXPECT_EQ(fix_encoding(plain), plain);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

}  // namespace
}  // namespace vicha

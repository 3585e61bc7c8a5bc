// What the demonstration set is made of, in the folders that tools/fetch_demo.sh leaves under its first argument.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace vicha::demo {

/// Where a drawing comes from: an image file, an SVG file, or an SVG document taken out of a collection.
struct Drawing {
  enum class Kind { kRaster, kSvg };
  Kind kind = Kind::kRaster;
  std::filesystem::path file;  ///< under the sources' folder; of a document: the collection
  std::string document;        ///< empty: the file itself is the drawing
};

/// One drawing of an emoji.
struct ArtistDrawing {
  std::string artist;
  Drawing drawing;
};

enum class ConceptSplit { kTest, kVal, kHeldOut };  ///< kTest and kVal: trained on, with other artists' drawings

/// What an emoji stands for, with a drawing by each artist who has one: training artists in a fixed order, then Fluent.
struct EmojiConcept {
  std::string id;                     ///< code points in hexadecimal, "1f408-200d-2b1b"
  std::string label;                  ///< CLDR short name
  std::vector<std::string> captions;  ///< the label and, if it says something else, the Unicode name
  std::vector<std::string> tags;
  std::string subgroup;  ///< of the Unicode list, "animal-bird"
  ConceptSplit split = ConceptSplit::kTest;
  std::vector<ArtistDrawing> drawings;
};

/// The artist whose drawings are never trained on.
inline constexpr std::string_view kHeldOutArtist = "fluent";
/// Artists whose drawings are PNG files. Only concepts that each of them and Fluent has drawn are used; the other
/// training artists (SVG) add drawings, but never decide which concepts exist or how they are split.
inline constexpr std::string_view kPngArtists[] = {"google", "twitter"};

/// All concepts but flags and components, in the order of google/emoji.json.
std::vector<EmojiConcept> read_emoji(const std::filesystem::path& sources);

enum class StampSplit { kTrain, kVal, kTest };

/// A Tux Paint stamp.
struct Stamp {
  std::string name;     ///< path below the stamps' folder without extension, "animals/birds/crow"
  std::string caption;  ///< a sentence
  std::vector<std::string> tags;
  bool photo = false;  ///< a cut-out photograph, judged by its number of colours, rather than a drawing
  StampSplit split = StampSplit::kTrain;
  Drawing drawing;
};

/// Stamps with a caption and at least 40 visible pixels on a side, in the order of their folders and names. Symbols and
/// mirrored versions are left out. Opens every image, on `threads` threads.
std::vector<Stamp> read_stamps(const std::filesystem::path& sources, int threads);

/// Throws DataError naming the first file or folder that `read_emoji` and `read_stamps` need and that is not there.
void require_sources(const std::filesystem::path& sources);

/// Reads `path` and gives its JSON to `read`; whatever is wrong with it becomes a DataError naming the file.
void with_json(const std::filesystem::path& path, const std::function<void(const nlohmann::json&)>& read);

/// What to do about a source that is missing or damaged.
inline constexpr std::string_view kSourcesRemedy =
    "Run `make demo-data`, or `tools/fetch_demo.sh SOURCES MINILM` and pass SOURCES here";

}  // namespace vicha::demo

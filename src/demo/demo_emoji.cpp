#include <array>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "demo/demo_sources.h"
#include "demo/words.h"
#include "text/cleaning/label.h"

namespace vicha::demo {
namespace {

using nlohmann::json;

constexpr std::string_view kOpenMoji = "openmoji";
constexpr std::array<std::string_view, 2> kIconArtists = {"emojione", "noto-v1"};

struct Description {
  std::string label;
  std::vector<std::string> tags;
  std::string subgroup;
};
using Descriptions = std::unordered_map<std::string, Description>;  // by code points

/// Code points without the mark that selects a coloured drawing: packages do not agree on when it is written.
std::string without_variation(std::string id) {
  constexpr std::string_view kMark = "-fe0f";
  for (auto at = id.find(kMark); at != std::string::npos; at = id.find(kMark, at)) id.erase(at, kMark.size());
  return id;
}

/// The names under which packages may file an emoji, most exact first.
std::array<std::string, 2> spellings(const std::string& id) { return {id, without_variation(id)}; }

std::string upper_ascii(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

/// The keys of the Unicode list's subgroups by the numbers that stand for them in descriptions.
std::unordered_map<int, std::string> read_subgroups(const fs::path& path) {
  std::unordered_map<int, std::string> subgroups;
  with_json(path, [&](const json& messages) {
    for (const json& subgroup : messages.at("subgroups")) {
      subgroups[subgroup.at("order").get<int>()] = subgroup.at("key").get<std::string>();
    }
  });
  return subgroups;
}

Descriptions read_descriptions(const fs::path& folder) {
  const std::unordered_map<int, std::string> subgroups = read_subgroups(folder / "messages.json");
  Descriptions descriptions;
  with_json(folder / "data.json", [&](const json& records) {
    for (const json& record : records) {
      Description description{cleaning::clean(record.at("label").get<std::string>()), {}, {}};
      if (const auto number = record.find("subgroup"); number != record.end()) {
        if (const auto found = subgroups.find(number->get<int>()); found != subgroups.end()) {
          description.subgroup = found->second;
        }
      }
      if (const auto tags = record.find("tags"); tags != record.end()) {
        for (const json& tag : *tags) description.tags.push_back(cleaning::clean(tag.get<std::string>()));
      }
      descriptions[cleaning::lower(record.at("hexcode").get<std::string>())] = std::move(description);
    }
  });
  return descriptions;
}

const Description* find_description(const Descriptions& descriptions, const std::string& id) {
  for (const std::string& key : spellings(id)) {
    if (const auto found = descriptions.find(key); found != descriptions.end()) return &found->second;
  }
  return nullptr;
}

/// A collection of SVG bodies by name, in Iconify's format.
class IconSet {
 public:
  IconSet(std::string_view artist, fs::path path) : artist_(artist), path_(std::move(path)) {
    with_json(path_, [&](const json& pack) {
      const int width = pack.value("width", kDefaultSide), height = pack.value("height", kDefaultSide);
      for (const auto& [name, icon] : pack.at("icons").items()) {
        icons_[name] = svg_document(icon.value("width", width), icon.value("height", height),
                                    icon.at("body").get_ref<const std::string&>());
      }
      if (const auto aliases = pack.find("aliases"); aliases != pack.end()) {
        for (const auto& [name, alias] : aliases->items()) parents_[name] = alias.at("parent").get<std::string>();
      }
    });
  }

  const std::string& artist() const { return artist_; }

  std::optional<Drawing> find(const std::string& label) const {
    std::string name = slug(label);
    if (const auto parent = parents_.find(name); parent != parents_.end()) name = parent->second;
    const auto icon = icons_.find(name);
    if (icon == icons_.end()) return std::nullopt;
    return Drawing{Drawing::Kind::kSvg, path_, icon->second};
  }

 private:
  static constexpr int kDefaultSide = 16;  // of the format

  static std::string svg_document(int width, int height, const std::string& body) {
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" viewBox=\"0 0 " +
           std::to_string(width) + " " + std::to_string(height) + "\">" + body + "</svg>";
  }

  std::string artist_;
  fs::path path_;
  std::unordered_map<std::string, std::string> icons_, parents_;
};

/// Finds an emoji's drawings in the unpacked packages.
class Artists {
 public:
  explicit Artists(fs::path sources) : sources_(std::move(sources)) {
    for (const std::string_view artist : kIconArtists) {
      icon_sets_.emplace_back(artist, sources_ / artist / "icons.json");
    }
  }

  /// Empty unless each of the artists that decide has one.
  std::vector<ArtistDrawing> find(const json& record, const std::string& id, const std::string& label) const {
    std::vector<ArtistDrawing> drawings;
    for (const std::string_view artist : kPngArtists) {
      if (!record.value("has_img_" + std::string(artist), false)) return {};
      const fs::path file = sources_ / artist / "img" / artist / "64" / record.at("image").get<std::string>();
      if (!fs::exists(file)) return {};
      drawings.push_back({std::string(artist), {Drawing::Kind::kRaster, file, ""}});
    }
    std::optional<fs::path> fluent, openmoji;
    for (const std::string& name : spellings(id)) {
      if (!fluent) fluent = existing(sources_ / kHeldOutArtist / "assets" / (name + ".webp"));
      if (!openmoji) openmoji = existing(sources_ / kOpenMoji / "color" / "svg" / (upper_ascii(name) + ".svg"));
    }
    if (!fluent) return {};
    if (openmoji) drawings.push_back({std::string(kOpenMoji), {Drawing::Kind::kSvg, *openmoji, ""}});
    for (const IconSet& icons : icon_sets_) {
      if (const auto drawing = icons.find(label)) drawings.push_back({icons.artist(), *drawing});
    }
    drawings.push_back({std::string(kHeldOutArtist), {Drawing::Kind::kRaster, *fluent, ""}});
    return drawings;
  }

 private:
  static std::optional<fs::path> existing(fs::path file) {
    if (!fs::exists(file)) return std::nullopt;
    return file;
  }

  fs::path sources_;
  std::vector<IconSet> icon_sets_;
};

std::vector<std::string> captions_of(const json& record, const std::string& label) {
  std::vector<std::string> captions = {label};
  const json& name = record.at("name");
  if (name.is_null()) return captions;
  const std::string second = cleaning::clean(cleaning::lower(name.get<std::string>()));
  if (!second.empty() && word_characters(second) != word_characters(cleaning::lower(label))) captions.push_back(second);
  return captions;
}

ConceptSplit concept_split(const std::string& label) {
  const double drawn = draw("concept" + stem(label));
  if (drawn < .12) return ConceptSplit::kHeldOut;
  return drawn < .22 ? ConceptSplit::kVal : ConceptSplit::kTest;
}

bool is_left_out(const json& record) {
  const auto& category = record.at("category").get_ref<const std::string&>();
  return category == "Flags" || category == "Component";
}

}  // namespace

std::vector<EmojiConcept> read_emoji(const fs::path& sources) {
  const Descriptions descriptions = read_descriptions(sources / "emojibase" / "en");
  const Artists artists(sources);
  std::vector<EmojiConcept> concepts;
  const fs::path list = sources / kPngArtists[0] / "emoji.json";
  with_json(list, [&](const json& records) {
    for (const json& record : records) {
      if (is_left_out(record)) continue;
      EmojiConcept emoji;
      emoji.id = cleaning::lower(record.at("unified").get<std::string>());
      const Description* description = find_description(descriptions, emoji.id);
      if (description == nullptr) continue;
      emoji.label = description->label;
      emoji.tags = description->tags;
      emoji.subgroup = description->subgroup;
      emoji.drawings = artists.find(record, emoji.id, emoji.label);
      if (emoji.drawings.empty()) continue;
      emoji.captions = captions_of(record, emoji.label);
      emoji.split = concept_split(emoji.label);
      concepts.push_back(std::move(emoji));
    }
  });
  if (concepts.empty()) {
    throw DataError(list.string(), "no emoji in it has a label and a drawing by each of the artists", kSourcesRemedy);
  }
  return concepts;
}

}  // namespace vicha::demo

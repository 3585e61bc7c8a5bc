// Visual Genome: phrases about regions, questions with answers.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/error.h"
#include "data/tools/convert_sink.h"
#include "data/tools/set_form.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// The two archives of pictures unpack to these.
constexpr std::array<std::string_view, 2> kFolders = {"VG_100K", "VG_100K_2"};

const Json* id_of(const Json& object) {
  for (const char* key : {"image_id", "id"}) {
    if (const auto found = object.find(key); found != object.end() && found->is_number_integer()) return &*found;
  }
  return nullptr;
}

/// In which of the folders a picture lies: by image_data.json, whose addresses end in them, or by what is there.
class GenomePictures {
 public:
  GenomePictures(const fs::path& folder, const fs::path& image_data) : folder_(folder), image_data_(image_data) {
    if (image_data.empty()) return;
    require_source(image_data, {SourceFile::kGenomeImages}, "Give Visual Genome's image_data.json as --with");
  }

  void read(ConvertSink& sink) {
    if (image_data_.empty()) return;
    for_each_source_record(image_data_, sink, [&](const std::string& where, Json& record) {
      const Json* id = id_of(record);
      const std::string link = text_field(record, "url");
      const std::size_t file = link.rfind('/'), folder = file == std::string::npos ? file : link.rfind('/', file - 1);
      if (id == nullptr || folder == std::string::npos) return sink.lose(where, "has no image_id, or no url");
      const std::string name = link.substr(folder + 1, file - folder - 1);
      const auto known = std::find(kFolders.begin(), kFolders.end(), name);
      if (known == kFolders.end())
        return sink.lose(where, fmt::format("its url ends in neither {} nor {}", kFolders[0], kFolders[1]));
      folders_.emplace(id->get<std::int64_t>(), static_cast<std::uint8_t>(known - kFolders.begin()));
    });
    if (folders_.empty()) {
      throw DataError(image_data_.string(), "names no picture's folder",
                      "Give Visual Genome's image_data.json (fields image_id and url)");
    }
  }

  /// Why there is none, in `missing`.
  std::string name_of(std::int64_t id, std::string& missing) const {
    const std::string file = fmt::format("{}.jpg", id);
    if (!image_data_.empty()) {
      const auto found = folders_.find(id);
      if (found != folders_.end()) return fmt::format("{}/{}", kFolders[found->second], file);
      missing = fmt::format("is of the picture {}, which {} does not have", id, image_data_.string());
      return "";
    }
    std::error_code ignored;
    for (const std::string_view folder : kFolders) {
      if (fs::exists(folder_ / folder / file, ignored)) return fmt::format("{}/{}", folder, file);
    }
    missing = fmt::format(
        "neither {0}/{1}/{3} nor {0}/{2}/{3} is there; --with image_data.json tells folders without "
        "the pictures, --folder says where these lie",
        folder_.empty() ? "." : folder_.string(), kFolders[0], kFolders[1], file);
    return "";
  }

 private:
  fs::path folder_, image_data_;
  std::unordered_map<std::int64_t, std::uint8_t> folders_;
};

/// What a phrase's record has beside it.
Json of_region(const Json& region) {
  Json more = Json::object();
  if (region.contains("region_id")) more["region_id"] = region["region_id"];
  Json box = Json::array();
  for (const char* side : {"x", "y", "width", "height"}) {
    if (region.contains(side) && region[side].is_number()) box.push_back(region[side]);
  }
  if (box.size() == 4) more["bbox"] = std::move(box);
  return more;
}

/// As answers of VQA are written: "Green." is "Green".
std::string without_stop(std::string text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '.')) text.pop_back();
  return text;
}

Json question_row(const Json& question, const std::string& image) {
  return {{"question_id", question.value("qa_id", Json())},
          {"image", image},
          {"question", text_field(question, "question")},
          {"answer", without_stop(text_field(question, "answer"))},
          {"dataset", "vg"}};
}

/// Of what a row needs, the field that is not there or is blank; "" if none.
std::string_view missing_field(const Json& object, bool regions) {
  const auto blank = [&](const char* key) {
    return text_field(object, key).find_first_not_of(" \t\r\n.") == std::string::npos;
  };
  if (regions) return blank("phrase") ? "phrase" : "";
  if (const auto id = object.find("qa_id"); id == object.end() || !is_id(*id)) return "qa_id";
  return blank("question") ? "question" : blank("answer") ? "answer" : "";
}

}  // namespace

void convert_genome(const fs::path& in, SetForm form, ConvertSink& sink) {
  const bool regions = form == SetForm::kGenomeRegions;
  const char* list = regions ? "regions" : "qas";
  require_source(in, {regions ? SourceFile::kGenomeRegions : SourceFile::kGenomeQuestions},
                 regions ? "Give region_descriptions.json" : "Give question_answers.json");
  GenomePictures pictures(sink.pictures_folder(), sink.options().with);
  pictures.read(sink);
  for_each_source_record(in, sink, [&](const std::string& where, Json& record) {
    const auto found = record.find(list);
    if (found == record.end() || !found->is_array()) return sink.lose(where, fmt::format("has no list \"{}\"", list));
    for (std::size_t i = 0; i < found->size(); ++i) {
      const Json& one = (*found)[i];
      const std::string place = fmt::format("{}, {} {}", where, list, i);
      if (!one.is_object()) {
        sink.lose(place, "is not an object");
        continue;
      }
      const Json* id = id_of(one);
      if (id == nullptr || !one.contains("image_id")) id = id_of(record);
      if (id == nullptr) {
        sink.lose(place, "has no image_id");
        continue;
      }
      std::string missing;
      const std::string image = pictures.name_of(id->get<std::int64_t>(), missing);
      if (image.empty()) {
        sink.lose(place, missing);
        continue;
      }
      if (const std::string_view field = missing_field(one, regions); !field.empty()) {
        sink.lose(place, fmt::format("has no {}", field));
        continue;
      }
      if (regions) {
        sink.add(place, image, *id, {text_field(one, "phrase")}, false, of_region(one));
      } else {
        sink.add_row(place, question_row(one, image));
      }
    }
  });
}

}  // namespace vicha

// Where converted records go (convert.h). Used inside of this room only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/files.h"
#include "data/manifest/rewrite.h"
#include "data/tools/convert.h"

namespace vicha {

class ConvertSink {
 public:
  ConvertSink(const std::filesystem::path& in, const std::filesystem::path& out, const ConvertOptions& options);

  const ConvertOptions& options() const { return options_; }
  ConvertReport& report() { return report_; }

  /// Whether records of this split are asked for; counts it.
  bool takes(const std::string& split);
  /// A picture with its captions; `more` is an object of further fields. Lost where the name or all captions are empty;
  /// empty captions among others are lost alone. `text`: the record of the source, of which fields that are the same
  /// keep their bytes.
  void add(const std::string& where, const std::string& image, const nlohmann::ordered_json& id,
           const std::vector<std::string>& captions, bool as_list, const nlohmann::ordered_json& more,
           std::string_view text = {});
  /// A record of a task. Names in its "image" and "images" (a list) get the folder in front; lost where one is
  /// empty or stands for no file of this machine.
  void add_row(const std::string& where, nlohmann::ordered_json row);
  void lose(const std::string& where, const std::string& why);
  void note(std::string line) { report_.notes.push_back(std::move(line)); }
  /// A picture's name with the folder in front, as records have it.
  std::string name_of(const std::string& image) const;
  /// Where pictures lie, seen from where the manifest will be.
  std::filesystem::path pictures_folder() const { return out_.parent_path() / options_.folder; }
  /// The number, from 0, of the next record of the source, those that are lost among them.
  std::int64_t next_row() { return rows_++; }
  /// As options().name says; `link`: the picture's address. Nothing, and the record is lost, where another address has
  /// the same name: nobody knows whose file lies under it.
  std::optional<std::string> name_of_link(const std::string& where, std::string_view link, std::int64_t row);
  void finish();

 private:
  std::string named(std::string_view link, std::int64_t row) const;
  /// The name that the manifest has for a picture. Nothing, and the record is lost, where it cannot be.
  std::optional<std::string> placed(const std::string& where, const std::string& image);
  std::string splits_there() const;
  bool write(const std::string& where, const nlohmann::ordered_json& record, std::string_view text = {});

  std::filesystem::path in_, out_;
  ConvertOptions options_;
  ConvertReport report_;
  ManifestWriter writer_;
  std::unique_ptr<AtomicFile> lost_;
  std::string lost_lines_;
  std::int64_t rows_ = 0, same_names_ = 0;
  struct Address {
    std::size_t hash;
    std::int64_t row;
  };
  std::unordered_map<std::size_t, Address> address_of_;  // by the hash of the name made of it
};

/// Which fields of a record hold what: as the options say, else the usual names that `there` has.
struct ConvertFields {
  std::string image, id, link;  ///< `link` where there is no image: the picture's address, which names it
  std::vector<std::string> captions;
};
/// Throws DataError naming the fields that are there if none is known to be the picture's or the captions'. `where`: of
/// the first record. `image_known`: the picture's name comes from elsewhere.
ConvertFields choose_fields(ConvertSink& sink, const std::string& where, const std::vector<std::string>& there,
                            bool image_known = false);

/// A record whose fields have other names, as an object of a JSON file. `key` names it where `image` is no field;
/// `text` is as ConvertSink::add has it.
void add_object(ConvertSink& sink, const std::string& where, const nlohmann::ordered_json& record,
                const ConvertFields& fields, const std::string& key = "", std::string_view text = {});

void convert_object_file(const std::filesystem::path& in, SetForm form, ConvertSink& sink);
void convert_record_file(const std::filesystem::path& in, ConvertSink& sink);
void convert_table(const std::filesystem::path& in, SetForm form, ConvertSink& sink);

// The official downloads (convert.h).
void convert_flickr(const std::filesystem::path& in, ConvertSink& sink);
void convert_pairs(const std::filesystem::path& in, ConvertSink& sink);
void convert_sbu(const std::filesystem::path& in, ConvertSink& sink);
void convert_genome(const std::filesystem::path& in, SetForm form, ConvertSink& sink);
void convert_vqa(const std::filesystem::path& in, ConvertSink& sink);
void convert_nlvr2(const std::filesystem::path& in, ConvertSink& sink);
void convert_snli_ve(const std::filesystem::path& in, ConvertSink& sink);
void convert_refer(const std::filesystem::path& in, ConvertSink& sink);
void convert_mdetr(const std::filesystem::path& in, ConvertSink& sink);

/// Each record of JSON lines or of a list; what is no record is lost.
void for_each_source_record(const std::filesystem::path& in, ConvertSink& sink,
                            const std::function<void(const std::string& where, nlohmann::ordered_json& record)>& see);
/// The same with the record's text.
void for_each_source_text(
    const std::filesystem::path& in, ConvertSink& sink,
    const std::function<void(const std::string& where, nlohmann::ordered_json& record, std::string_view text)>& see);

/// A text field; "" where there is none.
std::string text_field(const nlohmann::ordered_json& object, const char* key);
/// Whether the value can name something: a string or an integer.
bool is_id(const nlohmann::ordered_json& value);
/// "train2014/COCO_train2014_000000000009.jpg", without its folder where options name another.
std::string coco_picture(const std::string& file_name, const ConvertOptions& options);

}  // namespace vicha

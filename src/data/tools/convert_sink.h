// Where converted records go (convert.h). Used inside of this room only.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
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
  /// empty captions among others are left out.
  void add(const std::string& where, const std::string& image, const nlohmann::ordered_json& id,
           const std::vector<std::string>& captions, bool as_list, const nlohmann::ordered_json& more);
  void lose(const std::string& where, const std::string& why);
  void finish();

 private:
  std::filesystem::path in_, out_;
  ConvertOptions options_;
  ConvertReport report_;
  ManifestWriter writer_;
  std::unique_ptr<AtomicFile> lost_;
  std::string lost_lines_;
};

/// Which fields of a record hold what: as the options say, else the usual names that `there` has.
struct ConvertFields {
  std::string image, id;
  std::vector<std::string> captions;
};
/// Throws DataError naming the fields that are there if none is known to be the picture's or the captions'. `where`: of
/// the first record. `image_known`: the picture's name comes from elsewhere.
ConvertFields choose_fields(ConvertSink& sink, const std::string& where, const std::vector<std::string>& there,
                            bool image_known = false);

/// A record whose fields have other names, as an object of a JSON file. `key` names it where `image` is no field.
void add_object(ConvertSink& sink, const std::string& where, const nlohmann::ordered_json& record,
                const ConvertFields& fields, const std::string& key = "");

void convert_object_file(const std::filesystem::path& in, SetForm form, ConvertSink& sink);
void convert_record_file(const std::filesystem::path& in, ConvertSink& sink);
void convert_table(const std::filesystem::path& in, SetForm form, ConvertSink& sink);

}  // namespace vicha

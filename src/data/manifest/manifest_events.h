// A record's JSON, event by event, made into fields (data/manifest/manifest_reader.h). No tree of values is built.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest/manifest_reader.h"
#include "data/manifest/not_numbers.h"

namespace vicha {

/// Receives the parser's events. Containers are counted in `depth_`: 1 inside of the record, 2 inside of a list in it.
/// What it is constructed with must outlive it.
class ManifestEvents {
 public:
  ManifestEvents(const Schema& schema, RecordReader& reader, const ProblemHandler& on_problem)
      : schema_(schema), reader_(reader), on_problem_(on_problem) {}

  /// Null, and problems told, if something is wrong with the record. What is given lives until the next call.
  const ManifestRecord* read(const RecordText& text);

  // Events, by nlohmann's names; false ends the reading.
  bool null();
  bool boolean(bool);
  bool number_integer(nlohmann::json::number_integer_t number);
  bool number_unsigned(nlohmann::json::number_unsigned_t number);
  bool number_float(nlohmann::json::number_float_t, const std::string&);
  bool string(std::string& text);
  bool binary(nlohmann::json::binary_t&) { return true; }  // not in JSON text
  bool key(std::string& name);
  bool start_object(std::size_t);
  bool end_object();
  bool start_array(std::size_t);
  bool end_array();
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error);

 private:
  /// Of a text, mended or not; false if it is not JSON, `reason_` says why.
  bool parse(const RecordText& text, const std::vector<NotANumber>& places);

  static constexpr const char* kCorrectRecord = "Correct the record or take it out";
  enum class FieldName { kImage, kCaption, kConcepts, kImageId, kOther };
  static constexpr std::size_t kKnownFields = 4;

  static FieldName field_named(std::string_view key);
  std::vector<std::string>& list() { return field_ == FieldName::kCaption ? record_.captions : record_.concepts; }
  void seen(FieldName field) { seen_[static_cast<std::size_t>(field)] = true; }
  void not_wanted(std::string_view kind, const char* remedy = kCorrectRecord);
  void tell_problems();
  bool is_read(std::string_view name) const;
  bool integer(std::string text);
  bool value(std::string_view kind, std::string* text);
  void begin_record(const RecordText& text);
  void check_record();
  /// Reports something wrong with the record, at the line to which the parser has come.
  void problem(std::string_view field, std::string what, std::string_view remedy);

  const Schema& schema_;
  RecordReader& reader_;
  const ProblemHandler& on_problem_;

  const RecordText* text_ = nullptr;
  const char* at_ = nullptr;  // to where the parser has read `text_`
  RecordText mended_;         // what is parsed of a record with NaN
  const std::vector<NotANumber>* places_ = nullptr;
  std::size_t next_place_ = 0;
  std::string top_key_, reason_;
  std::vector<std::string> keys_;          // of the record, those that are read
  std::vector<ManifestProblem> problems_;  // of the record, told when it has been read
  int depth_ = 0;
  ManifestRecord record_;
  FieldName field_ = FieldName::kOther;
  bool open_list_ = false;  // inside of a list of strings
  bool bad_ = false;
  std::array<bool, kKnownFields + 1> seen_{};
};

}  // namespace vicha

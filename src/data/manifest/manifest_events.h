// A manifest's JSON, event by event, made into records (data/manifest/manifest_reader.h).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest/byte_stream.h"
#include "data/manifest/manifest_reader.h"

namespace vicha {

/// Receives the parser's events. Containers are counted in `depth_`; a record is an object that opens at
/// `record_depth_`, which is 1 inside of a list and 0 on a line of its own. What it is constructed with must outlive
/// it.
class ManifestEvents {
 public:
  ManifestEvents(const std::filesystem::path& file, const ManifestNeeds& needs,
                 const std::function<void(const ManifestRecord&)>& on_record,
                 const std::function<void(const ManifestProblem&)>& on_problem, const ByteStream& stream);

  /// A record is an object at the given depth: 1 in a list, 0 on a line of its own.
  void expect_records_at(int depth);
  std::int64_t records() const { return number_; }
  /// Hands the record over if it was right. The caller says when, since text after it may spoil a line.
  void finish_record(bool keep);
  /// Reports something wrong with the record that is being read.
  void problem(std::string_view field, std::string what, std::string_view remedy);
  std::string take_syntax_error();

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
  enum class FieldName { kImage, kCaption, kConcepts, kImageId, kOther };
  static constexpr std::size_t kKnownFields = 4;

  static FieldName field_named(std::string_view key);
  std::vector<std::string>& list() { return field_ == FieldName::kCaption ? record_.captions : record_.concepts; }
  void seen(FieldName field) { seen_[static_cast<std::size_t>(field)] = true; }
  void not_wanted(std::string_view kind);
  bool integer(std::string text);
  bool value(std::string_view kind, std::string* text);
  void begin_record();
  void end_record();

  std::string file_;
  const ManifestNeeds& needs_;
  const std::function<void(const ManifestRecord&)>& on_record_;
  const std::function<void(const ManifestProblem&)>& on_problem_;
  const ByteStream& stream_;

  int record_depth_ = 0, depth_ = 0;
  std::int64_t number_ = 0;
  ManifestRecord record_;
  FieldName field_ = FieldName::kOther;
  bool open_list_ = false;  // inside of a list of strings
  bool bad_ = false;
  bool complete_ = false;  // `record_` is right and not handed over yet
  std::array<bool, kKnownFields + 1> seen_{};
  std::string syntax_error_;
};

}  // namespace vicha

#include "checkpoint/safetensors/safetensors_header.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/json_text.h"
#include "base/printable.h"
#include "checkpoint/tensors/dtypes.h"
#include "checkpoint/tensors/in_quotes.h"
#include "checkpoint/tensors/name_index.h"

namespace vicha {
namespace {

constexpr std::string_view kFields[] = {"dtype", "shape", "data_offsets"};
constexpr std::size_t kMaxRank = 64;  // LibTorch's iterators hold no more dimensions

/// Receives the parser's events, so that nothing is built that the format does not know and nesting costs nothing.
/// Depth: 1 the header's object, 2 a tensor's or the metadata's object, 3 a shape or the offsets.
class HeaderSax : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderSax(SafetensorsHeader& header, std::string where) : header_(header), where_(std::move(where)) {}

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a truth value"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return unexpected("a number that is not whole"); }
  bool binary(binary_t&) override { return unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ != 3) return unexpected("a number");
    numbers_.push_back(value);
    if (numbers_.size() > kMaxRank) fail("has more than " + std::to_string(kMaxRank) + " dimensions");
    return true;
  }

  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata_) {
      header_.metadata[key_] = std::move(value);
    } else if (depth_ == 2 && key_ == "dtype") {
      const DtypeNames* dtype = find_dtype_by_safetensors(value);
      if (dtype == nullptr) fail("has the type " + in_quotes(value) + ", which this program does not know");
      entry_.info.dtype = dtype->type;
    } else {
      return unexpected("a text");
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (depth_ >= 2) return unexpected("an object");
    if (++depth_ == 2) {
      seen_fields_ = 0;
      entry_ = SafetensorsEntry{};
      entry_.info.name = name_;
    }
    return true;
  }

  bool key(string_t& value) override {
    if (depth_ == 1) {
      in_metadata_ = value == "__metadata__";
      const auto name_at = [this](std::size_t i) -> const std::string& { return header_.entries[i].info.name; };
      const std::size_t next = header_.entries.size();  // where the tensor of this name will be
      const bool known = in_metadata_ ? std::exchange(has_metadata_, true) : names_.insert(value, next, name_at) < next;
      if (known) throw DataError(where_, "has the name " + in_quotes(value) + " twice");
      name_ = std::move(value);
      return true;
    }
    key_ = std::move(value);
    if (in_metadata_) {
      if (header_.metadata.contains(key_)) fail("has the field " + in_quotes(key_) + " twice");
      return true;
    }
    const auto field = std::ranges::find(kFields, key_);
    if (field == std::end(kFields)) fail("has the field " + in_quotes(key_) + ", which the format does not know");
    const unsigned bit = 1U << (field - std::begin(kFields));
    if ((seen_fields_ & bit) != 0) fail("has the field " + in_quotes(key_) + " twice");
    seen_fields_ |= bit;
    return true;
  }

  bool end_object() override {
    if (depth_-- == 2 && !in_metadata_) finish_entry();
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || key_ == "dtype") return unexpected("a list");
    depth_ = 3;
    numbers_.clear();
    return true;
  }

  bool end_array() override {
    depth_ = 2;
    if (key_ == "shape") {
      for (const std::uint64_t size : numbers_) {
        if (size > std::uint64_t{INT64_MAX}) fail("has a dimension of " + std::to_string(size));
        entry_.info.shape.push_back(static_cast<std::int64_t>(size));
      }
    } else {
      if (numbers_.size() != 2) fail("has " + std::to_string(numbers_.size()) + " data offsets where 2 were expected");
      entry_.begin = numbers_[0];
      entry_.end = numbers_[1];
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) override {
    throw DataError(where_, "the header is not valid JSON at byte " + std::to_string(position) + " (" +
                                printable(json_reason(error.what()).substr(0, 200)) + ")");
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(where_, "tensor " + in_quotes(name_) + " " + what);
  }

  bool unexpected(const std::string& found) const {
    if (depth_ == 0) throw DataError(where_, "the header is " + found + " where an object was expected");
    if (in_metadata_) throw DataError(where_, "metadata may hold texts only, but " + in_quotes(key_) + " is " + found);
    fail(depth_ == 1 ? "is " + found + " where an object was expected"
                     : "has " + found + " in its field " + in_quotes(key_));
  }

  void finish_entry() {
    for (std::size_t i = 0; i < std::size(kFields); ++i) {
      if ((seen_fields_ >> i & 1) == 0) fail("has no field '" + std::string(kFields[i]) + "'");
    }
    const auto bytes = byte_count(entry_.info.shape, static_cast<std::int64_t>(c10::elementSize(entry_.info.dtype)));
    if (!bytes) fail("has a shape whose size overflows");
    if (entry_.end < entry_.begin || entry_.end - entry_.begin != static_cast<std::uint64_t>(*bytes)) {
      fail("needs " + std::to_string(*bytes) + " bytes but its offsets are " + std::to_string(entry_.begin) + " to " +
           std::to_string(entry_.end));
    }
    header_.entries.push_back(std::move(entry_));
  }

  SafetensorsHeader& header_;
  std::string where_, name_, key_;
  int depth_ = 0;
  bool in_metadata_ = false, has_metadata_ = false;
  SafetensorsEntry entry_;
  std::vector<std::uint64_t> numbers_;
  unsigned seen_fields_ = 0;  ///< of kFields, a bit each
  NameIndex names_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(const std::string& text, const std::string& where) {
  if (text.empty() || text.front() != '{')
    throw DataError(where, "the header is not a JSON object", "It is not a safetensors file");
  // The parser takes a zero byte for the end of its input.
  if (text.find('\0') != std::string::npos) throw DataError(where, "the header holds a zero byte");
  SafetensorsHeader header;
  HeaderSax sax(header, where);
  nlohmann::json::sax_parse(text, &sax);
  return header;
}

}  // namespace vicha

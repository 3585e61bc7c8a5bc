#include "checkpoint/files/shard_index.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {
namespace {

constexpr std::uint64_t kMaxIndex = 64 << 20;  // that of 200,000 tensors takes 20 MB

/// Keeps the map and the names of the outermost keys; whatever else the file holds costs nothing.
class IndexSax : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit IndexSax(std::string where) : where_(std::move(where)) {}

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }

  bool string(string_t& text) override {
    if (in_map_ && depth_ == 2) {
      check_file(text);
      index.emplace_back(std::move(name_), std::move(text));
    } else if (depth_ == 1) {
      if (key_ == "weight_map") not_an_index();
      if (key_ == "error" || key_ == "message" || key_ == "detail") message = text.substr(0, 200);
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (in_map_) not_an_index();
    in_map_ = ++depth_ == 2 && key_ == "weight_map";
    has_map |= in_map_;
    return true;
  }

  bool key(string_t& text) override {
    if (in_map_) {
      name_ = std::move(text);
      if (!names_.insert(name_).second) throw DataError(where_, "names the tensor " + in_quotes(name_) + " twice");
    } else if (depth_ == 1) {
      key_ = std::move(text);
      if (key_ == "weight_map" && has_map) not_an_index();
      keys.insert(key_);
    }
    return true;
  }

  bool end_object() override {
    if (depth_-- == 2) in_map_ = false;
    return true;
  }
  bool start_array(std::size_t) override {
    if (in_map_ || (depth_ == 1 && key_ == "weight_map")) not_an_index();
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    throw DataError(where_, "begins as JSON but is not valid at byte " + std::to_string(position),
                    "If it is an index of shards, copy or download it again");
  }

  ShardIndex index;
  bool has_map = false;
  std::unordered_set<std::string> keys;
  std::string message;

 private:
  bool value() const {
    if (in_map_ || (depth_ == 1 && key_ == "weight_map")) not_an_index();
    return true;
  }

  [[noreturn]] void not_an_index() const {
    throw DataError(where_,
                    "is not an index of shards: its 'weight_map' is not one object of tensor names to file names",
                    "Copy or download it again");
  }

  void check_file(const std::string& file) const {
    const bool beside =
        !file.empty() && file.front() != '.' && file.find_first_of("/\\") == file.npos && file.find('\0') == file.npos;
    if (!beside) throw DataError(where_, "names the shard " + in_quotes(file) + ", which does not lie beside it");
  }

  std::string where_, key_, name_;
  std::size_t depth_ = 0;
  bool in_map_ = false;
  std::unordered_set<std::string> names_;
};

}  // namespace

ShardIndex read_shard_index(const std::filesystem::path& path) {
  const std::string where = path.string();
  IndexSax sax(where);
  nlohmann::json::sax_parse(read_text_file(path, kMaxIndex), &sax);
  if (sax.has_map && sax.index.empty()) throw DataError(where, "is an index of shards that names no tensor");
  if (sax.has_map) return std::move(sax.index);
  if (!sax.message.empty()) {
    throw DataError(where, "is an error message of a web server (" + in_quotes(sax.message) + "), not weights",
                    "Download the file itself; a site may ask to log in, or to accept a licence");
  }
  for (const char* key : {"model_type", "architectures", "model_cfg", "hidden_size", "embed_dim"}) {
    if (!sax.keys.contains(key)) continue;
    throw DataError(where, "is a model's settings, not its weights", "Name the folder, or the file of weights in it");
  }
  throw DataError(where, "is JSON without a 'weight_map', so neither weights nor an index of shards",
                  "Name a file of weights or a folder with one");
}

}  // namespace vicha

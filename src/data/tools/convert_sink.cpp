#include "data/tools/convert_sink.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/blank.h"
#include "base/error.h"
#include "base/json_text.h"
#include "data/manifest/image_names.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::size_t kShownLost = 5;
constexpr std::int64_t kRowsOfShard = 10'000;

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// As wget names the file: "a b.jpg?x=1" of "http://host/2723/a%20b.jpg?x=1#top". What cannot stand in a name stays as
/// it is spelled.
std::string file_of_link(std::string_view link) {
  link = link.substr(0, link.find('#'));
  if (const std::size_t host = link.find("://"); host != std::string_view::npos) link.remove_prefix(host + 3);
  const std::size_t slash = link.substr(0, link.find('?')).rfind('/');
  if (slash == std::string_view::npos) return {};
  link.remove_prefix(slash + 1);
  std::string name;
  for (std::size_t i = 0; i < link.size(); ++i) {
    const int high = link[i] == '%' && i + 2 < link.size() ? digit_of(link[i + 1]) : -1;
    const int low = high >= 0 ? digit_of(link[i + 2]) : -1;
    const int byte = low >= 0 ? 16 * high + low : -1;
    if (byte >= 0x20 && byte != 0x7f && byte != '/') {
      name += static_cast<char>(byte);
      i += 2;
    } else {
      name += link[i];
    }
  }
  return name == "." || name == ".." ? "" : name;
}

/// Forms whose fields may have any names.
bool fields_have_any_name(SetForm form) {
  return form == SetForm::kRecords || form == SetForm::kObject || form == SetForm::kCsv || form == SetForm::kTsv;
}

}  // namespace

ConvertSink::ConvertSink(const fs::path& in, const fs::path& out, const ConvertOptions& options)
    : in_(in), out_(out), options_(options), writer_(out) {
  report_.lost_file = fs::path(out).concat(".lost.jsonl");
  (void)named("http://host/a.jpg", 0);  // says at once what is wrong with the pattern
}

bool ConvertSink::takes(const std::string& split) {
  const auto known =
      std::find_if(report_.splits.begin(), report_.splits.end(), [&](const auto& one) { return one.first == split; });
  if (known == report_.splits.end()) {
    report_.splits.emplace_back(split, 1);
  } else {
    ++known->second;
  }
  if (options_.splits.empty()) return true;
  const bool taken = std::find(options_.splits.begin(), options_.splits.end(), split) != options_.splits.end();
  if (!taken) ++report_.other_splits;
  return taken;
}

std::optional<std::string> ConvertSink::name_of_link(const std::string& where, std::string_view link,
                                                     std::int64_t row) {
  std::string name = named(link, row);
  const std::size_t hash = std::hash<std::string_view>{}(link);
  const auto [first, fresh] = address_of_.try_emplace(std::hash<std::string>{}(name), Address{hash, row});
  if (fresh || first->second.hash == hash) return name;
  if (same_names_++ == 0) {
    note(fmt::format(
        "Several addresses give one name, the first \"{}\" of records {} and {}: make sure that the file is "
        "the first one's, or download them by number: --name '{{row:09}}.jpg'",
        name, first->second.row, row));
  }
  lose(where, fmt::format("would be called \"{}\", as the picture of another address, in record {}, is", name,
                          first->second.row));
  return std::nullopt;
}

std::string ConvertSink::named(std::string_view link, std::int64_t row) const {
  try {
    return fmt::format(fmt::runtime(options_.name.empty() ? "{file}" : options_.name),
                       fmt::arg("file", file_of_link(link)), fmt::arg("row", row),
                       fmt::arg("shard", row / kRowsOfShard));
  } catch (const fmt::format_error& error) {
    throw UsageError(
        fmt::format("--name {}: {}; it may hold {{file}}, {{row}} (with zeros in front: {{row:09}}) and {{shard}}",
                    options_.name, error.what()));
  }
}

std::string ConvertSink::name_of(const std::string& image) const {
  const bool here = options_.folder.empty() || options_.folder == ".";
  return here ? image : (fs::path(options_.folder) / image).string();
}

std::optional<std::string> ConvertSink::placed(const std::string& where, const std::string& image) {
  if (image.empty()) {
    lose(where, "has no name of a picture");
    return std::nullopt;
  }
  std::string name = name_of(image);
  if (const std::optional<NameFault> fault = foreign_name(image, out_.parent_path() / name)) {
    lose(where, fmt::format("the picture's name {}. {}", fault->what, fault->remedy));
    return std::nullopt;
  }
  return name;
}

bool ConvertSink::write(const std::string& where, const Json& record, std::string_view text) {
  try {
    if (text.empty()) {
      writer_.add(record);
    } else {
      add_changed(writer_, text, record);
    }
  } catch (const Json::exception&) {
    lose(where, "holds text that is not UTF-8");
    return false;
  }
  ++report_.records;
  return true;
}

void ConvertSink::add(const std::string& where, const std::string& image, const Json& id,
                      const std::vector<std::string>& captions, bool as_list, const Json& more, std::string_view text) {
  std::vector<std::string> kept;
  for (const std::string& caption : captions) {
    if (!is_blank(caption)) kept.push_back(caption);
  }
  if (!image.empty() && kept.empty()) return lose(where, "has no caption");
  const std::optional<std::string> name = placed(where, image);
  if (!name) return;
  Json record = {{"image", *name}};
  if (!id.is_null()) record["image_id"] = id;
  if (kept.size() == 1 && !as_list) {
    record["caption"] = kept.front();
  } else {
    record["caption"] = kept;
  }
  for (const auto& [key, value] : more.items()) {
    if (!record.contains(key)) record[key] = value;
  }
  for (std::size_t i = 0; kept.size() < captions.size() && i < captions.size(); ++i) {
    if (is_blank(captions[i])) lose(where, fmt::format("its caption {} of {} is empty", i + 1, captions.size()));
  }
  if (write(where, record, text)) report_.captions += static_cast<std::int64_t>(kept.size());
}

void ConvertSink::add_row(const std::string& where, Json row) {
  for (const char* key : {"image", "images"}) {
    const auto found = row.find(key);
    if (found == row.end()) continue;
    std::vector<Json*> names;
    if (found->is_array()) {
      for (Json& name : *found) names.push_back(&name);
    } else {
      names.push_back(&*found);
    }
    for (Json* name : names) {
      const std::optional<std::string> there = placed(where, name->get<std::string>());
      if (!there) return;
      *name = *there;
    }
  }
  write(where, row);
}

void ConvertSink::lose(const std::string& where, const std::string& why) {
  if (report_.examples.size() < kShownLost) report_.examples.push_back(fmt::format("{}: {}", where, why));
  ++report_.lost;
  const Json line = {{"where", where}, {"why", why}};
  lost_lines_ += json_text(line) + "\n";
  if (lost_lines_.size() < (std::size_t{1} << 18)) return;
  if (!lost_) lost_ = std::make_unique<AtomicFile>(report_.lost_file);
  lost_->append(lost_lines_);
  lost_lines_.clear();
}

std::string ConvertSink::splits_there() const {
  std::vector<std::string> names;
  for (const auto& [name, count] : report_.splits) names.push_back(fmt::format("\"{}\" ({})", name, count));
  return fmt::format("there are {}", fmt::join(names, ", "));
}

void ConvertSink::finish() {
  if (report_.records == 0) {
    const bool pairs =
        fields_have_any_name(report_.form) || report_.form == SetForm::kCoco || report_.form == SetForm::kKarpathy;
    if (report_.other_splits > 0) {
      throw UsageError(fmt::format("{}: no picture is of the split {}; {}", in_.string(),
                                   fmt::join(options_.splits, ", "), splits_there()));
    }
    throw DataError(
        in_.string(),
        report_.lost == 0 ? (pairs ? "holds no pictures with captions" : "holds no records")
                          : fmt::format("none of its {} records can be used. The first: {}", report_.lost,
                                        fmt::join(report_.examples, "; ")),
        report_.lost > 0 ? "Correct what this says"
        : fields_have_any_name(report_.form)
            ? "--image, --caption and --form say where the pictures and the captions stand"
            : "docs/recipes-data.md says for each data set which files go together; --form says what FROM is");
  }
  if (!options_.splits.empty() && report_.splits.empty()) {
    throw UsageError(
        fmt::format("{}: no record has the field \"{}\", by which --split would choose. Leave --split out, or "
                    "name the field that says a record's split: --split-field",
                    in_.string(), options_.split_field));
  }
  for (const std::string& split : options_.splits) {
    const auto same = [&](const auto& one) { return one.first == split; };
    if (std::ranges::any_of(report_.splits, same)) continue;
    throw UsageError(fmt::format("{}: no picture is of the split \"{}\"; {}", in_.string(), split, splits_there()));
  }
  if (!lost_lines_.empty() || lost_) {
    if (!lost_) lost_ = std::make_unique<AtomicFile>(report_.lost_file);
    lost_->append(lost_lines_);
    lost_->commit();
  }
  writer_.finish();
}

std::string text_field(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool is_id(const Json& value) { return value.is_string() || value.is_number_integer(); }

}  // namespace vicha

// NLVR2 and SNLI-VE: statements about pictures, true or not.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/blank.h"
#include "base/printable.h"
#include "data/tools/convert_sink.h"
#include "data/tools/set_form.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

/// "train-10171-0-0" is split, set, pair and sentence; the pictures have the first three.
struct Identifier {
  std::string split, pair;
};

std::optional<Identifier> identifier_of(const std::string& text) {
  if (std::count(text.begin(), text.end(), '-') != 3) return std::nullopt;
  const std::size_t split = text.find('-'), sentence = text.rfind('-');
  const bool numbers = text.find_first_not_of("0123456789-", split) == std::string::npos;
  const bool empty = split == 0 || text.find("--") != std::string::npos || text.ends_with('-');
  const bool plain = text.find_first_of("/\\") == std::string::npos;
  if (!numbers || empty || !plain) return std::nullopt;
  return Identifier{text.substr(0, split), text.substr(0, sentence)};
}

/// Training pictures lie in a hundred folders, which records name by number.
std::string directory_of(const Json& record) {
  const auto found = record.find("directory");
  if (found == record.end()) return "";
  const std::string name = found->is_string()           ? found->get<std::string>()
                           : found->is_number_integer() ? found->dump()
                                                        : "";
  return name.empty() ? "" : name + "/";
}

std::string label_of(const Json& record) {
  const auto found = record.find("label");
  if (found == record.end()) return "";
  if (found->is_boolean()) return found->get<bool>() ? "True" : "False";
  std::string label = text_field(record, "label");
  if (!label.empty() && label[0] >= 'a') label[0] = static_cast<char>(label[0] - ('a' - 'A'));
  return label;
}

}  // namespace

void convert_nlvr2(const std::filesystem::path& in, ConvertSink& sink) {
  require_source(in, {SourceFile::kNlvr2}, "Give NLVR2's train.json, dev.json or test1.json");
  for_each_source_record(in, sink, [&](const std::string& where, Json& record) {
    const std::string name = text_field(record, "identifier"), sentence = text_field(record, "sentence");
    const std::optional<Identifier> identifier = identifier_of(name);
    if (!identifier) {
      return sink.lose(where, name.empty() ? std::string("has no identifier")
                                           : fmt::format("the identifier \"{}\" is not split-set-pair-sentence, as "
                                                         "train-10171-0-0 is",
                                                         printable(name)));
    }
    if (!sink.takes(identifier->split)) return;
    if (is_blank(sentence)) return sink.lose(where, "has no sentence");
    const std::string label = label_of(record);
    if (label != "True" && label != "False") {
      return sink.lose(where, label.empty()
                                  ? std::string("has no label")
                                  : fmt::format("its label \"{}\" is neither True nor False", printable(label)));
    }
    const std::string stem = fmt::format("{}/{}{}", identifier->split, directory_of(record), identifier->pair);
    Json row = {{"images", {stem + "-img0.png", stem + "-img1.png"}},
                {"sentence", sentence},
                {"label", label},
                {"identifier", name}};
    for (const auto& [key, value] : record.items()) {
      if (!row.contains(key)) row[key] = value;
    }
    sink.add_row(where, std::move(row));
  });
}

void convert_snli_ve(const std::filesystem::path& in, ConvertSink& sink) {
  require_source(in, {SourceFile::kSnliVe},
                 "Give SNLI-VE's snli_ve_train.jsonl, snli_ve_dev.jsonl or snli_ve_test.jsonl");
  constexpr std::array<std::string_view, 3> kLabels = {"contradiction", "neutral", "entailment"};
  std::int64_t undecided = 0;
  for_each_source_record(in, sink, [&](const std::string& where, Json& record) {
    const auto id = record.find("Flickr30K_ID");
    const std::string name = id == record.end()        ? ""
                             : id->is_number_integer() ? id->dump()
                                                       : text_field(record, "Flickr30K_ID");
    if (name.empty()) return sink.lose(where, "has no Flickr30K_ID");
    const std::string sentence = text_field(record, "sentence2"), label = text_field(record, "gold_label");
    if (is_blank(sentence)) return sink.lose(where, "has no sentence2, the hypothesis");
    if (label == "-") {
      ++undecided;
      return sink.lose(where, "has no label that most annotators agree on (gold_label \"-\")");
    }
    if (std::find(kLabels.begin(), kLabels.end(), label) == kLabels.end()) {
      return sink.lose(where, label.empty() ? std::string("has no gold_label")
                                            : fmt::format("its gold_label \"{}\" is none of contradiction, neutral and "
                                                          "entailment",
                                                          printable(label)));
    }
    Json row = {{"image", name.ends_with(".jpg") ? name : name + ".jpg"}, {"sentence", sentence}, {"label", label}};
    if (record.contains("pairID")) row["pairID"] = record["pairID"];
    sink.add_row(where, std::move(row));
  });
  if (undecided > 0) sink.note(fmt::format("without a label that annotators agree on: {}", undecided));
}

}  // namespace vicha

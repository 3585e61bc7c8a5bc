// Tokenizers and caption cleaning against the public implementations, row by row; everything must be equal.
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/sha256.h"
#include "report.h"
#include "text/caption.h"
#include "text/wordpiece.h"

namespace vicha::parity {
namespace {

using nlohmann::json;
using Ids = std::vector<std::int64_t>;

std::vector<json> read_lines(const fs::path& file) {
  std::ifstream in(file);
  if (!in) throw DataError(file.string(), "cannot be opened");
  std::vector<json> rows;
  for (std::string line; std::getline(in, line);) rows.push_back(json::parse(line));
  return rows;
}

// A row's text as it stands in the file, so that a difference can be found again.
std::string name_of(const json& row) {
  std::string text = row.at("text").dump(-1, ' ', true);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

// The BERT vocabulary is not in the repository: VICHA_BERT_VOCAB, or where `make` puts it, looked for in the current
// folder, above the fixtures and above this program (both usually lie in the repository).
fs::path bert_vocabulary(const fs::path& fixtures) {
  if (const char* set = std::getenv("VICHA_BERT_VOCAB"); set && *set) {
    if (!fs::exists(set)) throw DataError("VICHA_BERT_VOCAB", "no such file: " + std::string(set));
    return set;
  }
  const fs::path usual = fs::path("data") / "minilm" / "vocab.txt";
  std::error_code no_proc;
  for (fs::path folder :
       {fs::current_path() / "x", fs::absolute(fixtures), fs::read_symlink("/proc/self/exe", no_proc)}) {
    while (folder.has_relative_path()) {
      folder = folder.parent_path();
      if (fs::exists(folder / usual)) return folder / usual;
    }
  }
  throw DataError("the BERT vocabulary", "not found",
                  "Set VICHA_BERT_VOCAB to a vocab.txt, or run 'make setup', which puts one at " + usual.string());
}

void check_padding(const fs::path& file, const WordPiece& tokenizer, Report& report) {
  const json cases = json::parse(read_file(file));
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const json& item = cases[i];
    const json& limit = item.at("max_length");
    const std::size_t max_length = limit.is_null() ? WordPiece::kNoLimit : limit.get<std::size_t>();
    std::vector<Ids> rows;
    for (const json& text : item.at("texts")) {
      rows.push_back(tokenizer.encode(text.get<std::string>(), max_length, Framing::kClsSep));
    }
    std::optional<std::int64_t> length;
    if (item.at("padding") == "max_length") length = limit.get<std::int64_t>();
    const TokenBatch batch = pad_batch(rows, tokenizer.vocabulary().pad_id(), length);
    const auto expected = [&](const char* key) {
      Ids flat;
      for (const json& row : item.at(key)) flat.insert(flat.end(), row.begin(), row.end());
      return flat;
    };
    const std::string name = "batch " + std::to_string(i);
    report.expect(name + " shape", batch.rows == static_cast<std::int64_t>(item.at("input_ids").size()) &&
                                       batch.length == static_cast<std::int64_t>(item.at("input_ids").at(0).size()));
    report.expect(name + " ids", batch.ids == expected("input_ids"));
    report.expect(name + " mask", batch.mask == expected("attention_mask"));
  }
  report.close("tokenizers: padding");
}

}  // namespace

void check_tokenizers(const fs::path& folder, Report& report) {
  const fs::path fixtures = folder / "tokenizers", vocabulary_file = bert_vocabulary(folder);
  if (fs::exists(fixtures / "meta.json")) {
    const std::string expected =
        json::parse(read_file(fixtures / "meta.json")).at("bert").at("vocab").at("sha256").get<std::string>();
    if (sha256_hex(read_file(vocabulary_file)) != expected) {
      throw DataError(vocabulary_file.string(), "not the vocabulary that the fixtures were made with",
                      "VICHA_BERT_VOCAB must name the file that " + (fixtures / "meta.json").string() + " describes");
    }
  }
  const Vocabulary vocabulary = Vocabulary::load(vocabulary_file);
  const WordPiece released(vocabulary, CharacterRules::kReleased), fast(vocabulary, CharacterRules::kFast);
  const auto rows = read_lines(fixtures / "bert_uncased.jsonl");
  for (const json& row : rows) {
    report.expect(name_of(row), released.encode(row.at("text").get<std::string>(), row.at("max_length")) ==
                                    row.at("vicha_input_ids").get<Ids>());
  }
  report.close("tokenizers: WordPiece as ViCHA's");
  for (const json& row : rows) {
    report.expect(name_of(row), fast.encode(row.at("text").get<std::string>(), row.at("max_length"),
                                            Framing::kClsSep) == row.at("input_ids").get<Ids>());
  }
  report.close("tokenizers: WordPiece as BERT's fast");
  check_padding(fixtures / "bert_padding.json", fast, report);
}

void check_captions(const fs::path& folder, Report& report) {
  for (const json& row : read_lines(folder / "captions" / "pre_caption.jsonl")) {
    report.expect(name_of(row), clean_caption(row.at("text").get<std::string>(), row.at("max_words")) ==
                                    row.at("output").get<std::string>());
  }
  report.close("captions: captions");
  for (const json& row : read_lines(folder / "captions" / "pre_question.jsonl")) {
    report.expect(name_of(row), clean_question(row.at("text").get<std::string>(), row.at("max_ques_words")) ==
                                    row.at("output").get<std::string>());
  }
  report.close("captions: questions");
}

}  // namespace vicha::parity

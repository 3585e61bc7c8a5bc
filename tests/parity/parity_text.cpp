// Tokenizers and caption cleaning against the public implementations, row by row; everything must be equal.
#include <cstdio>
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
#include "text/cleaning/caption.h"
#include "text/clip_bpe/clip_bpe.h"
#include "text/wordpiece/wordpiece.h"

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

/// A vocabulary: none is in the repository.
struct VocabularyFile {
  const char *what, *variable, *usual;  // usual: where `make` puts it
  const char *key, *digest;             // of its sha256 in the fixtures' meta.json
};
constexpr VocabularyFile kBert{"the BERT vocabulary", "VICHA_BERT_VOCAB", "data/minilm/vocab.txt", "bert", "sha256"};
constexpr VocabularyFile kClip{"CLIP's vocabulary", "VICHA_CLIP_VOCAB", "data/clip/bpe_simple_vocab_16e6.txt.gz",
                               "clip", "sha256_gz"};

// What the variable names, or the usual place, looked for in the current folder, above the fixtures and above this
// program (both usually lie in the repository). The file must be the one that the fixtures were made with.
fs::path find_vocabulary(const VocabularyFile& file, const fs::path& fixtures) {
  fs::path found;
  if (const char* set = std::getenv(file.variable); set && *set) {
    if (!fs::exists(set)) throw DataError(file.variable, "no such file: " + std::string(set));
    found = set;
  }
  std::error_code no_proc;
  for (fs::path folder :
       {fs::current_path() / "x", fs::absolute(fixtures), fs::read_symlink("/proc/self/exe", no_proc)}) {
    while (found.empty() && folder.has_relative_path()) {
      folder = folder.parent_path();
      if (fs::exists(folder / file.usual)) found = folder / file.usual;
    }
  }
  if (found.empty()) {
    throw DataError(
        file.what, "not found, so what needs it was not run",
        std::string("Set ") + file.variable + " to the file, or run 'make test-data', which puts it at " + file.usual);
  }
  const fs::path meta = fixtures / "tokenizers" / "meta.json";
  if (fs::exists(meta) &&
      sha256_hex(read_file(found)) !=
          json::parse(read_file(meta)).at(file.key).at("vocab").at(file.digest).get<std::string>()) {
    throw DataError(found.string(), "not the vocabulary that the fixtures were made with",
                    std::string(file.variable) + " must name the file that " + meta.string() + " describes");
  }
  return found;
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

void check_wordpiece(const fs::path& folder, Report& report) {
  const fs::path fixtures = folder / "tokenizers";
  const Vocabulary vocabulary = Vocabulary::load(find_vocabulary(kBert, folder));
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

void check_clip_bpe(const fs::path& folder, Report& report) {
  const fs::path fixture = folder / "tokenizers" / "clip_bpe.jsonl";
  if (!fs::exists(fixture)) return;
  const ClipBpe tokenizer = ClipBpe::load(find_vocabulary(kClip, folder));
  const auto rows = read_lines(fixture);
  for (const json& row : rows) {
    report.expect(name_of(row),
                  tokenizer.tokenize_cleaned(row.at("cleaned").get<std::string>()) == row.at("tokens_77").get<Ids>());
    if (row.contains("encode")) {
      report.expect(name_of(row) + ", all of it",
                    tokenizer.encode_cleaned(row.at("cleaned").get<std::string>()) == row.at("encode").get<Ids>());
    }
  }
  report.close("tokenizers: CLIP's BPE, cleaned");
  // Texts that need ftfy are in here too.
  int fixed = 0;
  for (const json& row : rows) {
    const std::string text = row.at("text").get<std::string>();
    fixed += row.at("needs_ftfy").get<bool>();
    report.expect(name_of(row), ClipBpe::clean(text) == row.at("cleaned").get<std::string>() &&
                                    tokenizer.tokenize(text) == row.at("tokens_77").get<Ids>());
  }
  report.close("tokenizers: CLIP's BPE, raw");
  std::printf("     %d of these texts need ftfy\n", fixed);
}

}  // namespace

void check_tokenizers(const fs::path& folder, Report& report) {
  // One vocabulary may be there without the other.
  std::string stopped;
  for (const auto check : {check_wordpiece, check_clip_bpe}) {
    try {
      check(folder, report);
    } catch (const std::exception& error) {
      stopped += (stopped.empty() ? "" : " ") + std::string(error.what());
    }
  }
  if (!stopped.empty()) throw Error(stopped);
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

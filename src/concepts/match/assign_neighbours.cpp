#include "concepts/match/assign_neighbours.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"
#include "data/manifest/record_fields.h"
#include "data/manifest/rewrite.h"

namespace vicha {
namespace {

using GroupedRecord = nlohmann::ordered_json;

constexpr std::int64_t kPicturesAtOnce = 2048;
constexpr std::int64_t kMissingAllowed = 8;

/// The record's value of the field as text.
std::string group_of(const GroupedRecord& record, const std::string& field, const std::string& where) {
  const auto found = record.find(field);
  if (found != record.end() && found->is_string()) return found->get<std::string>();
  if (found != record.end() && found->is_number_integer()) return found->dump();
  throw DataError(where,
                  fmt::format("has no string or whole number in \"{}\", by which pictures are told apart", field),
                  "Name a field that all records have (--leave-out-group), or none");
}

/// Words of each caption in their order, by number of the vocabulary.
std::vector<std::vector<std::int32_t>> caption_words(const fs::path& parsed, const ConceptVocabulary& vocabulary,
                                                     CountOptions forms) {
  std::unordered_map<std::string_view, std::int32_t> number;
  for (std::int64_t i = 0; i < vocabulary.size(); ++i) number.emplace(vocabulary.word(i), static_cast<std::int32_t>(i));
  // What counts was decided when the vocabulary was made.
  forms.objects = forms.attributes = forms.relations = true;
  forms.default_stop = false;
  ConceptCounter counter(forms);
  std::vector<std::vector<std::int32_t>> all;
  for_each_parsed(parsed, [&](const std::string&, const SceneGraph& graph) {
    std::vector<std::int32_t>& words = all.emplace_back();
    for (const std::string& text : counter.concepts_of(graph)) {
      if (const auto found = number.find(text); found != number.end()) words.push_back(found->second);
    }
    std::ranges::sort(words);
    words.erase(std::ranges::unique(words).begin(), words.end());
  });
  return all;
}

struct CaptionedPicture {
  std::string key;
  std::int32_t group = -1;
  std::map<std::int32_t, std::int64_t> named = {};  // words and how many captions have them
  std::int64_t captions = 0;
};

/// Four decimals, as other scores of concepts have.
double rounded_score(double x) { return std::round(x * 1e4) / 1e4; }

}  // namespace

NeighbourTable make_neighbour_table(const fs::path& manifest, const fs::path& parsed,
                                    const ConceptVocabulary& vocabulary, const EmbeddingStore& store,
                                    const std::string& group, const CountOptions& forms) {
  const std::vector<std::vector<std::int32_t>> words = caption_words(parsed, vocabulary, forms);
  NeighbourTable table;
  std::unordered_map<std::string, std::int32_t> group_number;
  std::unordered_map<std::string, std::size_t> number_of_key;
  std::vector<CaptionedPicture> pictures;
  const auto require_belonging = [&](bool right) {
    if (right) return;
    throw DataError(parsed.string(),
                    fmt::format("holds {} captions, others than {} has", words.size(), manifest.string()),
                    "Delete it: the captions are parsed again");
  };
  std::size_t caption = 0;
  RecordReader reader(manifest);
  RecordText text;
  while (reader.next(text)) {
    const GroupedRecord record = reader.parse(text);
    const std::string key = image_of(record, reader);
    const auto [found, fresh] = number_of_key.emplace(key, pictures.size());
    if (fresh) pictures.push_back({.key = key});
    CaptionedPicture& picture = pictures[found->second];
    if (!group.empty()) {
      const auto [known, first] = group_number.emplace(group_of(record, group, reader.where()),
                                                       static_cast<std::int32_t>(table.group_names.size()));
      if (first) table.group_names.push_back(known->first);
      picture.group = known->second;
    }
    const std::size_t captions = captions_of(record, reader).size();
    require_belonging(caption + captions <= words.size());
    for (std::size_t i = 0; i < captions; ++i) {
      for (const std::int32_t word : words[caption++]) ++picture.named[word];
    }
    picture.captions += static_cast<std::int64_t>(captions);
  }
  require_belonging(caption == words.size());
  std::int64_t missing = 0;
  for (const CaptionedPicture& picture : pictures) {
    const auto record = store.find(picture.key);
    missing += !record;
    if (!record) continue;
    table.keys.push_back(picture.key);
    table.contents.push_back(store.content(*record));
    table.groups.push_back(picture.group);
    std::vector<NeighbourWord> named;
    for (const auto& [word, count] : picture.named) {
      named.push_back({word, static_cast<float>(static_cast<double>(count) / static_cast<double>(picture.captions))});
    }
    table.add_words(named);
  }
  if (table.size() < 2) {
    throw DataError(
        store.path().string(),
        fmt::format("holds {} of the {} pictures of {}: there are no neighbours", table.size(), pictures.size(),
                    manifest.string()),
        fmt::format("Embed them: vicha embed {} --tower SPEC --out {}", manifest.string(), store.path().string()));
  }
  if (missing > 0)
    log::warning("{} pictures of {} are not in {}: nobody gets words of theirs", missing, manifest.string(),
                 store.path().string());
  return table;
}

AssignReport assign_by_neighbours(const fs::path& manifest, const fs::path& file, const NeighbourFinder& finder,
                                  const fs::path& out, const AssignOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const EmbeddingStore store = EmbeddingStore::open(file);
  require_same(finder.kit().provenance.weights, "the concepts by neighbours", store.source(), file.string());
  const std::string& field = finder.kit().provenance.neighbours->group;
  const auto where = [&](std::int64_t number) { return fmt::format("{}, record {}", manifest.string(), number); };

  AssignReport report;
  std::vector<std::int64_t> records;
  std::vector<NeighbourQuery> queries;
  std::unordered_map<std::string, std::int64_t> number_of_key;
  std::string first_missing;
  std::int64_t all = 0;
  for_each_record(manifest, [&](const GroupedRecord& record, std::int64_t number) {
    ++all;
    const std::vector<NamedPicture> pictures = pictures_of(record, [&] { return where(number); });
    for (const NamedPicture& picture : pictures) {
      if (store.find(picture.image)) continue;
      if (report.left_out++ == 0) first_missing = fmt::format("\"{}\" of record {}", picture.image, number);
      return;
    }
    for (const NamedPicture& picture : pictures) {
      const auto place = store.find(picture.image);
      const auto [known, fresh] = number_of_key.emplace(picture.image, static_cast<std::int64_t>(records.size()));
      if (!fresh) continue;
      records.push_back(*place);
      NeighbourQuery query{.key = store.key(*place), .content = store.content(*place)};
      if (!field.empty()) query.group = finder.kit().neighbours->group_named(group_of(record, field, where(number)));
      queries.push_back(query);
    }
  });
  const auto allowed =
      std::max(kMissingAllowed, static_cast<std::int64_t>(options.max_missing_share * static_cast<double>(all)));
  if (report.left_out > allowed || (report.left_out > 0 && report.left_out == all)) {
    throw DataError(manifest.string(),
                    fmt::format("{} of {} records name a picture that {} lacks, the first {}", report.left_out, all,
                                file.string(), first_missing),
                    fmt::format("Embed them (vicha embed {} --tower SPEC --out {}), or raise {}", manifest.string(),
                                file.string(), options.share_option));
  }
  report.images = static_cast<std::int64_t>(records.size());
  std::vector<ImageConcepts> found;
  {
    Progress progress("assigning concepts", "pictures", report.images);
    for (std::size_t begin = 0; begin < records.size(); begin += kPicturesAtOnce) {
      const std::size_t n = std::min<std::size_t>(kPicturesAtOnce, records.size() - begin);
      const at::Tensor features = store.rows(std::span(records).subspan(begin, n)).select(1, 0);
      for (ImageConcepts& one : finder.find(features, std::span(queries).subspan(begin, n)))
        found.push_back(std::move(one));
      progress.update(static_cast<std::int64_t>(begin + n));
    }
  }
  std::unordered_set<std::string> used;
  for (const ImageConcepts& one : found) {
    report.without_words += one.words.empty();
    used.insert(one.words.begin(), one.words.end());
  }
  report.words_used = static_cast<std::int64_t>(used.size());
  if (2 * report.without_words > report.images) {
    log::warning("{} of {} pictures get no words{}", report.without_words, report.images,
                 field.empty() ? ": the captions of their neighbours name nothing of the vocabulary"
                               : fmt::format(": most pictures have the same \"{}\", and those are not asked", field));
  }
  report.records =
      rewrite_with_concepts(manifest, out, finder.kit().provenance, [&](GroupedRecord& record, std::int64_t number) {
        const std::vector<NamedPicture> pictures = pictures_of(record, [&] { return where(number); });
        for (const NamedPicture& picture : pictures) {
          if (!store.find(picture.image)) return false;
        }
        for (const NamedPicture& picture : pictures) {
          const ImageConcepts& concepts = found[static_cast<std::size_t>(number_of_key.at(picture.image))];
          GroupedRecord scores = GroupedRecord::array();
          for (const float score : concepts.cosines) scores.push_back(rounded_score(score));
          record["kwords" + picture.suffix] = concepts.words;
          record["kword_scores" + picture.suffix] = std::move(scores);
        }
        return true;
      });
  if (report.left_out > 0) {
    log::warning("{}: {} records left out whose picture {} lacks, the first {}", out.string(), report.left_out,
                 file.string(), first_missing);
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace vicha

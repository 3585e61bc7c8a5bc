#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/printable.h"
#include "cli/commands.h"
#include "cli/input_lines.h"
#include "cli/options.h"
#include "search/contact_sheet.h"
#include "search/picture_list.h"
#include "search/picture_search.h"

namespace vicha::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string line_of(const Json& json) { return json_text(json) + "\n"; }

double rounded(double x) { return std::round(x * 1e6) / 1e6; }

/// One line a hit; with `query`, which many queries are told apart by, one also where nothing is found.
std::string json_lines(const SearchResult& result, const std::string* query) {
  std::string lines;
  if (result.hits.empty() && query != nullptr) {
    lines += line_of({{"query", *query}, {"found", 0}, {"meaning", rounded(result.meaning)}});
  }
  for (std::size_t i = 0; i < result.hits.size(); ++i) {
    const SearchHit& hit = result.hits[i];
    Json json;
    if (query != nullptr) json["query"] = *query;
    json["rank"] = i + 1;
    json["image"] = shown_path(hit.path);
    json["score"] = rounded(hit.score);
    json["probability"] = rounded(hit.probability);
    json["name"] = hit.name;
    json["by"] = hit.matching ? "contrast and matching" : "contrast";
    json["cosine"] = rounded(hit.cosine);
    if (hit.matching) json["matching"] = rounded(*hit.matching);
    if (hit.itself) json["itself"] = true;
    json["duplicates"] = Json::array();
    for (const fs::path& path : hit.duplicates) json["duplicates"].push_back(shown_path(path));
    lines += line_of(json);
  }
  return lines;
}

std::string table(const SearchQuery& query, const SearchResult& result) {
  if (result.hits.empty()) {
    if (result.meaning >= result.least_meaning) {
      return fmt::format("nothing found for {}: the best hit has a probability of {:.3f}\n", printable(query.text),
                         result.best_probability);
    }
    return fmt::format(
        "nothing found for {}: these words seem to mean nothing here (probability that they do: {:.3f}; "
        "--min-probability 0 shows the nearest all the same)\n",
        printable(query.text), result.meaning);
  }
  std::string text =
      fmt::format("{:>4} {:>12} {:>8}  {}\n", "", "probability", result.by_matching ? "score" : "cosine", "picture");
  for (std::size_t i = 0; i < result.hits.size(); ++i) {
    const SearchHit& hit = result.hits[i];
    text += fmt::format("{:>4} {:>12.3f} {:>8.3f}  {}{}{}\n", i + 1, hit.probability, hit.score,
                        printable(shown_path(hit.path)),
                        hit.duplicates.empty() ? "" : fmt::format("  +{} alike", hit.duplicates.size()),
                        hit.itself ? "  (the query itself)" : "");
  }
  return text;
}

struct GivenSearch {
  std::filesystem::path index, html;
  std::string query, model, concept_source;
  ConceptSourceOptions tower;
  SearchOptions options;
  double min_probability = 0;
  bool json = false;
};

/// A line of standard input after the other; what is wrong with one is said in its place.
void search_lines(PictureSearch& search, const GivenSearch& given) {
  InputLines queries(std::cin);
  for (std::string line;;) {
    std::string lines;
    try {
      if (!queries.next(line)) break;
      const SearchQuery query = SearchQuery::parse(line);
      lines = json_lines(search.search(query, given.options), &line);
    } catch (const Error& error) {
      lines = line_of({{"query", line}, {"error", error.what()}});
    }
    print_json(lines);
  }
}

}  // namespace

void add_search(CLI::App& app, Action& chosen) {
  const auto given = std::make_shared<GivenSearch>();
  SearchOptions& options = given->options;
  CLI::App* command = app.add_subcommand("search", "Pictures of an index for words, or pictures like a picture");
  command->add_option("INDEX", given->index, "Folder that `vicha index` made")->required();
  command
      ->add_option("QUERY", given->query,
                   "Words, or the path of a picture (text:… and image:… say which); -: one a line from "
                   "standard input, answered in JSON lines")
      ->required();
  command->add_option("--k", options.k, "Hits")->capture_default_str()->check(between(1, 1e6));
  command->add_flag("--json", given->json, "One JSON object a hit: image, score, probability, …");
  command->add_option("--html", given->html, "Also write a contact sheet: one page with all hits' pictures in it");
  command->add_flag("--all", options.all, "Pictures that are nearly alike one by one, not folded into one hit");
  CLI::Option* least = command
                           ->add_option("--min-probability", given->min_probability,
                                        "Leave out hits below (default: none, but words that mean nothing to the "
                                        "index find nothing)")
                           ->check(between(0, 1));
  command->add_option("--rerank", options.rerank, "Best hits that a model with matching looks at again; 0: none")
      ->capture_default_str()
      ->check(between(0, 1e5));
  command->add_option("--model", given->model, "Where the index's model is now (default: where it was)");
  command->add_option(
      "--concept-source", given->concept_source,
      "Of a model that reads concepts: where their source's weights are now, clip:FILE or vicha:CHECKPOINT");
  add_source_options(*command, given->tower);
  command->callback([given, least, &chosen] {
    chosen = [given, least] {
      if (least->count() > 0) given->options.min_probability = given->min_probability;
      const bool lines = given->query == "-";
      if (lines && !given->html.empty()) throw UsageError("--html is for one query, not for those of standard input");
      SearchQuery query;
      if (!lines) query = SearchQuery::parse(given->query);
      const PictureIndex index(given->index);
      if (given->model.empty()) require_model_of_index(index.description().model, given->index);
      SearchModel model = open_search_model(given->model.empty() ? index.description().model : given->model,
                                            given->tower, given->concept_source);
      PictureSearch search(index, model);
      if (lines) {
        search_lines(search, *given);
        return 0;
      }
      const SearchResult result = search.search(query, given->options);
      if (given->json) {
        print_json(json_lines(result, nullptr));
        if (result.hits.empty()) log::info("nothing found");
      } else {
        print(table(query, result));
      }
      log::debug("searched {} pictures in {:.1f} ms", index.rows(), result.milliseconds);
      if (!given->html.empty()) {
        write_file_atomic(
            given->html,
            contact_sheet(query, result, {given->index.string(), index.rows(), index.calibration().describe()}));
        log::info("contact sheet: {}", given->html.string());
      }
      return 0;
    };
  });
}

}  // namespace vicha::cli

// What the model finds: captions with their best images, images with their best captions.
#include <fmt/format.h>

#include <algorithm>

#include "report/page_images.h"
#include "report/sections.h"

namespace vicha {
namespace {

constexpr std::size_t kImagesShown = 5, kCaptionsShown = 5;

bool contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

std::string place_text(std::int64_t rank) {
  if (rank <= 0) return "no right answer in the set";
  return rank == 1 ? "right at once" : fmt::format("right answer at place {}", rank);
}

void write_place(Html& html, std::int64_t rank) {
  html.leaf("span", {{"class", rank >= 1 && rank <= 10 ? "place good" : "place"}}, place_text(rank));
}

/// How many of the answers are shown, and whether a right one is among them.
std::pair<std::size_t, bool> shown(const RetrievalExample& example, std::size_t most) {
  const std::size_t count = std::min(example.best.size(), most);
  const bool hit = std::any_of(example.best.begin(), example.best.begin() + static_cast<std::ptrdiff_t>(count),
                               [&](const std::string& answer) { return contains(example.right, answer); });
  return {count, hit};
}

void image_answer(Html& html, Thumbnails& thumbnails, const std::string& path, std::string_view kind,
                  const std::string& tag) {
  const auto item = html.element("li", {{"class", std::string(kind)}});
  thumbnails.draw(html, path, std::filesystem::path(path).filename().string());
  html.leaf("span", {{"class", "tag"}}, tag);
}

void write_text_query(Html& html, Thumbnails& thumbnails, const RetrievalExample& example) {
  const auto article = html.element("article", {{"class", "query"}});
  {
    const auto ask = html.element("p", {{"class", "ask"}});
    html.leaf("q", {}, example.query);
    write_place(html, example.rank);
  }
  const auto list = html.element("ul", {{"class", "pictures"}});
  const auto [count, hit] = shown(example, kImagesShown);
  for (std::size_t i = 0; i < count; ++i) {
    const bool right = contains(example.right, example.best[i]);
    image_answer(html, thumbnails, example.best[i], right ? "right" : "",
                 fmt::format("{}{}", right ? "✓ " : "", i + 1));
  }
  if (!hit && !example.right.empty()) image_answer(html, thumbnails, example.right.front(), "wanted", "wanted");
}

void write_image_query(Html& html, Thumbnails& thumbnails, const RetrievalExample& example) {
  const auto article = html.element("article", {{"class", "query picture"}});
  thumbnails.draw(html, example.query, "Query picture " + std::filesystem::path(example.query).filename().string());
  const auto answers = html.element("div");
  {
    const auto ask = html.element("p", {{"class", "ask"}});
    write_place(html, example.rank);
  }
  const auto [count, hit] = shown(example, kCaptionsShown);
  {
    const auto list = html.element("ol", {{"class", "captions"}});
    for (std::size_t i = 0; i < count; ++i) {
      const bool right = contains(example.right, example.best[i]);
      html.leaf("li", {{"class", right ? "right" : ""}}, (right ? "✓ " : "") + example.best[i]);
    }
  }
  if (!hit && !example.right.empty()) html.leaf("p", {{"class", "wanted"}}, "wanted: " + example.right.front());
}

}  // namespace

void write_gallery(Html& html, const ReportData& data) {
  const auto section = html.element("section", {{"id", "gallery"}});
  html.leaf("h2", {}, "What it finds");
  if (!data.retrieval.value) {
    write_absence(html, data.retrieval.problem);
    return;
  }
  const RunRetrieval& result = *data.retrieval.value;
  if (result.text_queries.empty() && result.image_queries.empty()) {
    write_absence(html, "The evaluation kept no examples.");
    return;
  }
  Thumbnails thumbnails({data.run, std::filesystem::path(result.manifest).parent_path()});
  html.leaf(
      "p", {},
      "Queries spread evenly over the set, not picked. Right answers carry a tick and a frame; where none is among "
      "the first, what was wanted stands at the end.");
  if (!result.text_queries.empty()) {
    html.leaf("h3", {}, "Pictures for a sentence");
    const auto grid = html.element("div", {{"class", "queries"}});
    for (const RetrievalExample& example : result.text_queries) write_text_query(html, thumbnails, example);
  }
  if (!result.image_queries.empty()) {
    html.leaf("h3", {}, "Sentences for a picture");
    const auto grid = html.element("div", {{"class", "queries"}});
    for (const RetrievalExample& example : result.image_queries) write_image_query(html, thumbnails, example);
  }
}

}  // namespace vicha

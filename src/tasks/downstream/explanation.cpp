#include "tasks/downstream/explanation.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/file_guard.h"
#include "base/files.h"
#include "base/printable.h"
#include "image/decode.h"
#include "image/draw.h"
#include "image/resize.h"

namespace vicha {
namespace {

constexpr int kExplainCell = 224, kExplainGap = 14, kExplainCaption = 26, kExplainColumns = 5, kExplainTitle = 40;
/// Of a title: what fits beside each other, by a generous width of a letter.
constexpr int kExplainLetter = 9;
constexpr std::size_t kMostOfWord = 16;  ///< bytes beside its share
constexpr Color kChosenBox = {230, 40, 40}, kOtherBox = {90, 90, 90};

std::string xml_text(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// Lines of at most `letters`, cut between words where that is possible.
std::vector<std::string> lines_of(const std::string& text, std::size_t letters) {
  std::vector<std::string> lines(1);
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > letters) lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
    at = end + 1;
  }
  return lines;
}

/// Shortened to what a cell holds; on a border of characters.
std::string fitting(const std::string& text, std::size_t letters) {
  if (text.size() <= letters) return text;
  std::size_t end = letters - 1;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

struct DrawnLine {
  int x, y, size;
  std::string text;
  bool bold = false;
};

void write_lines(Image& sheet, const std::vector<DrawnLine>& lines) {
  std::string svg = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="{}"><g font-family="sans-serif" fill="#202124">)",
      sheet.width, sheet.height);
  for (const DrawnLine& line : lines) {
    svg += fmt::format(R"(<text x="{}" y="{}" font-size="{}"{}>{}</text>)", line.x, line.y, line.size,
                       line.bold ? R"( font-weight="bold")" : "", xml_text(line.text));
  }
  paste(sheet, render_svg(svg + "</g></svg>", sheet.width, sheet.height, "explanation"), 0, 0);
}

/// A picture as its cell shows it, and how much smaller that is.
struct CellPicture {
  Image image;
  double scale = 1;
};

CellPicture shrunk(const Image& picture) {
  const double scale = static_cast<double>(kExplainCell) / std::max(picture.width, picture.height);
  const auto side = [&](int pixels) { return std::max(1, static_cast<int>(std::lround(pixels * scale))); };
  return {resize_bicubic(picture, side(picture.width), side(picture.height)), scale};
}

void draw_boxes(Image& image, const std::vector<DrawnBox>& boxes, double scale, bool chosen_alone) {
  for (const bool chosen : {false, true}) {  // the chosen ones on top
    for (const DrawnBox& drawn : boxes) {
      if (drawn.chosen != chosen || (chosen_alone && !chosen)) continue;
      const auto at = [&](double pixels) { return static_cast<int>(std::lround(pixels * scale)); };
      const Box box{at(drawn.box.x), at(drawn.box.y), std::max(1, at(drawn.box.width)),
                    std::max(1, at(drawn.box.height))};
      draw_rectangle(image, box, chosen ? kChosenBox : kOtherBox, chosen ? 3 : 1);
    }
  }
}

/// Less than 0 counts as nothing, so that overlays of words show where they look alone.
std::vector<float> heat_of(const at::Tensor& map_HW) {
  const at::Tensor heat = map_HW.to(at::kCPU, at::kFloat).clamp_min(0).contiguous();
  return {heat.const_data_ptr<float>(), heat.const_data_ptr<float>() + heat.numel()};
}

double strength_of(const at::Tensor& map_HW) { return map_HW.to(at::kFloat).clamp_min(0).sum().item<double>(); }

/// Each map has the whole range of colours, so how much there is of it stands beside the word. `all`: of all words.
std::string caption_of(const WordMap& word, double all) {
  if (word.word.empty()) return "whole text";
  if (!(all > 0)) return word.word;
  return fmt::format("{} ({:.0f} %)", fitting(word.word, kMostOfWord), 100 * strength_of(word.map_HW) / all);
}

}  // namespace

void write_explanation(const std::filesystem::path& file, const Explanation& explanation) {
  GuardedOutput guard(file);  // before the pictures are read, so that none of them is written over
  constexpr int kExplainWidth = kExplainColumns * (kExplainCell + kExplainGap) + kExplainGap;
  const std::vector<std::string> title =
      lines_of(explanation.title, (kExplainWidth - 2 * kExplainGap) / (kExplainLetter + 2));
  struct Cell {
    Image image;
    std::string caption;
  };
  std::vector<std::vector<Cell>> blocks;  // of each picture
  for (const Explanation::Picture& picture : explanation.pictures) {
    const CellPicture small = shrunk(load_rgb(picture.file));
    std::vector<Cell>& cells = blocks.emplace_back();
    cells.push_back({small.image, picture.file.filename().string()});
    draw_boxes(cells.back().image, picture.boxes, small.scale, /*chosen_alone=*/false);
    double all_words = 0;
    for (const WordMap& word : picture.maps) all_words += word.word.empty() ? 0 : strength_of(word.map_HW);
    for (const WordMap& word : picture.maps) {
      const auto rows = static_cast<int>(word.map_HW.size(0)), columns = static_cast<int>(word.map_HW.size(1));
      Image heated = heat_overlay(small.image, heat_of(word.map_HW), rows, columns, /*opacity=*/0.5);
      draw_boxes(heated, picture.boxes, small.scale, /*chosen_alone=*/true);
      cells.push_back({std::move(heated), caption_of(word, all_words)});
    }
    for (const DrawnBox& box : picture.boxes) {
      if (!box.label.empty() && box.chosen) cells.front().caption = box.label;
    }
  }

  const int top = kExplainGap + kExplainTitle * (explanation.title.empty() ? 0 : static_cast<int>(title.size()));
  int height = top;
  std::vector<int> block_rows;
  for (const auto& cells : blocks) {
    // A row is as high as pictures of this shape are.
    int tallest = 0;
    for (const Cell& cell : cells) tallest = std::max(tallest, cell.image.height);
    block_rows.push_back(tallest + kExplainCaption + kExplainGap);
    height += block_rows.back() * ((static_cast<int>(cells.size()) + kExplainColumns - 1) / kExplainColumns);
  }
  Image sheet(kExplainWidth, height, 3);
  std::ranges::fill(sheet.pixels, std::uint8_t{255});
  std::vector<DrawnLine> lines;
  if (!explanation.title.empty()) {
    for (std::size_t i = 0; i < title.size(); ++i) {
      lines.push_back({kExplainGap, kExplainGap + 24 + kExplainTitle * static_cast<int>(i), 20, title[i], true});
    }
  }
  int y = top;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    for (std::size_t i = 0; i < blocks[b].size(); ++i) {
      if (i > 0 && i % kExplainColumns == 0) y += block_rows[b];
      const int x = kExplainGap + static_cast<int>(i % kExplainColumns) * (kExplainCell + kExplainGap);
      const Cell& cell = blocks[b][i];
      paste(sheet, cell.image, x, y);
      lines.push_back({x, y + cell.image.height + 18, 15, fitting(cell.caption, kExplainCell / kExplainLetter)});
    }
    y += block_rows[b];
  }
  write_lines(sheet, lines);
  write_file_atomic(file, encode_png(sheet));
  guard.done();
}

}  // namespace vicha

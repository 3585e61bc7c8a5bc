#include "report/distribution_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "report/chart_axis.h"
#include "report/html.h"

namespace vicha {
namespace {

// Plain colours: not every program that draws SVG knows custom properties.
constexpr std::string_view kPlotStyle = R"(
svg text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: #57606a; }
svg .title { font-size: 15px; fill: #1c2128; }
svg .ground { fill: #ffffff; } svg .kept { fill: #0072b2; } svg .rest { fill: #c9d1d9; }
svg .grid { stroke: #d8dee4; } svg .mark { stroke: #1c2128; stroke-dasharray: 4 3; }
svg .middle { text-anchor: middle; } svg .end { text-anchor: end; }
@media (prefers-color-scheme: dark) {
  svg text { fill: #9ba6b1; } svg .title { fill: #e4e9ee; }
  svg .ground { fill: #0f1318; } svg .kept { fill: #56b4e9; } svg .rest { fill: #3d4753; }
  svg .grid { stroke: #2d3640; } svg .mark { stroke: #e4e9ee; }
}
)";
constexpr std::string_view kPlotPageStyle = R"(
:root { color-scheme: light dark; }
body { margin: 24px auto; max-width: 760px; padding: 0 16px; font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; }
svg { width: 100%; height: auto; }
table { border-collapse: collapse; } td, th { padding: 2px 12px; text-align: right; border-bottom: 1px solid #8886; }
@media (prefers-color-scheme: dark) { body { background: #0f1318; color: #e4e9ee; } }
)";

class DistributionPlot {
 public:
  DistributionPlot(Html& html, const Distribution& distribution) : html_(html), d_(distribution) {
    for (const Distribution::Bin& bin : d_.bins) most_ = std::max(most_, bin.count);
  }

  void draw(const std::string& title) {
    const auto svg = html_.element("svg", {{"xmlns", "http://www.w3.org/2000/svg"},
                                           {"viewBox", fmt::format("0 0 {} {}", kWidth, kHeight)},
                                           {"role", "img"},
                                           {"aria-label", title}});
    {
      const auto style = html_.element("style");
      html_.raw(kPlotStyle);
    }
    html_.empty("rect", {{"class", "ground"}, {"width", number(kWidth)}, {"height", number(kHeight)}});
    text(kLeft, 20, "title", title);
    counts();
    bars();
    similarities();
  }

 private:
  static constexpr double kWidth = 720, kHeight = 360, kLeft = 70, kRight = 20, kTop = 44, kBottom = 46;
  static constexpr int kCounts = 6;

  static std::string number(double value) { return fmt::format("{:.6g}", value); }
  double x(double similarity) const {
    const double range = d_.width * static_cast<double>(std::max<std::size_t>(1, d_.bins.size()));
    return kLeft + (similarity - d_.low) / range * (kWidth - kLeft - kRight);
  }
  double y(double count) const {
    return kHeight - kBottom - count / static_cast<double>(most_) * (kHeight - kTop - kBottom);
  }

  void text(double at_x, double at_y, const char* look, const std::string& words) {
    html_.leaf("text", {{"x", number(at_x)}, {"y", number(at_y)}, {"class", look}}, words);
  }
  void line(const char* look, double x1, double y1, double x2, double y2) {
    html_.empty("line",
                {{"class", look}, {"x1", number(x1)}, {"y1", number(y1)}, {"x2", number(x2)}, {"y2", number(y2)}});
  }

  void counts() {
    for (const double count : Axis(0, static_cast<double>(most_), false, false).ticks(kCounts)) {
      if (count != std::floor(count)) continue;  // there is no half a pair
      line("grid", kLeft, y(count), kWidth - kRight, y(count));
      text(kLeft - 6, y(count) + 4, "end", fmt::format("{:.0f}", count));
    }
  }

  void bars() {
    for (std::size_t i = 0; i < d_.bins.size(); ++i) {
      const double low = d_.low + static_cast<double>(i) * d_.width;
      const Distribution::Bin& bin = d_.bins[i];
      const auto bar = html_.element("g");
      html_.leaf("title", {},
                 fmt::format("{:.4g} to {:.4g}: {} pairs, {} kept", low, low + d_.width, bin.count, bin.kept));
      const double from = x(low) + 0.5, width = std::max(0.5, x(low + d_.width) - x(low) - 1);
      const auto rect = [&](const char* look, double below, double above) {
        html_.empty("rect", {{"class", look},
                             {"x", number(from)},
                             {"width", number(width)},
                             {"y", number(y(above))},
                             {"height", number(y(below) - y(above))}});
      };
      rect("kept", 0, static_cast<double>(bin.kept));
      rect("rest", static_cast<double>(bin.kept), static_cast<double>(bin.count));
    }
  }

  void similarities() {
    const std::size_t every = std::max<std::size_t>(1, (d_.bins.size() + 9) / 10);
    for (std::size_t i = 0; i <= d_.bins.size(); i += every) {
      const double similarity = d_.low + static_cast<double>(i) * d_.width;
      text(x(similarity), kHeight - kBottom + 18, "middle", fmt::format("{:.4g}", std::round(similarity * 1e6) / 1e6));
    }
    text((kLeft + kWidth - kRight) / 2, kHeight - 8, "middle",
         fmt::format("cosine of picture and caption; {} pairs, {} kept (blue)", d_.count, d_.kept));
    const double median = d_.quantiles[4];
    line("mark", x(median), kTop - 6, x(median), kHeight - kBottom);
    text(x(median), kTop - 10, "middle", fmt::format("median {:.4f}", median));
  }

  Html& html_;
  const Distribution& d_;
  std::int64_t most_ = 1;
};

void draw_quantiles(Html& html, const Distribution& d) {
  const auto table = html.element("table");
  const auto row = [&html](const std::string& name, double value) {
    const auto tr = html.element("tr");
    html.leaf("th", {}, name);
    html.leaf("td", {}, fmt::format("{:.4f}", value));
  };
  row("lowest", d.lowest);
  for (std::size_t i = 0; i < d.quantiles.size(); ++i) {
    row(fmt::format("{:.0f} % below", 100 * Distribution::kShares[i]), d.quantiles[i]);
  }
  row("highest", d.highest);
  row("mean", d.mean);
}

}  // namespace

void check_plot_name(const std::filesystem::path& file) {
  if (file.extension() != ".html" && file.extension() != ".svg") {
    throw UsageError("--plot " + file.string() + ": name a file that ends with .html or .svg");
  }
}

void write_plot(const Distribution& distribution, const std::string& title, const std::filesystem::path& file) {
  check_plot_name(file);
  Html html;
  if (file.extension() == ".svg") {
    DistributionPlot(html, distribution).draw(title);
  } else {
    html.raw("<!DOCTYPE html>\n");
    const auto page = html.element("html", {{"lang", "en"}});
    {
      const auto head = html.element("head");
      html.empty("meta", {{"charset", "utf-8"}});
      html.leaf("title", {}, title);
      const auto style = html.element("style");
      html.raw(kPlotPageStyle);
    }
    const auto body = html.element("body");
    DistributionPlot(html, distribution).draw(title);
    draw_quantiles(html, distribution);
  }
  write_file_atomic(file, html.str());
}

}  // namespace vicha

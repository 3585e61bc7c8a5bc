#include "report/report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "image/decode.h"
#include "report/report_test_support.h"
#include "report/run_folder.h"
#include "train/metrics.h"

namespace vicha {
namespace {

using nlohmann::json;
using report_testing::Page;
using report_testing::parse_page;

constexpr const char* kHostile = "a <script>alert('x')</script> & \"cat\" \xFF\xC3 → 😀";

json recalls(double r1, double r5, double r10) { return {{"r1", r1}, {"r5", r5}, {"r10", r10}}; }
json both(json t2i, json i2t) { return {{"text_to_image", std::move(t2i)}, {"image_to_text", std::move(i2t)}}; }

std::string decoded(std::string_view base64) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : base64) {
    if (c == '=') break;
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) throw std::runtime_error("not base64");
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    if ((count += 6) >= 8) out += static_cast<char>(bits >> (count -= 8) & 255);
  }
  return out;
}

class ReportTest : public testing::Test {
 protected:
  void SetUp() override {
    run_ = fs::temp_directory_path() / ("vicha_report_test_" + std::to_string(getpid()));
    fs::remove_all(run_);
    fs::create_directories(run_);
  }
  void TearDown() override { fs::remove_all(run_); }

  void write_metrics(std::int64_t steps) {
    MetricsFile file(run_ / "metrics.jsonl", 0);
    Rng rng(3);
    for (std::int64_t step = 1; step <= steps; ++step) {
      const double share = static_cast<double>(step) / static_cast<double>(steps);
      StepRecord record{.step = step, .epoch = step / 100, .lr = 1e-3 * (1 - share)};
      const double itc = 6 - 3 * share + 0.1 * rng.normal(), itm = 0.7 - 0.2 * share;
      record.losses = {{"total", share > 0.5 ? itc + itm : itc}, {"itc", itc}};
      if (share > 0.5) record.losses.emplace_back("itm", itm);
      record.measures = {{"temperature", 0.07}, {"grad_norm", step == 5 ? std::nan("") : 2.0 + rng.uniform()}};
      record.samples_per_s = 200 + 5 * rng.normal();
      record.seconds = static_cast<double>(step) * 1.5;
      record.data_wait = 0.01;
      record.skipped = 7;
      file.write(record);
    }
  }

  std::string write_image(const std::string& name, std::uint8_t red) {
    Image image(200, 150, 3);
    for (std::size_t i = 0; i < image.pixels.size(); i += 3) image.pixels[i] = red;
    write_file_atomic(run_ / name, encode_png(image));
    return (run_ / name).string();
  }

  json evaluation() {
    const std::string right = write_image("a <b>.png", 200), wrong = write_image("wrong.png", 10),
                      lost = "lost/gone.png";
    const std::string broken = (run_ / "broken.png").string();
    write_file_atomic(broken, "no picture");
    json out = both(recalls(4.25, 11.5, 17.125), recalls(7.5, 17.5, 24));
    out["chance"] = both(recalls(0.0812, 0.406, 0.81), recalls(0.09, 0.45, 0.9));
    out["itc"] = both(recalls(3, 9, 15), recalls(6, 15, 22));
    out["matching"] = both(recalls(4.25, 11.5, 17.125), recalls(7.5, 17.5, 24));
    out["joint"] = both(recalls(5.625, 12, 18), recalls(8, 18, 25));
    out.update({{"images", 1231}, {"captions", 1300}, {"k_test", 64}, {"pairs", 78784}, {"seconds", 12.5}});
    out.update({{"manifest", "data/demo/test.json"}, {"checkpoint", "runs/demo/checkpoints/step-000040"}});
    // A text that is not UTF-8 cannot come out of JSON; the replacement stands in for it.
    const std::string hostile = json::parse(json(kHostile).dump(-1, ' ', false, json::error_handler_t::replace));
    out["text_queries"] = {{{"query", hostile}, {"best", {wrong, right, lost}}, {"right", {right}}, {"rank", 2}},
                           {{"query", "far"}, {"best", {broken}}, {"right", {right}}, {"rank", 57}}};
    out["image_queries"] = {{{"query", right}, {"best", {"other", hostile}}, {"right", {hostile}}, {"rank", 2}},
                            {{"query", lost}, {"best", {"p", "q"}}, {"right", {"the right one"}}, {"rank", 300}}};
    return out;
  }

  Page report() {
    const fs::path page = write_report({.run = run_, .device = "cpu"});
    EXPECT_EQ(page, run_ / "report.html");
    html_ = read_file(page);
    return parse_page(html_);
  }

  static bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  fs::path run_;
  std::string html_;
};

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no DataError";
}

TEST_F(ReportTest, PageIsWellFormedSelfContainedAndComplete) {
  write_metrics(300);
  write_file_atomic(run_ / "eval.json", evaluation().dump());
  std::string along;
  for (const int step : {100, 200, 300}) {
    json line = both(recalls(step / 100.0, step / 50.0, step / 25.0), recalls(1, 2, 3));
    line.update({{"step", step}, {"manifest", "val.json"}, {"itc", both(recalls(1, 2, 3), recalls(1, 2, 3))}});
    along += line.dump() + "\n";
  }
  write_file_atomic(run_ / "evaluations.jsonl", along);
  const Page page = report();

  // Losses, learning rate, throughput, waiting, two measures; then the evaluations both ways.
  EXPECT_EQ(page.all("svg").size(), 3u + 3 + 2 + 2);
  for (const char* text : {"ITC: image–text contrast",
                           "ITM: image–text matching",
                           "Learning rate",
                           "Throughput",
                           "Grad norm",
                           "+ itm",
                           "Temperature",
                           "4.2",
                           "17.1",
                           "24.0",
                           "0.08",
                           "15.0",
                           "R@10",
                           "ITC, then ITM of the 64 best",
                           "ITC alone",
                           "Chance",
                           "7 min 30 s",
                           "1\u202F231 pictures",
                           "7 samples skipped",
                           "right answer at place 57",
                           "wanted: the right one"}) {
    EXPECT_TRUE(contains(page.text, text)) << text;
  }

  // Nothing is loaded from elsewhere: the only addresses are images in the page itself.
  for (const Page::Element& element : page.elements) {
    for (const auto& [name, value] : element.attributes) {
      EXPECT_FALSE(name.starts_with("on")) << name;
      EXPECT_TRUE(name != "href" && name != "srcset" && name != "action") << name;
      EXPECT_TRUE(name != "src" || value.starts_with("data:image/")) << value;
    }
    EXPECT_TRUE(element.tag != "link" && element.tag != "iframe" && element.tag != "object") << element.tag;
  }
  EXPECT_FALSE(contains(html_, "://"));
  EXPECT_FALSE(contains(page.all("style")[0]->text, "url("));
  EXPECT_FALSE(contains(page.all("style")[0]->text, "@import"));

  // Every image decodes, shrunk to what is shown.
  const auto images = page.all("img");
  ASSERT_EQ(images.size(), 4u);  // wrong, right, right as what was wanted, right as a query
  for (const Page::Element* element : images) {
    const std::string& uri = element->attributes.at("src");
    const std::string bytes = decoded(uri.substr(uri.find(',') + 1));
    const Image image = decode_rgb({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, "inlined");
    EXPECT_EQ(image.width, 144);
    EXPECT_EQ(image.height, 108);
  }
  ASSERT_EQ(page.all("span", "missing").size(), 3u);
  EXPECT_TRUE(contains(page.text, "gone.png\n not found"));
  EXPECT_TRUE(contains(page.text, "broken.png\n not readable"));
  EXPECT_EQ(page.all("li", "right").size(), 2u);
  EXPECT_EQ(page.all("li", "wanted").size(), 1u);
  EXPECT_EQ(page.all("p", "wanted").size(), 1u);
}

TEST_F(ReportTest, TheRankingThatWasAskedForStandsFirst) {
  write_metrics(20);
  const std::string matching = "ITC, then ITM of the 64 best", both = "ITC and ITM of the 64 best together";
  write_file_atomic(run_ / "eval.json", evaluation().dump());
  const Page paper = report();
  EXPECT_LT(paper.text.find(matching), paper.text.find(both));
  EXPECT_TRUE(contains(paper.text, "5.6"));
  json joint = evaluation();
  joint["ranking"] = "joint";
  joint.update(joint["joint"]);
  write_file_atomic(run_ / "eval.json", joint.dump());
  const Page page = report();
  EXPECT_LT(page.text.find(both), page.text.find(matching));
  EXPECT_TRUE(contains(page.text, "17.1"));
}

TEST_F(ReportTest, OtherRunsStandBesideIt) {
  write_metrics(20);
  write_file_atomic(run_ / "eval.json", evaluation().dump());
  json other = evaluation();
  other["itc"] = both(recalls(2, 8, 13), recalls(6, 15, 22));
  write_file_atomic(run_ / "without" / "eval.json", other.dump());
  const fs::path file = write_report({.run = run_, .device = "cpu", .compare = {{"without <b>", {run_ / "without"}}}});
  const Page page = parse_page(read_file(file));
  EXPECT_TRUE(contains(page.text, "Beside other runs"));
  EXPECT_TRUE(contains(page.text, "without <b>"));
  EXPECT_TRUE(contains(page.text, "-2.0"));  // ITC alone, R@10, less this run
  // The run itself comes first, unless it is in a group.
  const fs::path grouped = write_report({.run = run_,
                                         .device = "cpu",
                                         .output = run_ / "grouped.html",
                                         .compare = {{"both", {run_, run_ / "without"}}, {"one", {run_ / "without"}}}});
  const Page groups = parse_page(read_file(grouped));
  EXPECT_TRUE(contains(groups.text, "both, 2 runs"));
  EXPECT_TRUE(contains(groups.text, "14.0 ± 1.4"));
  EXPECT_TRUE(contains(message_of([&] {
                         write_report({.run = run_, .device = "cpu", .compare = {{"none", {run_ / "none"}}}});
                       }),
                       "is not there"));
}

TEST_F(ReportTest, CaptionsCannotWriteIntoThePage) {
  write_metrics(20);
  write_file_atomic(run_ / "eval.json", evaluation().dump());
  const Page page = report();
  EXPECT_EQ(page.all("script").size(), 1u);
  EXPECT_FALSE(contains(html_, "alert('x')"));
  ASSERT_EQ(page.all("q").size(), 2u);
  EXPECT_TRUE(contains(page.all("q")[0]->text, "<script>alert('x')</script> & \"cat\""));
  EXPECT_TRUE(contains(page.all("q")[0]->text, "→ 😀"));
}

TEST_F(ReportTest, MissingPartsSayWhatMakesThem) {
  write_metrics(20);
  const Page page = report();
  EXPECT_TRUE(contains(page.text, "vicha eval retrieval " + run_.string() + " MANIFEST --out"));
  EXPECT_TRUE(contains(page.text, "eval.manifest"));
  EXPECT_TRUE(contains(page.text, "The run has no checkpoint: vicha pretrain RECIPE --out"));
  EXPECT_EQ(page.all("img").size(), 0u);
}

TEST_F(ReportTest, DamagedPartsAreNamedOnThePage) {
  write_metrics(20);
  json evaluation = both(recalls(1, 2, 3), recalls(1, 2, 3));
  evaluation["image_to_text"].erase("r5");
  write_file_atomic(run_ / "eval.json", evaluation.dump());
  write_file_atomic(run_ / "evaluations.jsonl", "{\"step\": 1}\n");
  const Page page = report();
  EXPECT_TRUE(contains(page.text, "eval.json, image_to_text: the field 'r5' is missing"));
  EXPECT_TRUE(contains(page.text, "evaluations.jsonl, line 1: the field 'image_to_text' is missing"));
}

TEST_F(ReportTest, NoRunNoReport) {
  EXPECT_TRUE(contains(message_of([&] { report(); }), "metrics.jsonl: is missing"));
  EXPECT_TRUE(contains(message_of([&] { write_report({.run = run_ / "none"}); }), "is not a folder"));
  write_file_atomic(run_ / "metrics.jsonl", "");
  EXPECT_TRUE(contains(message_of([&] { report(); }), "holds no step"));
  EXPECT_FALSE(fs::exists(run_ / "report.html"));
}

TEST_F(ReportTest, UnknownDeviceIsAUsageError) {
  write_metrics(2);
  EXPECT_THROW(write_report({.run = run_, .device = "abacus"}), UsageError);
}

TEST_F(ReportTest, WritesWhereItIsTold) {
  write_metrics(2);
  const fs::path page = run_ / "pages" / "one.html";
  EXPECT_EQ(write_report({.run = run_, .device = "cpu", .output = page}), page);
  EXPECT_NO_THROW(parse_page(read_file(page)));
  EXPECT_FALSE(fs::exists(run_ / "report.html"));
}

TEST_F(ReportTest, MetricsAreReadAsTheyWereWritten) {
  write_metrics(30);
  const RunMetrics metrics = read_run_metrics(run_ / "metrics.jsonl");
  EXPECT_EQ(metrics.steps, 30);
  EXPECT_EQ(metrics.skipped, 7);
  EXPECT_DOUBLE_EQ(metrics.seconds, 45);
  ASSERT_EQ(metrics.losses.size(), 3u);
  EXPECT_EQ(metrics.losses[0].first, "total");
  EXPECT_EQ(metrics.losses[2].second.size(), 15u);
  EXPECT_EQ(metrics.losses[2].second.front().x, 16);
  EXPECT_EQ(metrics.measures[1].second.size(), 29u);  // without the NaN
}

TEST_F(ReportTest, MetricsMayEndInHalfALineButNotHoldOne) {
  const fs::path file = run_ / "metrics.jsonl";
  write_metrics(3);
  const std::string whole = read_file(file);
  write_file_atomic(file, whole + "{\"step\": 4, \"los");
  EXPECT_EQ(read_run_metrics(file).steps, 3);
  write_file_atomic(file, "{\"step\": 0, \"los\n" + whole);
  EXPECT_TRUE(contains(message_of([&] { read_run_metrics(file); }), "metrics.jsonl, line 1: is not a JSON object"));
  write_file_atomic(file, whole + whole);
  EXPECT_TRUE(contains(message_of([&] { read_run_metrics(file); }), "line 4: step 1 comes after step 3"));
  write_file_atomic(file, "{\"step\": 1, \"losses\": 3}\n");
  EXPECT_TRUE(contains(message_of([&] { read_run_metrics(file); }), "line 1: the field 'losses' is not an object"));
}

TEST_F(ReportTest, FiguresOfAnyTaskAreRead) {
  write_file_atomic(run_ / "eval.json", R"({"accuracy": 87.5, "classes": {"red": 50, "note": "x"}, "list": [1],
                                           "manifest": "test.json"})");
  EXPECT_FALSE(holds_retrieval(run_ / "eval.json"));
  const RunFigures found = read_run_figures(run_ / "eval.json");
  ASSERT_EQ(found.figures.size(), 2U);
  EXPECT_EQ(*found.find("accuracy"), 87.5);
  EXPECT_EQ(*found.find("classes.red"), 50.0);
  EXPECT_EQ(found.find("classes.note"), nullptr);
  EXPECT_EQ(found.manifest, "test.json");

  write_file_atomic(run_ / "evaluations.jsonl",
                    "{\"step\": 2, \"a\": 1}\n{\"step\": 1, \"a\": 2}\n{\"step\": 2, \"a\": 3}\n");
  const auto along = read_run_figures_along(run_ / "evaluations.jsonl");
  ASSERT_EQ(along.size(), 2U);
  EXPECT_EQ(*along[1].found.find("a"), 3.0);
  write_file_atomic(run_ / "eval.json", "[]");
  EXPECT_TRUE(contains(message_of([&] { read_run_figures(run_ / "eval.json"); }), "is not a JSON object"));
}

TEST_F(ReportTest, LaterEvaluationOfAStepCounts) {
  const fs::path file = run_ / "evaluations.jsonl";
  std::string lines;
  for (const auto& [step, r1] : {std::pair{10, 1.0}, {20, 2.0}, {10, 3.0}}) {
    json line = both(recalls(r1, 0, 0), recalls(0, 0, 0));
    line["step"] = step;
    lines += line.dump() + "\n";
  }
  write_file_atomic(file, lines);
  const std::vector<RunEvaluation> evaluations = read_run_evaluations(file);
  ASSERT_EQ(evaluations.size(), 2u);
  EXPECT_EQ(evaluations[0].reranked.image.r1, 3.0);
  EXPECT_EQ(evaluations[1].step, 20);
}

}  // namespace
}  // namespace vicha

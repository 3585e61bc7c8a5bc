#include "data/tools/answer_list.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"

namespace vicha {
namespace {

class AnswerLists : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("vicha_answers_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path write(const std::string& name, const std::string& text) const {
    write_file_atomic(folder_ / name, text);
    return folder_ / name;
  }
  static std::string refused(const auto& call) {
    try {
      call();
    } catch (const DataError& error) {
      return error.what();
    }
    return "nothing was refused";
  }
  fs::path folder_;
};

TEST_F(AnswerLists, CountsWhatPeopleHaveAnswered) {
  const fs::path a = write("a.json", R"([{"image": "1.jpg", "answer": ["yes", "yes", "no", " "]},
                                         {"image": "2.jpg", "answer": "two"}])");
  const fs::path b = write("b.jsonl", R"({"image": "3.jpg", "answer": ["no", "blue", "two"]})");
  const fs::path out = folder_ / "list.json";
  AnswerListReport report = make_answer_list({a, b}, 1, out);
  EXPECT_EQ(read_answer_list(out), (std::vector<std::string>{"no", "two", "yes", "blue"}));
  EXPECT_EQ(report.records, 3);
  EXPECT_EQ(report.given, 7);
  EXPECT_EQ(report.covered, 7);
  report = make_answer_list({a, b}, 2, out);
  EXPECT_EQ(read_answer_list(out), (std::vector<std::string>{"no", "two", "yes"}));
  EXPECT_EQ(report.distinct, 4);
  EXPECT_EQ(report.kept, 3);
  EXPECT_EQ(report.covered, 6);
  EXPECT_NE(refused([&] { make_answer_list({a}, 9, folder_ / "none.json"); }).find("\"yes\""), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "none.json"));
}

TEST_F(AnswerLists, RefusesWhatIsNone) {
  for (const auto& [text, says] : std::vector<std::pair<std::string, std::string>>{{R"({"yes": 1})", "not a JSON list"},
                                                                                   {"[]", "without answers"},
                                                                                   {R"(["yes", 2])", "answer 1"},
                                                                                   {R"(["yes", "\t"])", "blank"},
                                                                                   {"[\"yes\"", "not a JSON list"}}) {
    const fs::path file = write("list.json", text);
    EXPECT_NE(refused([&] { read_answer_list(file); }).find(says), std::string::npos) << text;
  }
  EXPECT_EQ(read_answer_list(write("list.json", R"(["yes", "no", "yes"])")).size(), 2U);
}

}  // namespace
}  // namespace vicha

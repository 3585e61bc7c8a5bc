#include "tasks/vqa/network/answer_paths.h"

#include <map>

#include "base/error.h"

namespace vicha {

AnswerPaths::AnswerPaths(std::vector<std::vector<std::int64_t>> answers) : answers_(std::move(answers)) {
  VICHA_ASSERT(!answers_.empty());
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> number_of;  // by (the beginning before, token)
  for (const std::vector<std::int64_t>& tokens : answers_) {
    VICHA_ASSERT(tokens.size() >= 2 && tokens.front() == start_id());
    std::vector<std::int64_t> path;
    for (std::size_t i = 1; i + 1 < tokens.size(); ++i) {
      const std::int64_t before = path.empty() ? -1 : path.back();
      const auto [at, is_new] = number_of.try_emplace({before, tokens[i]}, beginnings_);
      beginnings_ += is_new;
      path.push_back(at->second);
    }
    paths_.push_back(std::move(path));
  }
}

}  // namespace vicha

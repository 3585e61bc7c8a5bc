#include "tasks/vqa/network/generate_answers.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/error.h"
#include "tasks/vqa/network/answer_prefixes.h"

namespace vicha {
namespace {

constexpr double kImpossible = -std::numeric_limits<double>::infinity();

/// A beginning that the search goes on with.
struct Beam {
  std::int64_t beginning = -1;  ///< its number among the AnswerPrefixes; set once it has been read
  std::int64_t before = -1;     ///< that of what it continues
  std::int64_t last = 0;        ///< its last token
  double log_prob = 0;
  std::vector<std::int64_t> ids = {};  ///< without [CLS]
};

struct BeamSearch {
  std::vector<Beam> beams;
  GeneratedAnswer best{.ids = {}, .log_prob = kImpossible, .finished = false};

  /// What goes on can only become less likely.
  bool done() const { return beams.empty() || (best.finished && best.log_prob >= beams.front().log_prob); }
};

struct Continuation {
  std::size_t beam;
  std::int64_t token;
  double log_prob;
};

/// The likeliest continuations of all beams of a question, the best first: one more than goes on, for one may end.
class Continuations {
 public:
  Continuations(const AnswerDecoder& decoder, const at::Tensor& states, bool first, std::int64_t count) {
    at::Tensor logp = decoder.logits(states).log_softmax(1);
    const TextOptions& text = decoder.options();
    for (const std::int64_t id : {text.pad_id, text.cls_id, text.mask_id}) logp.select(1, id).fill_(kImpossible);
    if (first) logp.select(1, text.sep_id).fill_(kImpossible);
    width_ = std::min(count, logp.size(1));
    std::tie(values_, tokens_) = logp.topk(width_, 1);
    values_ = values_.cpu().contiguous();
    tokens_ = tokens_.cpu().contiguous();
  }

  /// Nothing where a probability is NaN.
  std::optional<std::vector<Continuation>> of(const std::vector<Beam>& beams, std::int64_t first_row) const {
    std::vector<Continuation> all;
    for (std::size_t b = 0; b < beams.size(); ++b) {
      const std::int64_t at = (first_row + static_cast<std::int64_t>(b)) * width_;
      for (std::int64_t i = at; i < at + width_; ++i) {
        const double p = values_.const_data_ptr<float>()[i];
        if (std::isnan(p)) return std::nullopt;
        if (p != kImpossible) {
          all.push_back({b, tokens_.const_data_ptr<std::int64_t>()[i], beams[b].log_prob + p});
        }
      }
    }
    std::sort(all.begin(), all.end(), [](const Continuation& a, const Continuation& b) {
      if (a.log_prob != b.log_prob) return a.log_prob > b.log_prob;
      return a.beam != b.beam ? a.beam < b.beam : a.token < b.token;
    });
    return all;
  }

 private:
  std::int64_t width_ = 0;
  at::Tensor values_, tokens_;
};

/// The beams that go on; what ends within the best `count` may be the answer.
void go_on(BeamSearch& search, const std::vector<Continuation>& all, std::int64_t count, std::int64_t sep_id) {
  std::vector<Beam> next;
  for (std::size_t i = 0; i < all.size() && static_cast<std::int64_t>(next.size()) < count; ++i) {
    const Beam& from = search.beams[all[i].beam];
    if (all[i].token != sep_id) {
      Beam beam{.before = from.beginning, .last = all[i].token, .log_prob = all[i].log_prob, .ids = from.ids};
      beam.ids.push_back(all[i].token);
      next.push_back(std::move(beam));
    } else if (static_cast<std::int64_t>(i) < count && all[i].log_prob > search.best.log_prob) {
      search.best = {from.ids, all[i].log_prob, true};
    }
  }
  search.beams = std::move(next);
}

}  // namespace

std::vector<GeneratedAnswer> generate_answers(const AnswerDecoder& decoder, const QuestionStates& questions,
                                              const GenerateOptions& options) {
  VICHA_ASSERT(options.beams > 0 && options.max_tokens > 0);
  const at::NoGradGuard guard;
  AnswerPrefixes prefixes(decoder, questions);
  std::vector<BeamSearch> searches(static_cast<std::size_t>(questions.size()));
  for (BeamSearch& search : searches) search.beams = {{.last = decoder.options().cls_id}};
  // [CLS] stands at position 0, and the last token before [SEP] at max_tokens.
  const std::int64_t longest = std::min(options.max_tokens, decoder.options().max_positions - 1);
  for (std::int64_t length = 0; length <= longest; ++length) {
    std::vector<AnswerPrefixes::Token> tokens;
    for (std::size_t q = 0; q < searches.size(); ++q) {
      if (searches[q].done()) continue;
      for (Beam& beam : searches[q].beams) {
        beam.beginning = prefixes.count() + static_cast<std::int64_t>(tokens.size());
        tokens.push_back({static_cast<std::int64_t>(q), beam.before, beam.last});
      }
    }
    if (tokens.empty()) break;
    const at::Tensor states = prefixes.extend(tokens);
    const Continuations continuations(decoder, states, length == 0, options.beams + 1);
    std::int64_t row = 0;
    for (BeamSearch& search : searches) {
      if (search.done()) continue;
      const auto rows = static_cast<std::int64_t>(search.beams.size());
      const std::optional<std::vector<Continuation>> found = continuations.of(search.beams, row);
      row += rows;
      if (!found) {
        search.best = {{}, std::numeric_limits<double>::quiet_NaN(), false};
        search.beams.clear();
        continue;
      }
      const std::vector<Continuation>& all = *found;
      if (length < longest) {
        go_on(search, all, options.beams, decoder.options().sep_id);
        continue;
      }
      // No room for another token: what may still end does.
      if (!search.best.finished) search.best = {search.beams.front().ids, search.beams.front().log_prob, false};
      for (const Continuation& c : all) {
        if (c.token != decoder.options().sep_id || (search.best.finished && c.log_prob <= search.best.log_prob)) {
          continue;
        }
        search.best = {search.beams[c.beam].ids, c.log_prob, true};
      }
      search.beams.clear();
    }
  }
  std::vector<GeneratedAnswer> answers;
  for (BeamSearch& search : searches) answers.push_back(std::move(search.best));
  return answers;
}

}  // namespace vicha

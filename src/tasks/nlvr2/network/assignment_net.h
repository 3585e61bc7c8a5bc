// Text assignment, which precedes NLVR2: of two pictures, which one a text belongs to, or neither (method, section
// 5.3). B pictures, each with a text of its own.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/random.h"
#include "models/vicha.h"
#include "tasks/nlvr2/network/picture_pairs.h"

namespace vicha {

/// Of each text: the pictures that it is shown with, and what is right.
struct Assignment {
  enum Label : std::int64_t { kFirst, kSecond, kNeither };  ///< whose text it is
  std::vector<std::int64_t> first, second, labels;          ///< B each
};

class AssignmentDraws {
 public:
  virtual ~AssignmentDraws() = default;
  /// `weights_BB` fp32: how likely picture j stands in for a wrong one of text i; 0 for those that must not.
  virtual Assignment draw(const at::Tensor& weights_BB) = 0;
};

/// With probability 1/3 two different pictures from the text's row (kNeither); otherwise one, and by a fair coin the
/// text's own picture stands first or second. A row without weight draws uniformly among the other pictures; where a
/// batch has no two others, none of its texts is shown without its own.
class RandomAssignment : public AssignmentDraws {
 public:
  explicit RandomAssignment(Rng& rng) : rng_(rng) {}
  Assignment draw(const at::Tensor& weights_BB) override;

 private:
  Rng& rng_;
};

class AssignmentNet {
 public:
  /// Registers "ta_head." in the model, which outlives this. Throws UsageError as require_two_images does.
  explicit AssignmentNet(Vicha& model);

  struct Input {
    at::Tensor pictures;  ///< as patch_rows takes them, on the model's device
    Tokens concepts;      ///< undefined where the model has none
    Tokens texts;
    at::Tensor image_ids;  ///< (B), equal for the same picture, which never stands in for itself; may be undefined
  };
  struct Step {
    at::Tensor loss, logits;  ///< (B, 3)
    at::Tensor weights;       ///< (B, B), what was drawn by
    Assignment assignment;
  };
  Step step(const Input& input, AssignmentDraws& draws, const Dropout& dropout) const;

 private:
  const Vicha& model_;
  Linear head_;
};

}  // namespace vicha

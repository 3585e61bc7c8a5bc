// Visual reasoning over two pictures (NLVR2): records {"images": [a, b], "sentence", "label": "True" | "False"} with
// `kwords1` and `kwords2`; or with a field for each picture, "image" and "image2" beside `kwords` and `kwords2`.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tasks/downstream/downstream_recipe.h"
#include "tasks/host/task_kind.h"
#include "tasks/nlvr2/network/nlvr2_net.h"

namespace vicha {

struct Nlvr2Options {
  TeacherVit teacher_vit = TeacherVit::kMomentum;

  void describe(Visitor& v);
};

class Nlvr2Recipe : public DownstreamRecipe {
 public:
  Nlvr2Options nlvr;

  /// Two pictures; concepts are not cut before the model's positions end.
  Nlvr2Recipe();
  void describe(Visitor& v);
  void finish() override;
};

class Nlvr2Model : public TaskModel {
 public:
  Nlvr2Model(const Nlvr2Recipe& recipe, std::uint64_t seed);
  bool trains_fusion() const override { return true; }
  /// Of a model with one picture each fusion layer stands there for both.
  void adapt_weights(StateDict& weights, const std::string& file) const override;
  const Nlvr2Net& net() const { return net_; }

 private:
  Nlvr2Net net_;
};

/// "nlvr2".
TaskKind nlvr2_kind();

}  // namespace vicha

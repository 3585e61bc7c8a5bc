// The teacher of the objective `teach`: an aligned model's vectors of the training set's pictures and captions, from
// stores or embedded into the run's folder at the start.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "data/pipeline/loader.h"
#include "distributed/group.h"
#include "objectives/teach.h"

namespace vicha {

/// Width of the teacher's vectors, as its stores or the teacher itself say. Throws DataError if the stores are of
/// different teachers.
std::int64_t teacher_width(const TeachOptions& options, const std::string& device);

/// What teacher_targets needs of a run that begins.
struct TeacherSetup {
  const TeachOptions& options;
  const DataOptions& data;  ///< the training set
  std::shared_ptr<const Manifest> manifest;
  const SampleText& text;
  std::filesystem::path out;  ///< of the run: teach-pictures.emb and teach-captions.emb
  std::string device;
  const Group& group;  ///< its writer embeds
};
/// Adds TeacherFeatures to batches. Throws DataError naming the first picture or caption that a store has no vector of,
/// how many there are and what adds them; nothing is left out. Nor is a store of vectors taken, unless
/// teach.trust_names, whose pictures are not the files that it was made of.
TargetMaker teacher_targets(const TeacherSetup& setup);

}  // namespace vicha

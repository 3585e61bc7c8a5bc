// `vicha ablate`: a lab's runs, one after the other, and the table of what they found.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace vicha {

struct LabCommand {
  std::filesystem::path lab, out;
  bool resume = true;  ///< go on where it was; false: everything anew
  std::string device = "auto";
};

struct LabResult {
  std::int64_t runs = 0;    ///< that the lab has
  std::int64_t failed = 0;  ///< of them
  bool stopped = false;     ///< a signal ended it early: the same command goes on
  std::string table;        ///< for a terminal
};

/// Trains and evaluates what OUT does not have yet, each run in OUT/runs/ROW-seedN, a run's folder as `vicha pretrain`
/// leaves it; writes OUT/table.json and OUT/table.html after each. A run that fails is told of in its row
/// and stops no other. Runs whose recipe, budget or data are others than when they were made are done again, those that
/// would only be evaluated otherwise are evaluated again; what no row needs any more stays where it is. Throws
/// DataError or UsageError, before anything is trained, if the lab itself is wrong or a row's recipe is refused, Error
/// if OUT cannot be written.
LabResult run_lab(const LabCommand& command);

struct LabListing {
  std::string text;      ///< the runs, their steps and how far they are, for a terminal
  std::string refusals;  ///< of recipes, for which run_lab would throw, one a line; "" where there are none
};
/// Writes nothing.
LabListing list_lab(const LabCommand& command);

}  // namespace vicha

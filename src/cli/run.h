// The whole program behind its command line. A program of your own adds kinds of objectives and tasks, then calls this
// (docs/adding.md).
#pragma once

namespace vicha::cli {

/// Runs the command that the arguments say; returns the exit status (docs/design.md, decision 8).
int run(int argc, char** argv);

}  // namespace vicha::cli

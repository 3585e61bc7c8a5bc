#include "cli/run.h"

int main(int argc, char** argv) { return vicha::cli::run(argc, argv); }

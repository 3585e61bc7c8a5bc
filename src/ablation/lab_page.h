// The page of a lab: plots of every measure, differences, curves over axes, the table. It holds all it shows.
#pragma once

#include <string>

#include "ablation/lab_table.h"

namespace vicha {

std::string lab_page(const LabTable& table);

}  // namespace vicha

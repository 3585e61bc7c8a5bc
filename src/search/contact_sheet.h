// A search's hits on one page to look at: one HTML file, with its pictures in it and nothing from elsewhere.
#pragma once

#include <string>
#include <vector>

#include "search/picture_search.h"

namespace vicha {

struct SheetContext {
  std::string index;          ///< its folder, as it was named
  std::int64_t pictures = 0;  ///< in it
  std::string calibrated_by;  ///< Calibration::describe
};

/// Pictures that cannot be read are a box that says so.
std::string contact_sheet(const SearchQuery& query, const SearchResult& result, const SheetContext& context);

}  // namespace vicha

// The distribution of similarities as an image, for `vicha data filter`.
#pragma once

#include <filesystem>
#include <string>

#include "concepts/match/distribution.h"

namespace vicha {

/// An SVG file, or (suffix .html) a page with it and the table of quantiles. Throws UsageError for other suffixes.
void check_plot_name(const std::filesystem::path& file);
void write_plot(const Distribution& distribution, const std::string& title, const std::filesystem::path& file);

}  // namespace vicha

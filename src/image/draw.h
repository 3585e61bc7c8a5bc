// Small images for reports: sheets, heat maps, boxes, masks. All work on RGB.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "image/image.h"

namespace vicha {

using Color = std::array<std::uint8_t, 3>;
inline constexpr Color kWhite = {255, 255, 255};
inline constexpr Color kMidGrey = {128, 128, 128};

/// From 0 (dark blue) over green to 1 (yellow), evenly brighter: close to matplotlib's "viridis". Values outside are
/// cut off, NaN counts as 0.
Color heat_color(double value);

/// Puts `image` (RGB or RGBA) onto `ground` (RGB), its corner at (x, y); what sticks out is cut off. Alpha blends as
/// Pillow's `paste` with a mask.
void paste(Image& ground, const Image& image, int x, int y);

/// Images (RGB or RGBA) row by row in cells of `cell` x `cell` pixels, each shrunk or enlarged to fit its cell and
/// centred in it, `gap` pixels around and between. At least one image and one column.
Image contact_sheet(std::span<const Image> images, int columns, int cell, int gap = 4, const Color& ground = kWhite);

/// `heat` [rows, columns] (row-major; finite values count), stretched to 0 … 1 by its own smallest and largest value,
/// enlarged bilinearly over the image and mixed into it with the given opacity.
Image heat_overlay(const Image& image, std::span<const float> heat, int rows, int columns, double opacity = 0.6);

/// The outline of `box`, `thickness` pixels inwards; may stick out of the image.
void draw_rectangle(Image& image, const Box& box, const Color& color, int thickness = 2);

/// Covers the patches whose `hidden` entry [rows, columns] is not 0. A patch is width / columns by height / rows.
void cover_patches(Image& image, std::span<const std::uint8_t> hidden, int rows, int columns,
                   const Color& color = kMidGrey);

}  // namespace vicha

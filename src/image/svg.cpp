// SVG by librsvg and cairo.
#include <fmt/format.h>
#include <librsvg/rsvg.h>

#include <cstring>
#include <memory>
#include <string>

#include "base/error.h"
#include "image/decode.h"

namespace vicha {
namespace {

constexpr int kMaxSide = 16384;

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};

[[noreturn]] void fail(std::string_view name, std::string_view what) {
  throw DataError(name, what, "Replace the drawing or take it out of the list");
}

/// Throws, with librsvg's own words, and releases them.
[[noreturn]] void fail(std::string_view name, std::string_view what, GError* error) {
  const std::unique_ptr<GError, FreeWith<g_error_free>> owned(error);
  std::string reason = error != nullptr ? error->message : "no reason given";
  reason.erase(reason.find_last_not_of(" .\r\n") + 1);
  fail(name, fmt::format("{}: {}", what, reason));
}

struct Size {
  double width = 0, height = 0;
};

/// The drawing's natural size, found as rsvg-convert does: width and height, else the viewBox, else what is
/// drawn.
Size natural_size(RsvgHandle* svg, std::string_view name) {
  Size size;
  if (rsvg_handle_get_intrinsic_size_in_pixels(svg, &size.width, &size.height) != 0) return size;
  gboolean has_width = 0, has_height = 0, has_box = 0;
  RsvgLength ignored{};
  RsvgRectangle box{}, ink{};
  rsvg_handle_get_intrinsic_dimensions(svg, &has_width, &ignored, &has_height, &ignored, &has_box, &box);
  if (has_box != 0) return {box.width, box.height};
  GError* error = nullptr;
  if (rsvg_handle_get_geometry_for_element(svg, nullptr, &ink, nullptr, &error) == 0) {
    fail(name, "the drawing's size cannot be found", error);
  }
  return {ink.width, ink.height};
}

/// Cairo's premultiplied native-endian ARGB to RGBA, rounded as cairo does when it writes a PNG.
Image to_image(cairo_surface_t* surface) {
  cairo_surface_flush(surface);
  const int width = cairo_image_surface_get_width(surface), height = cairo_image_surface_get_height(surface);
  const int stride = cairo_image_surface_get_stride(surface);
  Image image(width, height, 4);
  for (int y = 0; y < height; ++y) {
    const unsigned char* in = cairo_image_surface_get_data(surface) + static_cast<std::size_t>(stride) * y;
    std::uint8_t* out = image.row(y);
    for (int x = 0; x < width; ++x, in += 4, out += 4) {
      std::uint32_t pixel = 0;
      std::memcpy(&pixel, in, sizeof pixel);
      const std::uint32_t alpha = pixel >> 24;
      if (alpha == 0) continue;
      for (int c = 0; c < 3; ++c) {
        out[c] = static_cast<std::uint8_t>(((pixel >> (16 - 8 * c) & 0xff) * 255 + alpha / 2) / alpha);
      }
      out[3] = static_cast<std::uint8_t>(alpha);
    }
  }
  return image;
}

}  // namespace

Image render_svg(std::string_view svg, int width, int height, std::string_view name) {
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide) {
    throw UsageError(fmt::format("an SVG cannot be drawn at {} x {} pixels (1 to {})", width, height, kMaxSide));
  }
  if (svg.empty()) fail(name, "the file is empty");
  GError* error = nullptr;
  // Given as data without a base address, a drawing cannot refer to any file or server: librsvg then loads `data:`
  // only. Its limits on elements and nesting stay on.
  const std::unique_ptr<RsvgHandle, FreeWith<g_object_unref>> handle(
      rsvg_handle_new_from_data(reinterpret_cast<const guint8*>(svg.data()), svg.size(), &error));
  if (handle == nullptr) fail(name, "not a readable SVG", error);
  const Size size = natural_size(handle.get(), name);
  if (!(size.width > 0) || !(size.height > 0)) fail(name, "the drawing has no size");

  const std::unique_ptr<cairo_surface_t, FreeWith<cairo_surface_destroy>> surface(
      cairo_image_surface_create(CAIRO_FORMAT_ARGB32, width, height));
  const std::unique_ptr<cairo_t, FreeWith<cairo_destroy>> context(cairo_create(surface.get()));
  // The drawing fills its own size; both axes are then stretched independently to the requested size.
  cairo_scale(context.get(), width / size.width, height / size.height);
  const RsvgRectangle viewport{0, 0, size.width, size.height};
  if (rsvg_handle_render_document(handle.get(), context.get(), &viewport, &error) == 0) {
    fail(name, "the drawing cannot be drawn", error);
  }
  if (cairo_status(context.get()) != CAIRO_STATUS_SUCCESS) {
    fail(name, fmt::format("the drawing cannot be drawn: {}", cairo_status_to_string(cairo_status(context.get()))));
  }
  return to_image(surface.get());
}

}  // namespace vicha

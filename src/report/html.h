// Writing HTML and SVG that is well-formed by construction: elements close themselves, all text is escaped.
//
//   Html page;
//   {
//     const auto section = page.element("section", {{"id", "curves"}});
//     page.leaf("h2", {}, "Curves");
//     page.empty("img", {{"src", data_uri("image/png", bytes)}, {"alt", caption}});
//   }
//   page.str();
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vicha {

/// For text and for attributes in double quotes: the five special characters as entities; bytes that are not UTF-8 and
/// control characters (but tab and line feed) as U+FFFD.
std::string escape_html(std::string_view text);

/// "data:<type>;base64,…".
std::string data_uri(std::string_view type, std::string_view bytes);

class Html {
 public:
  using Attributes = std::vector<std::pair<std::string_view, std::string>>;

  /// An open element; its end tag is written when this goes out of scope.
  class [[nodiscard]] Element {
   public:
    Element(Html& html, std::string_view tag) : html_(html), tag_(tag) {}
    ~Element();
    Element(const Element&) = delete;
    Element& operator=(const Element&) = delete;

   private:
    Html& html_;
    std::string_view tag_;
  };

  /// `tag` and the attributes' names are literals of this program; values are escaped.
  Element element(std::string_view tag, const Attributes& attributes = {});
  void leaf(std::string_view tag, const Attributes& attributes, std::string_view text);
  /// An element that can hold nothing: "<img … />".
  void empty(std::string_view tag, const Attributes& attributes);
  void text(std::string_view text) { out_ += escape_html(text); }
  /// Markup as it is: only for parts of the program itself (style sheet, script).
  void raw(std::string_view markup) { out_ += markup; }

  const std::string& str() const { return out_; }

 private:
  void start(std::string_view tag, const Attributes& attributes, std::string_view end);

  std::string out_;
};

}  // namespace vicha

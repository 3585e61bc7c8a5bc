// Captions of any bytes to scene graphs, by the rules alone and with the link grammar.
#include <array>

#include "fuzz.h"
#include "text/cleaning/label.h"
#include "text/scene_graph/scene_graph.h"

namespace {

using namespace vicha;

std::array<SceneGraphParser, 2>& parsers() {
  static std::array<SceneGraphParser, 2> both = {
      {SceneGraphParser({.links = LinkUse::kNever}), SceneGraphParser({.links = LinkUse::kAlways})}};
  return both;
}

}  // namespace

extern "C" void vicha_fuzz_prepare() { parsers(); }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of({data, size});
  for (SceneGraphParser& parser : parsers()) {
    const SceneGraph graph = parser.parse(text);
    for (const std::string& object : graph.objects) {
      fuzz::require(!object.empty() && cleaning::is_utf8(object), "an object is a word");
    }
    for (const auto& [object, attribute] : graph.attributes) {
      fuzz::require(!object.empty() && !attribute.empty(), "an attribute is a word");
    }
    fuzz::require(parser.parse(text) == graph, "the same text gives the same graph");
  }
  return 0;
}

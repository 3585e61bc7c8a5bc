// Captions of any bytes to scene graphs, by the rules alone and with the link grammar.
#include "fuzz.h"
#include "text/cleaning/label.h"
#include "text/scene_graph/scene_graph.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  static SceneGraphParser rules({.links = LinkUse::kNever}), links({.links = LinkUse::kAlways});
  const std::string_view text = fuzz::text_of({data, size});
  for (SceneGraphParser* parser : {&rules, &links}) {
    const SceneGraph graph = parser->parse(text);
    for (const std::string& object : graph.objects) {
      fuzz::require(!object.empty() && cleaning::is_utf8(object), "an object is a word");
    }
    for (const auto& [object, attribute] : graph.attributes) {
      fuzz::require(!object.empty() && !attribute.empty(), "an attribute is a word");
    }
    fuzz::require(parser->parse(text) == graph, "the same text gives the same graph");
  }
  return 0;
}

// Files of captions, and what was parsed of captions before: counted, gone on with.
#include "concepts/parse/parse_captions.h"
#include "concepts/vocabulary/count_concepts.h"
#include "data/tools/titles.h"
#include "fuzz.h"

namespace {

using namespace vicha;

constexpr std::string_view kCaptions = "a dog on a beach\ntwo cats\n";
const SceneGraphOptions kRules{.links = LinkUse::kNever};
const ParseOptions kParse{.graph = kRules, .threads = 1};

/// A run that finds the file where a killed one would have left its lines ends with the right file, or refuses it.
void go_on(const fuzz::ScratchFolder& folder, std::string_view file) {
  static const std::string parser = [&] {
    folder.write("captions.txt", kCaptions);
    parse_captions({folder / "captions.txt"}, folder / "parsed.jsonl", kParse);
    return folder.read("parsed.jsonl.parser.json");
  }();
  folder.write("captions.txt", kCaptions);
  folder.write("parsed.jsonl", file);
  folder.write("parsed.jsonl.parser.json", parser);
  if (fuzz::accepted([&] { parse_captions({folder / "captions.txt"}, folder / "parsed.jsonl", kParse); })) {
    std::int64_t lines = 0;
    for (const char c : folder.read("parsed.jsonl")) lines += c == '\n';
    fuzz::require(lines == 2, "a run that went on has a line for each caption");
  } else {
    fuzz::require(folder.read("parsed.jsonl") == file, "a file that is refused stays as it is");
  }
}

}  // namespace

extern "C" void vicha_fuzz_prepare() { static const SceneGraphParser keeps_dictionary(kRules); }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::ScratchFolder folder;
  const std::string_view text = fuzz::text_of({data, size});
  go_on(folder, text);
  for (const char* name : {"in.txt", "in.json", "in.jsonl"}) {
    const std::filesystem::path file = folder.write(name, text);
    fuzz::accepted([&] { for_each_caption({file}, [](const std::string&) {}); });
    const std::filesystem::path inputs[] = {file};
    fuzz::accepted([&] { count_concepts(inputs, {.threads = 1, .scene_graphs = kRules}); });
  }
  folder.clear();
  return 0;
}

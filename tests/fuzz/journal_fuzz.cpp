// Journals of commands that were killed: read as far as they are of use, gone on with.
#include <vector>

#include "data/tools/journal.h"
#include "data/tools/titles.h"
#include "fuzz.h"

namespace {

using namespace vicha;

constexpr std::string_view kHeading = "fuzz 1", kManifest = R"([{"image": "a.jpg", "caption": "a dog on a beach"},
{"image": "b.jpg", "caption": ["two cats", "a brown horse"]}])";

std::vector<std::string> lines_of(Journal& journal) {
  std::vector<std::string> lines;
  for (std::string line; journal.next(line);) lines.push_back(line);
  return lines;
}

void append(const std::filesystem::path& file) {
  std::vector<std::string> lines;
  {
    Journal journal(file, kHeading);
    lines = lines_of(journal);
    journal.add("added");
    journal.flush();
  }
  lines.emplace_back("added");
  Journal journal(file, kHeading);
  fuzz::require(lines_of(journal) == lines, "a journal that was gone on with has the lines before and the new one");
}

}  // namespace

extern "C" void vicha_fuzz_prepare() { static const SceneGraphParser keeps_dictionary({.links = LinkUse::kNever}); }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::ScratchFolder folder;
  const std::string_view text = fuzz::text_of({data, size});
  append(folder.write("journal", text));
  // The same bytes behind the heading that a command looks for: its result must not depend on a journal.
  static const std::string heading = [] {
    const std::filesystem::path manifest = folder.write("in.json", kManifest);
    std::string first;
    add_titles(manifest, folder / "out.json",
               {.parser = {.links = LinkUse::kNever}, .threads = 1, .progress = [&](std::int64_t) {
                  if (first.empty()) first = folder.read("out.json.partial");
                }});
    return first.substr(0, first.find('\n') + 1);
  }();
  const std::filesystem::path manifest = folder.write("in.json", kManifest);
  folder.write("out.json.partial", heading + std::string(text));
  if (fuzz::accepted(
          [&] { add_titles(manifest, folder / "out.json", {.parser = {.links = LinkUse::kNever}, .threads = 1}); })) {
    fuzz::require(exists(folder / "out.json"), "a command that was done has its output");
  }
  folder.clear();
  return 0;
}

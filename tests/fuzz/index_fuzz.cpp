// The parts of an index that are text: index.json, a line of files.jsonl, the list, calibration.json.
#include <string>
#include <vector>

#include "fuzz.h"
#include "search/calibration.h"
#include "search/index_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vicha;
  static fuzz::MemoryFile file;
  const std::string_view text = fuzz::text_of({data, size});
  file.write(text);

  IndexedFile line;
  if (fuzz::accepted([&] { line = indexed_file_from_json(text, "files.jsonl, line 1"); })) {
    const IndexedFile again = indexed_file_from_json(line.to_json(), "files.jsonl, line 1");
    fuzz::require(again.name == line.name && again.content == line.content && again.size == line.size &&
                      again.modified == line.modified && again.row == line.row,
                  "a line reads back the same");
  }
  std::vector<IndexedFile> lines;
  fuzz::accepted([&] { lines = read_indexed_files(file.path()); });

  IndexDescription description;
  if (fuzz::accepted([&] { description = read_description(file.path()); })) description.to_json();

  Calibration calibration;
  if (fuzz::accepted([&] { calibration = calibration_from_json(text, "calibration.json"); })) {
    calibration_from_json(calibration.to_json(), "calibration.json");
    calibration.describe();
    for (const double cosine : {-1.0, 0.3, 1.0}) {
      const double probability = calibration.text_probability({cosine, 2.0, 0.5});
      fuzz::require(!(probability < 0) && !(probability > 1), "a probability is no less than 0 and no more than 1");
      calibration.picture_probability(cosine);
    }
  }
  return 0;
}

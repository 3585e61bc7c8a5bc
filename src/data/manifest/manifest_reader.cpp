#include "data/manifest/manifest_reader.h"

#include <optional>

#include "data/manifest/manifest_events.h"
#include "data/manifest/picture_lists.h"

namespace vicha {

void read_manifest(const std::filesystem::path& file, const Schema& schema,
                   const std::function<void(const ManifestRecord&)>& on_record, const ProblemHandler& on_problem) {
  bool empty = true;
  RecordReader reader(file, [&](const ManifestProblem& problem) {
    empty = false;
    on_problem(problem);
  });
  ManifestEvents events(schema, reader, on_problem);
  RecordText text;
  while (reader.next(text)) {
    empty = false;
    if (const std::optional<RecordText> apart = with_pictures_apart(text, schema, reader, on_problem)) {
      const ManifestRecord* record = apart->json.empty() ? nullptr : events.read(*apart);
      if (record == nullptr) continue;
      ManifestRecord as_in_file = *record;
      as_in_file.length = text.json.size();
      on_record(as_in_file);
    } else if (const ManifestRecord* record = events.read(text)) {
      on_record(*record);
    }
  }
  if (empty) on_problem({file.string(), 0, "", "holds no records", "Fill it, or leave it out of data.manifests"});
}

}  // namespace vicha

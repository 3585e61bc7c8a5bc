#include "data/manifest/manifest_reader.h"

#include "data/manifest/manifest_events.h"

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
    if (const ManifestRecord* record = events.read(text)) on_record(*record);
  }
  if (empty) on_problem({file.string(), 0, "", "holds no records", "Fill it, or leave it out of data.manifests"});
}

}  // namespace vicha

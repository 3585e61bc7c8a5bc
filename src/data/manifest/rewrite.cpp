#include "data/manifest/rewrite.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "data/manifest/json_members.h"
#include "data/manifest/not_numbers.h"
#include "data/manifest/record_reader.h"

namespace vicha {

namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 18;  // collected before they are written

/// Whether the text is that value, as RecordReader::parse reads it.
bool says(std::string_view text, const nlohmann::ordered_json& value) {
  return value_without_not_numbers(text) == value;
}

}  // namespace

bool out_in_lines(const fs::path& in, const fs::path& out, bool in_lines) {
  const std::string from = in.extension().string(), to = out.extension().string();
  if (from == to) return in_lines;
  if (to == ".jsonl") return true;
  return to == ".json" && from == ".jsonl" ? false : in_lines;
}

void add_record(ManifestWriter& writer, const RecordText& text) {
  if (text.json.find('\n') == std::string::npos) {
    writer.add_text(text.json);
  } else {
    writer.add_text(without_space(text.json));
  }
}

void add_changed(ManifestWriter& writer, std::string_view text, const nlohmann::ordered_json& record) {
  const std::vector<JsonMember> before = json_members(text);
  std::string json = "{";
  for (const auto& [key, value] : record.items()) {
    if (json.size() > 1) json += ',';
    (json += json_text(nlohmann::ordered_json(key))) += ':';
    const auto same =
        std::ranges::find_if(before, [&](const JsonMember& one) { return one.key == key && says(one.value, value); });
    json += same == before.end() ? json_text(value) : without_space(same->value);
  }
  writer.add_text(json += '}');
}

struct ManifestWriter::Impl {
  Impl(const fs::path& out, bool in_lines) : file(out), lines(in_lines) {}

  AtomicFile file;
  bool lines;
  bool finished = false;
  std::int64_t records = 0;
  std::string piece;
};

ManifestWriter::ManifestWriter(const fs::path& out) : ManifestWriter(out, out.extension() == ".jsonl") {}

ManifestWriter::ManifestWriter(const fs::path& out, bool lines) : impl_(std::make_unique<Impl>(out, lines)) {}

ManifestWriter::~ManifestWriter() = default;

void ManifestWriter::add(const nlohmann::ordered_json& record) { add_text(json_text(record)); }

void ManifestWriter::add_text(std::string_view json) {
  VICHA_ASSERT(!impl_->finished);
  if (!impl_->lines) impl_->piece += impl_->records == 0 ? "[\n" : ",\n";
  impl_->piece += json;
  if (impl_->lines) impl_->piece += '\n';
  ++impl_->records;
  if (impl_->piece.size() < kPieceBytes) return;
  impl_->file.append(impl_->piece);
  impl_->piece.clear();
}

std::int64_t ManifestWriter::size() const { return impl_->records; }

void ManifestWriter::finish() {
  VICHA_ASSERT(!impl_->finished);
  impl_->finished = true;
  if (!impl_->lines) impl_->piece += impl_->records == 0 ? "[]\n" : "\n]\n";
  impl_->file.append(impl_->piece);
  impl_->file.commit();
}

std::int64_t rewrite_manifest(const fs::path& in, const fs::path& out,
                              const std::function<bool(nlohmann::ordered_json& record, std::int64_t number)>& edit) {
  RecordReader reader(in);
  ManifestWriter writer(out, out_in_lines(in, out, reader.lines()));
  RecordText text;
  while (reader.next(text)) {
    const nlohmann::ordered_json before = reader.parse(text);
    nlohmann::ordered_json record = before;
    if (!edit(record, text.number)) continue;
    if (record == before) {
      add_record(writer, text);
    } else {
      add_changed(writer, text.json, record);
    }
  }
  writer.finish();
  return writer.size();
}

void for_each_record(const fs::path& in,
                     const std::function<void(const nlohmann::ordered_json& record, std::int64_t number)>& see) {
  RecordReader reader(in);
  RecordText text;
  while (reader.next(text)) see(reader.parse(text), text.number);
}

}  // namespace vicha

#include "data/manifest/column.h"

#include <cstring>

#include "base/error.h"

namespace vicha {
namespace {

/// Appends the bytes of numbers as they stand in memory; `take_floats` reads them back.
void append_floats(std::string& entry, const float* from, std::size_t count) {
  entry.append(reinterpret_cast<const char*>(from), count * sizeof(float));
}

void take_floats(const char*& from, float* to, std::size_t count) {
  std::memcpy(to, from, count * sizeof(float));
  from += count * sizeof(float);
}

}  // namespace

std::unique_ptr<Column> make_column(const ColumnSpec& spec) {
  VICHA_ASSERT(!spec.field.empty());
  switch (spec.type) {
    case ColumnType::kImage:
      return std::make_unique<ImageColumn>(spec);
    case ColumnType::kText:
      return std::make_unique<TextColumn>(spec);
    case ColumnType::kAnswers:
      return std::make_unique<AnswersColumn>(spec);
    case ColumnType::kLabel:
      return std::make_unique<LabelColumn>(spec);
    case ColumnType::kBox:
      return std::make_unique<BoxColumn>(spec);
    case ColumnType::kBoxes:
      return std::make_unique<BoxesColumn>(spec);
    case ColumnType::kId:
      return std::make_unique<IdColumn>(spec);
    case ColumnType::kTags:
      return std::make_unique<TagsColumn>(spec);
  }
  return nullptr;
}

std::uint32_t NumberColumn::at(std::int64_t record) const {
  const std::uint32_t number = numbers_[static_cast<std::size_t>(record)];
  VICHA_ASSERT(number != kNone);
  return number;
}

void ImageColumn::append(bool found, StringPool& images) {
  append_number(found ? images.intern(path_) : kNone);
  if (spec().beside.empty()) return;
  std::string entry;
  append_varint(entry, found ? words_read_.size() : 0);
  if (found) {
    for (const std::string& word : words_read_) append_varint(entry, words_.intern(word));
  }
  places_.push_back(arena_.append(entry));
}

std::vector<std::string_view> ImageColumn::concepts(std::int64_t record) const {
  if (places_.empty()) return {};
  const char* from = arena_.at(places_[static_cast<std::size_t>(record)]);
  std::vector<std::string_view> words(take_varint(from));
  for (std::string_view& word : words) word = words_[static_cast<std::uint32_t>(take_varint(from))];
  return words;
}

std::uint64_t ImageColumn::memory_bytes() const {
  return NumberColumn::memory_bytes() + places_.capacity() * sizeof(places_[0]) + arena_.bytes() +
         words_.memory_bytes();
}

void ImageColumn::seal() {
  NumberColumn::seal();
  places_.shrink_to_fit();
  words_.seal();
}

void PooledColumn::seal() {
  NumberColumn::seal();
  pool_.seal();
}

RecordId IdColumn::operator[](std::int64_t record) const {
  const std::uint32_t number = at(record);
  const std::string_view spelled = pooled(number);
  return {spelled.front() == 'n', spelled.substr(1), number};
}

std::uint64_t ArenaColumn::memory_bytes() const { return places_.capacity() * sizeof(places_[0]) + arena_.bytes(); }

const char* ArenaColumn::at(std::int64_t record) const {
  const std::uint64_t place = places_[static_cast<std::size_t>(record)];
  VICHA_ASSERT(place != kNone);
  return arena_.at(place);
}

std::vector<Answer> AnswersColumn::operator[](std::int64_t record) const {
  const char* from = at(record);
  std::vector<Answer> answers(take_varint(from));
  for (Answer& answer : answers) {
    answer.number = static_cast<std::int64_t>(take_varint(from));
    answer.text = this->answer(answer.number);
    answer.count = static_cast<std::int64_t>(take_varint(from));
    take_floats(from, &answer.weight, 1);
  }
  return answers;
}

void AnswersColumn::append(bool found, StringPool&) {
  std::string entry;
  if (found) {
    append_varint(entry, read_.size());
    for (const auto& [text, weight, count] : read_) {
      append_varint(entry, answers_.intern(text));
      append_varint(entry, count);
      const auto rounded = static_cast<float>(weight);
      append_floats(entry, &rounded, 1);
    }
  }
  append_entry(found, entry);
}

void AnswersColumn::seal() {
  ArenaColumn::seal();
  answers_.seal();
}

std::vector<std::int64_t> TagsColumn::operator[](std::int64_t record) const {
  const char* from = at(record);
  std::vector<std::int64_t> tags(take_varint(from));
  for (std::int64_t& tag : tags) tag = static_cast<std::int64_t>(take_varint(from)) - 1;  // 0: a gap
  return tags;
}

void TagsColumn::append(bool found, StringPool&) {
  std::string entry;
  if (found) {
    append_varint(entry, read_.size());
    for (const std::optional<std::string>& word : read_) {
      append_varint(entry, word ? std::uint64_t{words_.intern(*word)} + 1 : 0);
    }
  }
  append_entry(found, entry);
}

void TagsColumn::seal() {
  ArenaColumn::seal();
  words_.seal();
}

const FloatBox& BoxColumn::operator[](std::int64_t record) const {
  VICHA_ASSERT(has(record));
  return boxes_[static_cast<std::size_t>(record)];
}

Boxes BoxesColumn::operator[](std::int64_t record) const {
  const char* from = at(record);
  Boxes read;
  read.boxes.resize(take_varint(from));
  read.scores.resize(take_varint(from));
  for (FloatBox& box : read.boxes) {
    float numbers[4];
    take_floats(from, numbers, 4);
    box = {numbers[0], numbers[1], numbers[2], numbers[3]};
  }
  take_floats(from, read.scores.data(), read.scores.size());
  return read;
}

void BoxesColumn::append(bool found, StringPool&) {
  std::string entry;
  if (found) {
    append_varint(entry, read_.boxes.size());
    append_varint(entry, read_.scores.size());
    for (const FloatBox& box : read_.boxes) {
      const float numbers[4] = {box.x, box.y, box.width, box.height};
      append_floats(entry, numbers, 4);
    }
    append_floats(entry, read_.scores.data(), read_.scores.size());
  }
  append_entry(found, entry);
}

}  // namespace vicha

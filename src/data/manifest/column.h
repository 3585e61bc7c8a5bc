// Columns of a manifest in memory that a schema declares, by type. Records are numbered as in the manifest. All but
// loading is const and may be used by many threads.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest/image_paths.h"
#include "data/manifest/schema.h"
#include "data/manifest/string_pool.h"

namespace vicha {

struct ColumnFault {
  std::string field, what, remedy;
};

class Column {
 public:
  explicit Column(const ColumnSpec& spec) : spec_(spec) {}
  virtual ~Column() = default;
  const ColumnSpec& spec() const { return spec_; }
  /// Whether the record has a value; always true of a required column. Reading a value that is not there is a mistake
  /// of ours.
  virtual bool has(std::int64_t record) const = 0;
  virtual std::uint64_t memory_bytes() const = 0;

  // Loading: a record is read by all columns before any of them keeps it, for the record may be wrong elsewhere.
  /// What is wrong with the record's value, if anything.
  std::optional<ColumnFault> read(const nlohmann::json& record, const ImagePaths& paths);
  /// Appends what was read last. `images` numbers the files of the manifest's images.
  void keep(StringPool& images) { append(found_, images); }
  virtual void seal() = 0;

 protected:
  /// What is wrong, as the end of a sentence that begins `field "box"`; "" if nothing is. `beside` may be null.
  virtual std::string parse(const nlohmann::json& value, const nlohmann::json* beside, const ImagePaths& paths) = 0;
  virtual void append(bool found, StringPool& images) = 0;
  /// "a string", for messages.
  virtual std::string wanted() const = 0;

 private:
  ColumnSpec spec_;
  bool found_ = false;
};

std::unique_ptr<Column> make_column(const ColumnSpec& spec);

/// A number a record.
class NumberColumn : public Column {
 public:
  using Column::Column;
  bool has(std::int64_t record) const override { return numbers_[static_cast<std::size_t>(record)] != kNone; }
  std::uint64_t memory_bytes() const override { return numbers_.capacity() * sizeof(numbers_[0]); }
  void seal() override { numbers_.shrink_to_fit(); }

 protected:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t at(std::int64_t record) const;
  void append_number(std::uint32_t number) { numbers_.push_back(number); }

 private:
  std::vector<std::uint32_t> numbers_;
};

/// Another image beside the record's own.
class ImageColumn : public NumberColumn {
 public:
  static constexpr ColumnType kType = ColumnType::kImage;
  using NumberColumn::NumberColumn;
  /// The file's number: Manifest::image_file gives its name.
  std::int64_t operator[](std::int64_t record) const { return at(record); }
  /// The image's concepts; none where the schema does not read them.
  std::vector<std::string_view> concepts(std::int64_t record) const;
  std::uint64_t memory_bytes() const override;
  void seal() override;

 protected:
  std::string parse(const nlohmann::json& value, const nlohmann::json* beside, const ImagePaths& paths) override;
  void append(bool found, StringPool& images) override;
  std::string wanted() const override { return "a string that names a file"; }

 private:
  std::string path_;
  std::vector<std::string> words_read_;
  std::vector<std::uint64_t> places_;  // of each record's words in arena_; empty where none are read
  ByteArena arena_;
  StringPool words_;
};

/// Strings in a pool: what repeats is kept once.
class PooledColumn : public NumberColumn {
 public:
  using NumberColumn::NumberColumn;
  std::uint64_t memory_bytes() const override { return NumberColumn::memory_bytes() + pool_.memory_bytes(); }
  void seal() override;

 protected:
  void append(bool found, StringPool&) override { append_number(found ? pool_.intern(text_) : kNone); }
  std::string_view pooled(std::uint32_t number) const { return pool_[number]; }
  std::string text_;

 private:
  StringPool pool_;
};

class TextColumn : public PooledColumn {
 public:
  static constexpr ColumnType kType = ColumnType::kText;
  using PooledColumn::PooledColumn;
  std::string_view operator[](std::int64_t record) const { return pooled(at(record)); }

 protected:
  std::string parse(const nlohmann::json& value, const nlohmann::json*, const ImagePaths&) override;
  std::string wanted() const override { return "a string"; }
};

struct RecordId {
  bool integer = false;     ///< whether the manifest has it as a number
  std::string_view text;    ///< in decimal if so
  std::int64_t number = 0;  ///< equal for equal ids, from 0 in the order of appearance
};

class IdColumn : public PooledColumn {
 public:
  static constexpr ColumnType kType = ColumnType::kId;
  using PooledColumn::PooledColumn;
  RecordId operator[](std::int64_t record) const;

 protected:
  std::string parse(const nlohmann::json& value, const nlohmann::json*, const ImagePaths&) override;
  std::string wanted() const override { return "a string or an integer"; }
};

class LabelColumn : public NumberColumn {
 public:
  static constexpr ColumnType kType = ColumnType::kLabel;
  using NumberColumn::NumberColumn;
  /// The class, from 0.
  std::int64_t operator[](std::int64_t record) const { return at(record); }

 protected:
  std::string parse(const nlohmann::json& value, const nlohmann::json*, const ImagePaths&) override;
  void append(bool found, StringPool&) override { append_number(found ? label_ : kNone); }
  std::string wanted() const override;

 private:
  std::uint32_t label_ = 0;
};

struct Answer {
  std::string_view text;
  float weight = 0;
  std::int64_t count = 1;   ///< how often the record gives it
  std::int64_t number = 0;  ///< of the text among the column's distinct answers
};

/// Bytes a record, in an arena.
class ArenaColumn : public Column {
 public:
  using Column::Column;
  bool has(std::int64_t record) const override { return places_[static_cast<std::size_t>(record)] != kNone; }
  std::uint64_t memory_bytes() const override;
  void seal() override { places_.shrink_to_fit(); }

 protected:
  const char* at(std::int64_t record) const;
  void append_entry(bool found, std::string_view entry) { places_.push_back(found ? arena_.append(entry) : kNone); }

 private:
  static constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();
  std::vector<std::uint64_t> places_;
  ByteArena arena_;
};

/// Answers of several people. Without a field of weights each of a record's n answers weighs 1/n; equal ones are joined
/// and their weights added.
class AnswersColumn : public ArenaColumn {
 public:
  static constexpr ColumnType kType = ColumnType::kAnswers;
  using ArenaColumn::ArenaColumn;
  /// At least one, in the order of the manifest.
  std::vector<Answer> operator[](std::int64_t record) const;
  /// Distinct answers of all records.
  std::int64_t answer_count() const { return answers_.size(); }
  std::string_view answer(std::int64_t number) const { return answers_[static_cast<std::uint32_t>(number)]; }
  std::uint64_t memory_bytes() const override { return ArenaColumn::memory_bytes() + answers_.memory_bytes(); }
  void seal() override;

 protected:
  std::string parse(const nlohmann::json& value, const nlohmann::json* beside, const ImagePaths&) override;
  void append(bool found, StringPool&) override;
  std::string wanted() const override { return "a string or a list of strings"; }

 private:
  StringPool answers_;
  struct Read {
    std::string text;
    double weight;
    std::uint64_t count;
  };
  std::vector<Read> read_;
};

/// In the image's pixels as its file has them, or in whatever unit the task says.
struct FloatBox {
  float x = 0, y = 0;           ///< the upper left corner
  float width = 0, height = 0;  ///< more than 0
};

/// Lists of words with gaps: the tags of a picture's regions.
class TagsColumn : public ArenaColumn {
 public:
  static constexpr ColumnType kType = ColumnType::kTags;
  using ArenaColumn::ArenaColumn;
  /// Numbers of the words, -1 for a gap, in the order of the manifest; at least one entry.
  std::vector<std::int64_t> operator[](std::int64_t record) const;
  /// Distinct words of all records, in the order of first appearance.
  std::int64_t tag_count() const { return words_.size(); }
  std::string_view tag(std::int64_t number) const { return words_[static_cast<std::uint32_t>(number)]; }
  std::uint64_t memory_bytes() const override { return ArenaColumn::memory_bytes() + words_.memory_bytes(); }
  void seal() override;

 protected:
  std::string parse(const nlohmann::json& value, const nlohmann::json*, const ImagePaths&) override;
  void append(bool found, StringPool&) override;
  std::string wanted() const override { return "a list of strings and nulls"; }

 private:
  StringPool words_;
  std::vector<std::optional<std::string>> read_;
};

class BoxColumn : public Column {
 public:
  static constexpr ColumnType kType = ColumnType::kBox;
  using Column::Column;
  bool has(std::int64_t record) const override { return boxes_[static_cast<std::size_t>(record)].width > 0; }
  const FloatBox& operator[](std::int64_t record) const;
  std::uint64_t memory_bytes() const override { return boxes_.capacity() * sizeof(FloatBox); }
  void seal() override { boxes_.shrink_to_fit(); }

 protected:
  std::string parse(const nlohmann::json& value, const nlohmann::json*, const ImagePaths&) override;
  void append(bool found, StringPool&) override { boxes_.push_back(found ? box_ : FloatBox()); }
  std::string wanted() const override { return "[x, y, width, height]"; }

 private:
  std::vector<FloatBox> boxes_;
  FloatBox box_;
};

struct Boxes {
  std::vector<FloatBox> boxes;
  std::vector<float> scores;  ///< as many, or none
};

class BoxesColumn : public ArenaColumn {
 public:
  static constexpr ColumnType kType = ColumnType::kBoxes;
  using ArenaColumn::ArenaColumn;
  /// May be none at all: an empty list.
  Boxes operator[](std::int64_t record) const;

 protected:
  std::string parse(const nlohmann::json& value, const nlohmann::json* beside, const ImagePaths&) override;
  void append(bool found, StringPool&) override;
  std::string wanted() const override { return "a list of [x, y, width, height]"; }

 private:
  Boxes read_;
};

}  // namespace vicha

// The word pieces of a BERT model and their ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {

/// Hash of a growing prefix: `extend` by one byte at a time, so that all prefixes of a word cost one pass.
struct PrefixHash {
  std::uint64_t value = 0xcbf29ce484222325u;
  void extend(char c) { value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3u; }  // FNV-1a
};

/// A `vocab.txt`: one token a line, the first has id 0. A token that occurs twice has its last id, as in the public
/// tokenizers. Ids of the special tokens are looked up by name; nothing in the program assumes their values.
class Vocabulary {
 public:
  /// Throws DataError naming `file` if it cannot be read, is empty, or lacks one of the special tokens.
  static Vocabulary load(const std::filesystem::path& file);
  /// The same from text; `name` stands for the file in errors.
  Vocabulary(std::string_view text, std::string_view name);

  std::int64_t size() const { return static_cast<std::int64_t>(spans_.size()); }
  std::int64_t pad_id() const { return special_[0]; }
  std::int64_t unk_id() const { return special_[1]; }
  std::int64_t cls_id() const { return special_[2]; }
  std::int64_t sep_id() const { return special_[3]; }
  std::int64_t mask_id() const { return special_[4]; }

  /// The token's spelling, "##" included. `id` must be in [0, size()).
  std::string_view token(std::int64_t id) const;
  std::optional<std::int64_t> find(std::string_view token) const;

  /// The special token that `text` begins with (case matters): its id and length. Nothing if there is none.
  struct Special {
    std::int64_t id;
    std::size_t length;
  };
  std::optional<Special> special_prefix(std::string_view text) const;

  /// Id of a piece whose PrefixHash value is known, or -1. `continues`: a piece spelled "##…", given without its marks.
  std::int64_t find_piece(std::string_view piece, std::uint64_t hash, bool continues) const {
    return (continues ? continuations_ : tokens_).find(*this, piece, hash);
  }
  /// Bytes of the longest piece, marks not counted: no need to look further.
  std::size_t longest_piece() const { return longest_piece_; }

 private:
  struct Span {
    std::uint32_t offset, length;
  };
  // Open addressing over ids; a slot's spelling is compared in place, so a look-up allocates nothing.
  class Table {
   public:
    Table(std::size_t entries, std::uint32_t skip);
    void insert(const Vocabulary& owner, std::uint32_t id);
    std::int64_t find(const Vocabulary& owner, std::string_view piece, std::uint64_t hash) const;

   private:
    std::size_t slot_of(const Vocabulary& owner, std::string_view piece, std::uint64_t hash) const;
    std::uint32_t skip_;  // leading bytes of a token's spelling that are not part of the key
    int shift_;
    std::vector<std::uint32_t> ids_;  // id + 1; 0 is empty
  };

  std::string text_;
  std::vector<Span> spans_;
  Table tokens_, continuations_;
  std::size_t longest_piece_ = 0;
  std::int64_t special_[5];
};

}  // namespace vicha

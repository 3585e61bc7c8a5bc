#include "text/clip_bpe/clip_bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/error.h"
#include "text/clip_bpe/character_classes.h"
#include "text/clip_bpe/clean.h"
#include "text/clip_bpe/merge_files.h"
#include "text/clip_bpe/tables.h"
#include "text/utf8.h"

namespace vicha {
namespace {

using text_detail::BpeId;
using text_detail::BpeTables;
using Class = text_detail::CharacterClass;
using text_detail::kEndOfText;
using text_detail::kEndOfWord;
using text_detail::kStartOfText;

constexpr auto kAsciiClass = [] {
  std::array<Class, 128> table{};
  for (unsigned char c = 0; c < 128; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool space = (c >= 0x09 && c <= 0x0D) || c == 0x20;
    table[c] = letter ? Class::kLetter : c >= '0' && c <= '9' ? Class::kNumber : space ? Class::kSpace : Class::kOther;
  }
  return table;
}();

Class class_at(std::string_view text, std::size_t& at) {
  const auto c = static_cast<unsigned char>(text[at]);
  if (c < 0x80) {
    ++at;
    return kAsciiClass[c];
  }
  return text_detail::character_class(text_detail::next_code_point(text, at));
}

/// The length of `literal` (small letters) at the start of `text`, whatever the case; 0 if it is not there. The long s
/// is an s to a pattern that ignores case.
std::size_t literal_length(std::string_view text, std::string_view literal) {
  std::size_t at = 0;
  for (const char expected : literal) {
    if (at == text.size()) return 0;
    char32_t c = text_detail::next_code_point(text, at);
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
    if (c == 0x17F) c = 's';
    if (c != static_cast<unsigned char>(expected)) return 0;
  }
  return at;
}

/// The piece that starts at the beginning of `text`, in the order in which OpenAI's pattern tries them; 0 for a
/// character that belongs to none.
std::size_t piece_length(std::string_view text) {
  if (text[0] == '<') {
    for (const std::string_view special : {kStartOfText, kEndOfText}) {
      if (const std::size_t length = literal_length(text, special)) return length;
    }
  }
  if (text[0] == '\'') {
    for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
      if (const std::size_t length = literal_length(text, ending)) return length;
    }
  }
  std::size_t end = 0;
  const Class first = class_at(text, end);
  if (first == Class::kSpace) return 0;
  if (first == Class::kNumber) return end;
  for (std::size_t next = end; next < text.size(); end = next) {
    if (class_at(text, next) != first) break;
  }
  return end;
}

/// Appends the ids of a piece to `out` until it has `limit`.
void append_piece(const BpeTables& tables, std::string_view bytes, std::vector<BpeId>& scratch,
                  std::vector<std::int64_t>& out, std::size_t limit) {
  if (const text_detail::BpeWord& whole = tables.word(bytes); !whole.free()) {
    out.push_back(whole.id);
    return;
  }
  if (bytes == kStartOfText || bytes == kEndOfText) {
    out.push_back(bytes == kStartOfText ? tables.start : tables.end);
    return;
  }
  scratch.clear();
  for (const char c : bytes) scratch.push_back(tables.byte_ids[static_cast<unsigned char>(c)]);
  scratch.back() = tables.last_byte_ids[static_cast<unsigned char>(bytes.back())];
  tables.join(scratch);
  const std::size_t room = std::min(scratch.size(), limit - out.size());
  out.insert(out.end(), scratch.begin(), scratch.begin() + static_cast<std::ptrdiff_t>(room));
}

/// Appends to `out` until it has `limit` ids.
std::vector<std::int64_t> append_text(const BpeTables& tables, std::string_view text, std::vector<std::int64_t> out,
                                      std::size_t limit) {
  std::vector<BpeId> scratch;
  std::string valid;  // the bytes of the tokens are those of the text, so broken ones are replaced first
  if (!text_detail::is_ascii(text)) {
    valid.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      text_detail::append_utf8(valid, text_detail::next_code_point(text, at));
    }
    text = valid;
  }
  while (!text.empty() && out.size() < limit) {
    std::size_t length = piece_length(text);
    if (length > 0) {
      append_piece(tables, text.substr(0, length), scratch, out, limit);
    } else {
      text_detail::next_code_point(text, length);
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace

ClipBpe::ClipBpe(std::shared_ptr<const text_detail::BpeTables> tables) : tables_(std::move(tables)) {}

ClipBpe ClipBpe::load(const std::filesystem::path& path) {
  return ClipBpe(std::make_shared<const text_detail::BpeTables>(text_detail::read_bpe_file(path)));
}

std::int64_t ClipBpe::size() const { return static_cast<std::int64_t>(tables_->spellings.size()); }
std::int64_t ClipBpe::start_id() const { return tables_->start; }
std::int64_t ClipBpe::end_id() const { return tables_->end; }

std::string ClipBpe::clean(std::string_view text) { return text_detail::clip_clean(text); }

std::vector<std::int64_t> ClipBpe::encode(std::string_view text) const { return encode_cleaned(clean(text)); }

std::vector<std::int64_t> ClipBpe::encode_cleaned(std::string_view cleaned) const {
  std::vector<std::int64_t> ids;
  ids.reserve(cleaned.size() / 4 + 4);
  return append_text(*tables_, cleaned, std::move(ids), std::numeric_limits<std::size_t>::max());
}

std::vector<std::int64_t> ClipBpe::tokenize(std::string_view text, std::size_t context_length, bool truncate) const {
  return tokenize_cleaned(clean(text), context_length, truncate);
}

std::vector<std::int64_t> ClipBpe::tokenize_cleaned(std::string_view cleaned, std::size_t context_length,
                                                    bool truncate) const {
  if (context_length < 2) {
    throw UsageError(fmt::format("a text of at most {} tokens has no room for its start and end", context_length));
  }
  std::vector<std::int64_t> ids;
  ids.reserve(std::min(context_length + 1, cleaned.size() + 2));
  ids.push_back(start_id());
  // One more than there is room for shows whether the text is too long.
  ids = append_text(*tables_, cleaned, std::move(ids), truncate ? context_length - 1 : context_length);
  if (ids.size() == context_length) {
    throw DataError(fmt::format("'{:.60}'", cleaned), fmt::format("has more than {} tokens", context_length - 2),
                    "Shorten it, or allow it to be cut");
  }
  ids.push_back(end_id());
  return ids;
}

std::string ClipBpe::decode(std::span<const std::int64_t> ids) const {
  std::string spelled;
  for (const std::int64_t id : ids) {
    if (id < 0 || id >= size()) throw UsageError(fmt::format("there is no token {} of {}", id, size()));
    spelled += tables_->spellings[static_cast<std::size_t>(id)];
  }
  const std::string bytes = text_detail::bytes_of_spelling(spelled);
  std::string text;
  for (std::size_t at = 0; at < bytes.size();) text_detail::append_utf8(text, text_detail::next_code_point(bytes, at));
  for (auto at = text.find(kEndOfWord); at != std::string::npos; at = text.find(kEndOfWord, at)) {
    text.replace(at++, kEndOfWord.size(), 1, ' ');
  }
  return text;
}

}  // namespace vicha

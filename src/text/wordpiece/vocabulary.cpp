#include "text/wordpiece/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"

namespace vicha {
namespace {

constexpr std::string_view kMarks = "##";
constexpr std::size_t kLargestFile = 64u << 20;  // bytes; the largest multilingual ones have 5 MB
constexpr std::string_view kSpecialTokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

std::uint64_t hash_of(std::string_view text) {
  PrefixHash hash;
  for (const char c : text) hash.extend(c);
  return hash.value;
}

}  // namespace

Vocabulary::Table::Table(std::size_t entries, std::uint32_t skip)
    : skip_(skip),
      shift_(64 - std::bit_width(std::max<std::size_t>(entries, 1) * 2)),
      ids_(std::size_t{1} << (64 - shift_)) {}

std::size_t Vocabulary::Table::slot_of(const Vocabulary& owner, std::string_view piece, std::uint64_t hash) const {
  // Multiplying by 2^64 / golden ratio spreads FNV's low-entropy bits into the high ones, which choose the slot.
  std::size_t slot = (hash * 0x9e3779b97f4a7c15u) >> shift_;
  while (ids_[slot] != 0 && owner.token(ids_[slot] - 1).substr(skip_) != piece) slot = (slot + 1) & (ids_.size() - 1);
  return slot;
}

void Vocabulary::Table::insert(const Vocabulary& owner, std::uint32_t id) {
  const std::string_view piece = owner.token(id).substr(skip_);
  ids_[slot_of(owner, piece, hash_of(piece))] = id + 1;
}

std::int64_t Vocabulary::Table::find(const Vocabulary& owner, std::string_view piece, std::uint64_t hash) const {
  return static_cast<std::int64_t>(ids_[slot_of(owner, piece, hash)]) - 1;
}

Vocabulary Vocabulary::load(const std::filesystem::path& file) {
  return Vocabulary(read_text_file(file, kLargestFile), file.string());
}

Vocabulary::Vocabulary(std::string_view text, std::string_view name)
    : text_(text),
      tokens_(static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1, 0),
      continuations_(static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1, kMarks.size()) {
  if (text.size() > kLargestFile) {
    throw DataError(name, "too large for a vocabulary", "Expected one token a line");
  }
  for (std::size_t at = 0; at < text_.size();) {
    const std::size_t end = std::min(text_.find('\n', at), text_.size());
    std::size_t length = end - at;
    if (length > 0 && text_[end - 1] == '\r') --length;
    spans_.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(length)});
    at = end + 1;
  }
  for (std::uint32_t id = 0; id < spans_.size(); ++id) {
    const std::string_view spelled = token(id);
    tokens_.insert(*this, id);
    const bool continues = spelled.size() > kMarks.size() && spelled.starts_with(kMarks);
    if (continues) continuations_.insert(*this, id);
    longest_piece_ = std::max(longest_piece_, spelled.size() - (continues ? kMarks.size() : 0));
  }
  for (std::size_t i = 0; i < std::size(kSpecialTokens); ++i) {
    const auto id = find(kSpecialTokens[i]);
    if (!id) {
      throw DataError(name, fmt::format("the vocabulary lacks the special token {}", kSpecialTokens[i]),
                      "Expected a BERT vocab.txt: one token a line");
    }
    special_[i] = *id;
  }
}

std::string_view Vocabulary::token(std::int64_t id) const {
  VICHA_ASSERT(id >= 0 && id < size());
  const Span span = spans_[static_cast<std::size_t>(id)];
  return std::string_view(text_).substr(span.offset, span.length);
}

std::optional<std::int64_t> Vocabulary::find(std::string_view token) const {
  const std::int64_t id = tokens_.find(*this, token, hash_of(token));
  return id < 0 ? std::nullopt : std::optional(id);
}

std::optional<Vocabulary::Special> Vocabulary::special_prefix(std::string_view text) const {
  for (std::size_t i = 0; i < std::size(kSpecialTokens); ++i) {
    if (text.starts_with(kSpecialTokens[i])) return Special{special_[i], kSpecialTokens[i].size()};
  }
  return std::nullopt;
}

}  // namespace vicha

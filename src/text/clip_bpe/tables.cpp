#include "text/clip_bpe/tables.h"

#include <fmt/format.h>

#include <functional>
#include <queue>
#include <string>
#include <tuple>
#include <unordered_map>

#include "base/error.h"

namespace vicha::text_detail {

BpeTables::BpeTables(const BpeFile& file)
    : merges(file.merges.size()), words(file.tokens.size()), spellings(static_cast<std::size_t>(file.size)) {
  std::unordered_map<std::string_view, BpeId> ids;
  ids.reserve(file.tokens.size());
  for (const auto& [spelling, id] : file.tokens) {
    ids[spelling] = static_cast<BpeId>(id);
    spellings[static_cast<std::size_t>(id)] = spelling;
  }
  const auto id_of = [&](std::string_view spelling, const auto& why) {
    const auto found = ids.find(spelling);
    if (found == ids.end()) throw DataError(file.name, fmt::format("has no token '{}', which {}", spelling, why()));
    return found->second;
  };
  start = id_of(kStartOfText, [] { return "every vocabulary of CLIP has"; });
  end = id_of(kEndOfText, [] { return "every vocabulary of CLIP has"; });
  for (std::size_t byte = 0; byte < 256; ++byte) {
    // A vocabulary without some byte reads it as the unknown token, which is the end token in CLIP's files.
    const auto byte_id = [&](const std::string& spelling) {
      const auto found = ids.find(spelling);
      return found == ids.end() ? static_cast<BpeId>(end) : found->second;
    };
    const std::string& spelling = byte_alphabet().spelling[byte];
    byte_ids[byte] = byte_id(spelling);
    last_byte_ids[byte] = byte_id(spelling + std::string(kEndOfWord));
  }
  for (std::uint32_t rank = 0; rank < file.merges.size(); ++rank) {
    const auto& [left, right] = file.merges[rank];
    const auto why = [&] { return fmt::format("merge {} '{} {}' needs", rank + 1, left, right); };
    const std::uint64_t pair = std::uint64_t{id_of(left, why)} << 32 | id_of(right, why);
    merges.find(pair, [&](const BpeMerge& slot) { return slot.pair == pair; }) = {pair, rank, id_of(left + right, why)};
  }
  // Most words are one token. Whether the merges lead to it is found out once, here.
  std::vector<BpeId> joined;
  for (const auto& [spelling, id] : ids) {
    if (!spelling.ends_with(kEndOfWord) || spelling.size() == kEndOfWord.size()) continue;
    const std::string bytes = bytes_of_spelling(spelling.substr(0, spelling.size() - kEndOfWord.size()));
    joined.clear();
    for (const char c : bytes) joined.push_back(byte_ids[static_cast<unsigned char>(c)]);
    joined.back() = last_byte_ids[static_cast<unsigned char>(bytes.back())];
    join(joined);
    if (joined.size() != 1 || joined[0] != id || !word(bytes).free()) continue;
    const auto begin = static_cast<std::uint32_t>(word_bytes.size());
    word_bytes += bytes;
    words.find(bpe_hash(bytes), [](const BpeWord&) { return false; }) = {begin,
                                                                         static_cast<std::uint32_t>(bytes.size()), id};
  }
}

/// In each round the pair with the lowest rank is joined wherever it is, from left to right.
void BpeTables::join_short(std::vector<BpeId>& ids) const {
  std::array<std::uint32_t, kShort> ranks;  // of each id with the next
  const auto rank = [&](std::size_t i) { return i + 1 < ids.size() ? merge(ids[i], ids[i + 1]).rank : kNoRank; };
  for (std::size_t i = 0; i < ids.size(); ++i) ranks[i] = rank(i);
  while (true) {
    const std::uint32_t lowest =
        *std::min_element(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(ids.size()));
    if (lowest == kNoRank) return;
    std::array<bool, kShort + 1> fresh;  // made in this round
    std::size_t kept = 0;
    for (std::size_t i = 0; i < ids.size(); ++i, ++kept) {
      fresh[kept] = ranks[i] == lowest;
      if (fresh[kept]) {
        ids[kept] = merge(ids[i], ids[i + 1]).merged;
        ++i;
      } else {
        ids[kept] = ids[i];
      }
      ranks[kept] = ranks[i];
    }
    ids.resize(kept);
    fresh[kept] = false;
    for (std::size_t i = 0; i < kept; ++i) {
      if (fresh[i] || fresh[i + 1]) ranks[i] = rank(i);
    }
  }
}

/// The same in n log n: a queue of pairs by rank and position, from which one rank at a time is taken.
void BpeTables::join_long(std::vector<BpeId>& ids) const {
  const std::size_t count = ids.size();
  std::vector<std::size_t> next(count), previous(count);
  constexpr BpeId kGone = std::numeric_limits<BpeId>::max();
  for (std::size_t i = 0; i < count; ++i) {
    next[i] = i + 1;
    previous[i] = i - 1;  // of the first: never read
  }
  using Pair = std::tuple<std::uint32_t, std::size_t, BpeId, BpeId>;  // rank, position, left, right
  std::priority_queue<Pair, std::vector<Pair>, std::greater<>> queue;
  const auto offer = [&](std::size_t i) {
    if (next[i] >= count) return;
    const BpeId left = ids[i], right = ids[next[i]];
    const std::uint32_t rank = merge(left, right).rank;
    if (rank != kNoRank) queue.emplace(rank, i, left, right);
  };
  for (std::size_t i = 0; i < count; ++i) offer(i);
  std::vector<std::size_t> changed;
  while (!queue.empty()) {
    const std::uint32_t lowest = std::get<0>(queue.top());
    changed.clear();
    // Pairs that arise in this round wait for the next, even if their rank is lower.
    while (!queue.empty() && std::get<0>(queue.top()) == lowest) {
      const auto [rank, i, left, right] = queue.top();
      queue.pop();
      if (ids[i] != left || next[i] >= count || ids[next[i]] != right) continue;  // no longer there
      const std::size_t gone = next[i];
      ids[i] = merge(left, right).merged;
      ids[gone] = kGone;
      next[i] = next[gone];
      if (next[i] < count) previous[next[i]] = i;
      changed.push_back(i);
    }
    for (const std::size_t i : changed) {
      if (i > 0) offer(previous[i]);
      offer(i);
    }
  }
  std::erase(ids, kGone);
}

}  // namespace vicha::text_detail

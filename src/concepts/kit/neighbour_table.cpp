#include "concepts/kit/neighbour_table.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/sha256.h"
#include "checkpoint/safetensors/safetensors.h"

namespace vicha {
namespace {

constexpr const char *kFormat = "vicha neighbours", *kRemedy = "Build the concepts again (`vicha concepts build`)";

template <class T>
at::Tensor copied(const std::vector<T>& values, at::ScalarType type) {
  const at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())}, type);
  VICHA_ASSERT(tensor.element_size() == sizeof(T));
  if (!values.empty()) std::copy(values.begin(), values.end(), static_cast<T*>(tensor.data_ptr()));
  return tensor;
}

template <class T>
std::vector<T> values_of(const StateDict& tensors, const char* name, at::ScalarType type, const std::string& where) {
  const at::Tensor tensor = tensors.at(name, where).contiguous();
  if (tensor.dim() != 1 || tensor.scalar_type() != type) {
    throw DataError(where, fmt::format("tensor '{}' is not a row of {}", name, c10::toString(type)), kRemedy);
  }
  const T* data = static_cast<const T*>(tensor.const_data_ptr());
  return {data, data + tensor.numel()};
}

/// Texts one behind the other, and where each ends.
void set_texts(StateDict& tensors, const std::string& name, const std::vector<std::string>& texts) {
  std::vector<std::uint8_t> bytes;
  std::vector<std::int64_t> ends;
  for (const std::string& text : texts) {
    bytes.insert(bytes.end(), text.begin(), text.end());
    ends.push_back(static_cast<std::int64_t>(bytes.size()));
  }
  tensors.set(name, copied(bytes, at::kByte));
  tensors.set(name + ".ends", copied(ends, at::kLong));
}

/// Throws DataError unless each of `ends` is at least the one before and the last is `size`.
void check_ends(const std::vector<std::int64_t>& ends, std::size_t size, const char* name, const std::string& where) {
  std::int64_t before = 0;
  for (const std::int64_t end : ends) {
    if (end < before) throw DataError(where, fmt::format("'{}' does not ascend", name), kRemedy);
    before = end;
  }
  if (before != static_cast<std::int64_t>(size)) {
    throw DataError(where, fmt::format("'{}' ends at {} of {}", name, before, size), kRemedy);
  }
}

std::vector<std::string> texts_of(const StateDict& tensors, const std::string& name, const std::string& where) {
  const auto bytes = values_of<std::uint8_t>(tensors, name.c_str(), at::kByte, where);
  const auto ends = values_of<std::int64_t>(tensors, (name + ".ends").c_str(), at::kLong, where);
  check_ends(ends, bytes.size(), name.c_str(), where);
  std::vector<std::string> texts;
  std::int64_t begin = 0;
  for (const std::int64_t end : ends) {
    texts.emplace_back(bytes.begin() + begin, bytes.begin() + end);
    begin = end;
  }
  return texts;
}

}  // namespace

void NeighbourTable::add_words(std::span<const NeighbourWord> words) {
  words_.insert(words_.end(), words.begin(), words.end());
  ends_.push_back(words_.size());
}

std::int32_t NeighbourTable::group_named(std::string_view name) const {
  const auto found = std::ranges::find(group_names, name);
  return found == group_names.end() ? -1 : static_cast<std::int32_t>(found - group_names.begin());
}

std::string NeighbourTable::bytes() const {
  VICHA_ASSERT(ends_.size() == keys.size() && contents.size() == keys.size() && groups.size() == keys.size());
  StateDict tensors;
  set_texts(tensors, "keys", keys);
  set_texts(tensors, "group_names", group_names);
  tensors.set("contents", copied(std::vector<std::int64_t>(contents.begin(), contents.end()), at::kLong));
  tensors.set("groups", copied(groups, at::kInt));
  tensors.set("words.ends", copied(std::vector<std::int64_t>(ends_.begin(), ends_.end()), at::kLong));
  std::vector<std::int32_t> words;
  std::vector<float> shares;
  for (const NeighbourWord& one : words_) {
    words.push_back(one.word);
    shares.push_back(one.share);
  }
  tensors.set("words", copied(words, at::kInt));
  tensors.set("shares", copied(shares, at::kFloat));
  return safetensors_bytes(tensors, {{"format", kFormat}});
}

NeighbourTable NeighbourTable::load(const std::filesystem::path& file, std::int64_t vocabulary) {
  const std::string where = file.string();
  Metadata metadata;
  const StateDict tensors = read_safetensors(file, &metadata);
  if (metadata["format"] != kFormat) throw DataError(where, "does not hold pictures and their words", kRemedy);
  NeighbourTable table;
  table.keys = texts_of(tensors, "keys", where);
  table.group_names = texts_of(tensors, "group_names", where);
  for (const std::int64_t content : values_of<std::int64_t>(tensors, "contents", at::kLong, where)) {
    table.contents.push_back(static_cast<std::uint64_t>(content));
  }
  table.groups = values_of<std::int32_t>(tensors, "groups", at::kInt, where);
  const auto ends = values_of<std::int64_t>(tensors, "words.ends", at::kLong, where);
  const auto words = values_of<std::int32_t>(tensors, "words", at::kInt, where);
  const auto shares = values_of<float>(tensors, "shares", at::kFloat, where);
  if (table.contents.size() != table.keys.size() || table.groups.size() != table.keys.size() ||
      ends.size() != table.keys.size() || shares.size() != words.size()) {
    throw DataError(where, "has parts of different lengths", kRemedy);
  }
  check_ends(ends, words.size(), "words", where);
  table.ends_.assign(ends.begin(), ends.end());
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] < 0 || words[i] >= vocabulary || !(shares[i] > 0 && shares[i] <= 1)) {
      throw DataError(
          where, fmt::format("names word {} with share {}, of a vocabulary of {}", words[i], shares[i], vocabulary),
          kRemedy);
    }
    table.words_.push_back({words[i], shares[i]});
  }
  const auto groups = static_cast<std::int32_t>(table.group_names.size());
  if (std::ranges::any_of(table.groups, [&](std::int32_t group) { return group < -1 || group >= groups; })) {
    throw DataError(where, "names a group that it does not have", kRemedy);
  }
  return table;
}

std::string NeighbourTable::sha256() const { return sha256_hex(bytes()); }

}  // namespace vicha

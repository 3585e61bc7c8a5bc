#include "concepts/kit/neighbours.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/error.h"

namespace vicha {
namespace {

constexpr float kLeftOut = -std::numeric_limits<float>::infinity();
constexpr std::int64_t kSimilaritiesAtOnce = std::int64_t{1} << 24;
constexpr std::int64_t kRecordsAtOnce = 4096;
/// Proposed by a product in fp32, beyond those that are wanted: its last bits decide on none.
constexpr std::int64_t kSpare = 16;

/// The first vector of each record, (N, D) fp32.
at::Tensor features_of(const EmbeddingStore& store, const std::vector<std::int64_t>& records) {
  const auto count = static_cast<std::int64_t>(records.size());
  const at::Tensor all = at::empty({count, store.shape().width}, at::kFloat);
  for (std::int64_t begin = 0; begin < count; begin += kRecordsAtOnce) {
    const std::int64_t n = std::min(kRecordsAtOnce, count - begin);
    const auto part = std::span(records).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(n));
    all.narrow(0, begin, n).copy_(store.rows(part).select(1, 0));
  }
  return all;
}

/// Mean over rows, summed in double precision.
at::Tensor mean_of(const at::Tensor& rows_ND) {
  at::Tensor sum = at::zeros({rows_ND.size(1)}, at::kDouble);
  for (std::int64_t begin = 0; begin < rows_ND.size(0); begin += kRecordsAtOnce) {
    const std::int64_t n = std::min(kRecordsAtOnce, rows_ND.size(0) - begin);
    sum += rows_ND.narrow(0, begin, n).to(at::kDouble).sum(0);
  }
  return (sum / static_cast<double>(rows_ND.size(0))).to(at::kFloat);
}

/// A picture that is like all of them (no length) is like none.
void make_unit(at::Tensor& rows) { rows.div_(rows.norm(2, -1, /*keepdim=*/true).clamp_min(1e-12)); }

double exact_cosine(const float* a, const float* b, std::int64_t width) {
  double sum = 0;
  for (std::int64_t i = 0; i < width; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

}  // namespace

NeighbourFinder::NeighbourFinder(const ConceptKit& kit, const std::filesystem::path& file) : kit_(kit) {
  VICHA_ASSERT(kit_.neighbours && kit_.provenance.neighbours);
  const NeighbourTable& table = *kit_.neighbours;
  const EmbeddingStore store = EmbeddingStore::open(file);
  require_same(kit_.provenance.weights, "the concepts by neighbours", store.source(), file.string());
  std::vector<std::int64_t> records;
  for (std::int64_t i = 0; i < table.size(); ++i) {
    const std::string& key = table.keys[static_cast<std::size_t>(i)];
    const auto record = store.find(key);
    if (!record) {
      throw DataError(file.string(),
                      fmt::format("lacks \"{}\", whose captions new pictures are to get words from", key),
                      "Give the store that the concepts were built with, or embed that picture again (`vicha embed`)");
    }
    const std::uint64_t then = table.contents[static_cast<std::size_t>(i)], now = store.content(*record);
    if (then != 0 && now != 0 && then != now) {
      throw DataError(
          file.string(),
          fmt::format("holds another picture under \"{}\" (content {:016x}) than when the concepts were built "
                      "({:016x})",
                      key, now, then),
          "Put the picture or the store back, or build the concepts again (`vicha concepts build`)");
    }
    records.push_back(*record);
    of_key_.emplace(key, i);
    if (now != 0) of_content_.emplace(now, i);
  }
  if (records.size() < 2) {
    throw DataError(file.string(), "holds fewer than two pictures with captions: there are no neighbours",
                    "Embed the training pictures into it (`vicha embed`)");
  }
  of_group_.resize(table.group_names.size());
  for (std::int64_t i = 0; i < table.size(); ++i) {
    const std::int32_t group = table.groups[static_cast<std::size_t>(i)];
    if (group >= 0) of_group_[static_cast<std::size_t>(group)].push_back(i);
  }
  unit_ND_ = features_of(store, records);
  mean_D_ = mean_of(unit_ND_);
  unit_ND_.sub_(mean_D_);
  make_unit(unit_ND_);
}

void NeighbourFinder::leave_out(const NeighbourQuery& query, float* similarities) const {
  if (query.group >= 0) {
    for (const std::int64_t i : of_group_[static_cast<std::size_t>(query.group)]) similarities[i] = kLeftOut;
  }
  if (query.content != 0) {
    const auto [begin, end] = of_content_.equal_range(query.content);
    for (auto at = begin; at != end; ++at) similarities[at->second] = kLeftOut;
  }
  const auto own = of_key_.find(query.key);
  if (own == of_key_.end()) return;
  // Another set may call another picture so: then both files are known, and differ.
  const std::uint64_t known = kit_.neighbours->contents[static_cast<std::size_t>(own->second)];
  if (query.content == 0 || known == 0) similarities[own->second] = kLeftOut;
}

std::vector<std::vector<NeighbourFinder::Near>> NeighbourFinder::nearest(
    const at::Tensor& unit_qD, std::span<const NeighbourQuery> queries) const {
  const std::int64_t count = kit_.provenance.neighbours->count, all = unit_ND_.size(0), width = unit_ND_.size(1);
  at::Tensor similarities = at::mm(unit_qD, unit_ND_.t()).contiguous();
  for (std::size_t q = 0; q < queries.size(); ++q) {
    leave_out(queries[q], similarities.data_ptr<float>() + static_cast<std::int64_t>(q) * all);
  }
  const auto [best, places] = similarities.topk(std::min(count + kSpare, all), 1);
  const at::Tensor rows = places.contiguous(), values = best.contiguous();
  const std::int64_t proposed = rows.size(1);
  std::vector<std::vector<Near>> found(queries.size());
  at::parallel_for(0, static_cast<std::int64_t>(queries.size()), 8, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t q = from; q < to; ++q) {
      std::vector<Near>& near = found[static_cast<std::size_t>(q)];
      const float* asked = unit_qD.const_data_ptr<float>() + q * width;
      for (std::int64_t i = 0; i < proposed; ++i) {
        if (values.const_data_ptr<float>()[q * proposed + i] == kLeftOut) continue;
        const std::int64_t picture = rows.const_data_ptr<std::int64_t>()[q * proposed + i];
        near.push_back({picture, exact_cosine(asked, unit_ND_.const_data_ptr<float>() + picture * width, width)});
      }
      std::ranges::sort(near, [](const Near& a, const Near& b) {
        return a.cosine != b.cosine ? a.cosine > b.cosine : a.picture < b.picture;
      });
      if (static_cast<std::int64_t>(near.size()) > count) near.resize(static_cast<std::size_t>(count));
    }
  });
  return found;
}

ImageConcepts NeighbourFinder::words_of(std::span<const Near> near) const {
  ImageConcepts concepts;
  if (near.empty()) return concepts;
  const double temperature = kit_.provenance.neighbours->temperature;
  std::map<std::int32_t, double> scores;
  double all = 0;
  for (const Near& one : near) {
    const double weight = std::exp((one.cosine - near.front().cosine) / temperature);
    all += weight;
    for (const NeighbourWord& word : kit_.neighbours->words_of(one.picture)) scores[word.word] += weight * word.share;
  }
  std::vector<std::pair<double, std::int32_t>> order;
  for (const auto& [word, score] : scores) order.emplace_back(score / all, word);
  std::ranges::sort(
      order, [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
  for (const auto& [score, word] : order) {
    if (static_cast<std::int64_t>(concepts.words.size()) == kit_.provenance.k || score < kit_.provenance.threshold)
      break;
    concepts.words.push_back(kit_.vocabulary.word(word));
    concepts.cosines.push_back(static_cast<float>(score));
  }
  return concepts;
}

std::vector<ImageConcepts> NeighbourFinder::find(const at::Tensor& features_nD,
                                                 std::span<const NeighbourQuery> queries) const {
  VICHA_ASSERT(features_nD.dim() == 2 && features_nD.size(0) == static_cast<std::int64_t>(queries.size()) &&
               features_nD.size(1) == unit_ND_.size(1));
  const at::NoGradGuard guard;
  const std::int64_t at_once = std::clamp<std::int64_t>(kSimilaritiesAtOnce / unit_ND_.size(0), 1, 512);
  std::vector<ImageConcepts> concepts;
  for (std::int64_t begin = 0; begin < features_nD.size(0); begin += at_once) {
    const std::int64_t n = std::min(at_once, features_nD.size(0) - begin);
    at::Tensor asked = features_nD.narrow(0, begin, n).to(at::kFloat).sub(mean_D_).contiguous();
    make_unit(asked);
    const auto part = queries.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(n));
    for (const std::vector<Near>& near : nearest(asked, part)) concepts.push_back(words_of(near));
  }
  return concepts;
}

}  // namespace vicha

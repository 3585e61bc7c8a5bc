#include "objectives/late_interaction.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"
#include "nn/host_copy.h"

namespace vicha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/// Calls `part(begin, end)` for runs of queries whose products with all keys fit into a tile.
template <class Part>
void in_tiles(std::int64_t queries, std::int64_t keys, std::int64_t tile, const Part& part) {
  const std::int64_t step = std::max<std::int64_t>(1, tile / std::max<std::int64_t>(1, keys));
  for (std::int64_t begin = 0; begin < queries; begin += step) part(begin, std::min(queries, begin + step));
}

/// to += scale * from.
void add_scaled(float* to, const float* from, float scale, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] += scale * from[i];
}

/// Gradients of queries (T, E) and keys (G * N, E) where key `chosen` of each group gave the maximum: of the T x (G *
/// N) products only T x G have one, so rows are added up rather than matrices of zeros multiplied.
std::pair<at::Tensor, at::Tensor> gradients_of_chosen(const at::Tensor& grad_TG, const at::Tensor& chosen_TG,
                                                      const at::Tensor& queries_TE, const at::Tensor& flat_KE) {
  const std::int64_t queries = grad_TG.size(0), groups = grad_TG.size(1), each = flat_KE.size(0) / groups,
                     width = flat_KE.size(1);
  const at::Tensor grad = grad_TG.contiguous(), from = queries_TE.contiguous(), keys = flat_KE.contiguous();
  at::Tensor of_queries = at::zeros({queries, width}, from.options()), of_keys = at::zeros_like(keys);
  const float *g = grad.const_data_ptr<float>(), *q = from.const_data_ptr<float>(), *k = keys.const_data_ptr<float>();
  const int* chosen = chosen_TG.const_data_ptr<int>();
  float *gq = of_queries.data_ptr<float>(), *gk = of_keys.data_ptr<float>();
  at::parallel_for(0, queries, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      for (std::int64_t i = 0; i < groups; ++i) {
        const std::int64_t at = t * groups + i;
        add_scaled(gq + t * width, k + (i * each + chosen[at]) * width, g[at], width);
      }
    }
  });
  // By group, so that no two threads add to one row, and always in the order of the queries.
  at::parallel_for(0, groups, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t t = 0; t < queries; ++t) {
        const std::int64_t at = t * groups + i;
        add_scaled(gk + (i * each + chosen[at]) * width, q + t * width, g[at], width);
      }
    }
  });
  return {of_queries, of_keys};
}

struct BestMatches : torch::autograd::Function<BestMatches> {
  /// `hidden_GN`: keys that do not count; undefined: none.
  static Variable forward(AutogradContext* ctx, const Variable& queries, const Variable& keys,
                          const std::optional<at::Tensor>& hidden_GN, std::int64_t tile) {
    const std::int64_t groups = keys.size(0), each = keys.size(1);
    const at::Tensor flat = keys.reshape({groups * each, keys.size(2)});
    at::Tensor best = at::empty({queries.size(0), groups}, queries.options());
    at::Tensor chosen = at::empty({queries.size(0), groups}, queries.options().dtype(at::kInt));
    in_tiles(queries.size(0), groups * each, tile, [&](std::int64_t begin, std::int64_t end) {
      at::Tensor products = at::mm(queries.slice(0, begin, end), flat.t()).view({-1, groups, each});
      if (hidden_GN) products.masked_fill_(*hidden_GN, -std::numeric_limits<double>::infinity());
      const auto [values, indices] = products.max(2);
      best.slice(0, begin, end).copy_(values);
      chosen.slice(0, begin, end).copy_(indices);
    });
    ctx->save_for_backward({queries, keys, chosen});
    ctx->saved_data["tile"] = tile;
    return best;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &queries = saved[0], &keys = saved[1], &chosen = saved[2];
    const std::int64_t groups = keys.size(0), each = keys.size(1);
    const at::Tensor flat = keys.reshape({groups * each, keys.size(2)});
    if (flat.device().is_cpu() && flat.scalar_type() == at::kFloat) {
      const auto [of_queries, of_keys] = gradients_of_chosen(grads[0], chosen, queries, flat);
      return {of_queries, of_keys.view(keys.sizes()), Variable(), Variable()};
    }
    at::Tensor grad_queries = at::empty_like(queries), grad_keys = at::zeros_like(flat);
    in_tiles(queries.size(0), groups * each, ctx->saved_data["tile"].toInt(),
             [&](std::int64_t begin, std::int64_t end) {
               // Of the products: zero but for the chosen ones.
               at::Tensor of_products = at::zeros({end - begin, groups, each}, queries.options());
               of_products.scatter_(2, chosen.slice(0, begin, end).to(at::kLong).unsqueeze(2),
                                    grads[0].slice(0, begin, end).unsqueeze(2));
               const at::Tensor rows = of_products.view({end - begin, groups * each});
               grad_queries.slice(0, begin, end).copy_(at::mm(rows, flat));
               grad_keys.addmm_(rows.t(), queries.slice(0, begin, end));
             });
    return {grad_queries, grad_keys.view(keys.sizes()), Variable(), Variable()};
  }
};

}  // namespace

CaptionWords caption_words(const PackedText& pack) {
  CaptionWords words;
  for (std::size_t i = 0; i < pack.lengths.size(); ++i) {
    for (std::int64_t j = 1; j < pack.lengths[i]; ++j) words.rows.push_back(pack.begin[i] + j);
    words.of_text.push_back(pack.lengths[i] - 1);
  }
  return words;
}

at::Tensor best_matches(const at::Tensor& queries_TE, const at::Tensor& keys_GNE, const std::vector<std::int64_t>& real,
                        std::int64_t tile) {
  const std::int64_t each = keys_GNE.size(1);
  VICHA_ASSERT(each > 0 && (real.empty() || static_cast<std::int64_t>(real.size()) == keys_GNE.size(0)));
  std::optional<at::Tensor> hidden_GN;
  if (!real.empty()) {
    VICHA_ASSERT(std::ranges::all_of(real, [&](std::int64_t n) { return n > 0 && n <= each; }));
    const at::Tensor count = to_device(at::tensor(real, at::kLong), keys_GNE.device());
    hidden_GN = at::arange(each, count.options()).unsqueeze(0).ge(count.unsqueeze(1));
  }
  return BestMatches::apply(queries_TE.to(at::kFloat), keys_GNE.to(at::kFloat), hidden_GN, tile);
}

at::Tensor run_means(const at::Tensor& values_TG, const std::vector<std::int64_t>& lengths) {
  const auto runs = static_cast<std::int64_t>(lengths.size());
  std::vector<float> share(static_cast<std::size_t>(runs * values_TG.size(0)), 0.0F);
  std::int64_t row = 0;
  for (std::int64_t x = 0; x < runs; ++x) {
    const std::int64_t length = lengths[static_cast<std::size_t>(x)];
    for (const std::int64_t end = row + length; row < end; ++row) {
      share[static_cast<std::size_t>(x * values_TG.size(0) + row)] = 1.0F / static_cast<float>(length);
    }
  }
  VICHA_ASSERT(row == values_TG.size(0));
  return at::mm(to_device(at::tensor(share), values_TG.device()).view({runs, values_TG.size(0)}), values_TG);
}

}  // namespace vicha

#include "towers/vit_net.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "models/in_parts.h"
#include "nn/gelu.h"
#include "nn/position.h"
#include "nn/vit_block.h"

namespace vicha {
namespace {

/// Values of weights that will be loaded do not matter, and drawing many takes seconds.
Init drawn_for(const std::optional<std::uint64_t>& seed) { return seed ? Init::kNormal002 : Init::kZeros; }

TowerBlock add_block(ParameterStore& store, const std::string& prefix, const VitTowerOptions& o, Init weights) {
  TowerBlock block;
  block.norm1 = add_layer_norm(store, prefix + "norm1.", o.width, o.eps);
  block.qkv = add_linear(store, prefix + "attn.qkv.", o.width, 3 * o.width, weights);
  block.proj = add_linear(store, prefix + "attn.proj.", o.width, o.width, weights);
  block.norm2 = add_layer_norm(store, prefix + "norm2.", o.width, o.eps);
  block.fc1 = add_linear(store, prefix + "mlp.fc1.", o.width, (o.swiglu ? 2 : 1) * o.inner, weights);
  block.fc2 = add_linear(store, prefix + "mlp.fc2.", o.inner, o.width, weights);
  return block;
}

/// Adds the bias and applies the activation, in the place of x.
at::Tensor activate(at::Tensor x, const at::Tensor& bias, const VitTowerOptions& o) {
  if (o.swiglu) {
    x.add_(bias);
    const at::Tensor gate = x.slice(1, 0, o.inner), value = x.slice(1, o.inner);
    return at::silu(gate).mul_(value);
  }
  switch (o.activation) {
    case TowerActivation::kGelu:
      return bias_gelu(x, bias);
    case TowerActivation::kQuickGelu:
      return bias_quick_gelu_(x, bias);
    case TowerActivation::kGeluTanh:
      break;
  }
  x.add_(bias);
  return at::gelu_(x, "tanh");
}

ResidualNorm finish(const TowerBlock& block, const at::Tensor& stream, const at::Tensor& attended,
                    const LayerNorm& next, const VitTowerOptions& o) {
  const ResidualNorm middle =
      residual_layer_norm(stream, matmul_nt(attended, block.proj.weight), block.proj.bias, block.norm2);
  const at::Tensor hidden = activate(matmul_nt(middle.out, block.fc1.weight), block.fc1.bias, o);
  return residual_layer_norm(middle.sum, matmul_nt(hidden, block.fc2.weight), block.fc2.bias, next);
}

ResidualNorm run(const TowerBlock& block, const ResidualNorm& x, const SegmentsPtr& segments, const LayerNorm& next,
                 const VitTowerOptions& o) {
  return finish(block, x.sum, self_attention(block.qkv(x.out), o.heads, segments), next, o);
}

/// The same for the first `count` rows of each of the sequences of `length` rows: (B count, D).
ResidualNorm run_first(const TowerBlock& block, const ResidualNorm& x, std::int64_t length, std::int64_t count,
                       const LayerNorm& next, const VitTowerOptions& o) {
  const std::int64_t batch = x.sum.size(0) / length, width = o.width;
  const auto first = [&](const at::Tensor& rows) {
    return rows.view({batch, length, width}).slice(1, 0, count).reshape({batch * count, width});
  };
  const auto segments = std::make_shared<Segments>();
  for (std::int64_t i = 0; i < batch; ++i) segments->list.push_back({i * count, count, i * length, length});
  segments->q_rows = batch * count;
  segments->k_rows = batch * length;
  const Linear ask{block.qkv.weight.narrow(0, 0, width), block.qkv.bias.narrow(0, 0, width)};
  const Linear answer{block.qkv.weight.narrow(0, width, 2 * width), block.qkv.bias.narrow(0, width, 2 * width)};
  const at::Tensor attended = cross_attention(ask(first(x.out)), answer(x.out), o.heads, segments);
  return finish(block, first(x.sum), attended, next, o);
}

}  // namespace

VitNet::VitNet(const VitTowerOptions& o, std::optional<std::uint64_t> seed)
    : options_(o), store_(std::make_unique<ParameterStore>(seed.value_or(0))) {
  check_vit_tower_options(o, "a vision transformer");
  const Init weights = drawn_for(seed);
  if (o.prefix > 0) prefix_tokens_ = store_->add("prefix_tokens", {o.prefix, o.width}, weights);
  if (o.registers > 0) registers_ = store_->add("register_tokens", {o.registers, o.width}, weights);
  positions_ = store_->add("pos_embed", {o.prefix + o.grid * o.grid, o.width}, weights);
  patch_kernel_ = store_->add("patch_embed.proj.weight", {o.width, 3, o.patch, o.patch}, weights);
  if (o.patch_bias) patch_bias_ = store_->add("patch_embed.proj.bias", {o.width}, Init::kZeros);
  if (o.norm_before) norm_before_ = add_layer_norm(*store_, "norm_pre.", o.width, o.eps);
  for (std::int64_t i = 0; i < o.depth; ++i) {
    blocks_.push_back(add_block(*store_, "blocks." + std::to_string(i) + ".", o, weights));
  }
  if (o.norm_after) norm_after_ = add_layer_norm(*store_, "norm.", o.width, o.eps);
  if (o.fc_norm) fc_norm_ = add_layer_norm(*store_, "fc_norm.", o.width, o.eps);
  if (o.pooling == TowerPooling::kClassDense) pooler_ = add_linear(*store_, "pooler.", o.width, o.width, weights);
  if (o.pooling == TowerPooling::kProjected) projection_ = store_->add("projection", {o.embed, o.width}, weights);
  if (o.pooling == TowerPooling::kAttention) {
    probe_ = store_->add("attn_pool.probe", {1, o.width}, weights);
    pool_.qkv = add_linear(*store_, "attn_pool.qkv.", o.width, 3 * o.width, weights);
    pool_.proj = add_linear(*store_, "attn_pool.proj.", o.width, o.width, weights);
    pool_.norm2 = add_layer_norm(*store_, "attn_pool.norm.", o.width, o.eps);
    pool_.fc1 = add_linear(*store_, "attn_pool.mlp.fc1.", o.width, o.pool_inner, weights);
    pool_.fc2 = add_linear(*store_, "attn_pool.mlp.fc2.", o.pool_inner, o.width, weights);
  }
}

void VitNet::to(const at::Device& device) {
  const std::lock_guard lock(resized_mutex_);
  store_->to(device);
  resized_ = at::Tensor();
}

VitNet::Grid VitNet::grid_of(const at::Tensor& pixels) const {
  if (pixels.dim() == 4 && pixels.size(1) == 3 && pixels.size(2) >= options_.patch &&
      pixels.size(3) >= options_.patch) {
    return {pixels.size(2) / options_.patch, pixels.size(3) / options_.patch};
  }
  throw DataError("pictures",
                  fmt::format("have the shape ({}), but this tower reads (B, 3, H, W) of at least {} pixels "
                              "a side, the side of a patch",
                              fmt::join(pixels.sizes(), ", "), options_.patch));
}

at::Tensor VitNet::positions(const Grid& grid) const {
  const std::int64_t trained = options_.grid, prefix = options_.prefix, width = options_.width;
  if (grid.rows == trained && grid.columns == trained) return positions_;
  const std::lock_guard lock(resized_mutex_);
  if (resized_.defined() && grid.rows == resized_grid_.rows && grid.columns == resized_grid_.columns) return resized_;
  const at::Tensor map =
      positions_.slice(0, prefix).view({1, trained, trained, width}).permute({0, 3, 1, 2}).contiguous();
  const at::Tensor resized = options_.antialias ? at::_upsample_bicubic2d_aa(map, {grid.rows, grid.columns}, false)
                                                : at::upsample_bicubic2d(map, {grid.rows, grid.columns}, false);
  resized_ = at::cat({positions_.slice(0, 0, prefix), resized[0].flatten(1).t()}).contiguous();
  resized_grid_ = grid;
  return resized_;
}

at::Tensor VitNet::stream_start(const at::Tensor& pixels, const Grid& grid) const {
  const std::int64_t batch = pixels.size(0), width = options_.width, prefix = options_.prefix;
  const at::Tensor patches =
      matmul_nt(unfold_patches(pixels.to(device(), at::kFloat), options_.patch), patch_kernel_.flatten(1));
  const at::Tensor where = positions(grid);
  at::Tensor tokens = at::empty({batch, before_patches() + grid.patches(), width}, patch_kernel_.options());
  if (prefix > 0) tokens.slice(1, 0, prefix).copy_(prefix_tokens_ + where.slice(0, 0, prefix));
  if (registers_.defined()) tokens.slice(1, prefix, before_patches()).copy_(registers_);
  at::Tensor rest = tokens.slice(1, before_patches()), added = where.slice(0, prefix);
  if (patch_bias_.defined()) added = added + patch_bias_;
  at::add_out(rest, patches.view({batch, -1, width}), added);
  if (!options_.norm_before) return tokens;
  return norm_before_(tokens.view({-1, width})).to(at::kFloat).view_as(tokens);
}

at::Tensor VitNet::pooled_of(const at::Tensor& prefix_BPD) const {
  const at::Tensor first = prefix_BPD.select(1, 0);
  switch (options_.pooling) {
    case TowerPooling::kClassDense:
      return at::tanh(pooler_(first.contiguous()).to(at::kFloat));
    case TowerPooling::kTokens:
      return prefix_BPD.mean(at::IntArrayRef{1});
    case TowerPooling::kProjected:
      return matmul_nt(first.contiguous(), projection_);
    default:
      return first;
  }
}

at::Tensor VitNet::attended_pool(const at::Tensor& patches_BND) const {
  const std::int64_t batch = patches_BND.size(0), count = patches_BND.size(1), width = options_.width;
  const Linear ask{pool_.qkv.weight.narrow(0, 0, width), pool_.qkv.bias.narrow(0, 0, width)};
  const Linear answer{pool_.qkv.weight.narrow(0, width, 2 * width), pool_.qkv.bias.narrow(0, width, 2 * width)};
  const auto segments = std::make_shared<Segments>();
  for (std::int64_t i = 0; i < batch; ++i) segments->list.push_back({i, 1, i * count, count});
  segments->q_rows = batch;
  segments->k_rows = batch * count;
  const at::Tensor query = ask(probe_).expand({batch, width}).contiguous();
  const at::Tensor keys = answer(patches_BND.reshape({batch * count, width}));
  const at::Tensor attended = pool_.proj(cross_attention(query, keys, options_.heads, segments)).to(at::kFloat);
  const at::Tensor hidden = activate(matmul_nt(pool_.norm2(attended), pool_.fc1.weight), pool_.fc1.bias, options_);
  return attended + pool_.fc2(hidden).to(at::kFloat);
}

VitNet::Encoded VitNet::encode_part(const at::Tensor& pixels, const Grid& grid, bool patches) const {
  const std::int64_t batch = pixels.size(0), width = options_.width, before = before_patches();
  const at::Tensor stream = stream_start(pixels, grid).view({-1, width});
  const std::int64_t length = stream.size(0) / batch;
  const SegmentsPtr segments = Segments::uniform(batch, length);
  ResidualNorm x{stream, blocks_.front().norm1(stream)};
  for (std::size_t i = 0; i + 1 < blocks_.size(); ++i) {
    x = run(blocks_[i], x, segments, blocks_[i + 1].norm1, options_);
  }
  const bool of_patches = options_.pooling == TowerPooling::kAverage || options_.pooling == TowerPooling::kAttention;
  // Without a final norm the stream is what is read, and any norm will do.
  const LayerNorm& final_norm = options_.norm_after ? norm_after_ : blocks_.back().norm2;
  const auto read = [&](const ResidualNorm& end, std::int64_t rows) {
    return (options_.norm_after ? end.out : end.sum).to(at::kFloat).view({batch, rows, width});
  };
  if (!patches && !of_patches) {
    const std::int64_t count = options_.prefix;
    return {pooled_of(read(run_first(blocks_.back(), x, length, count, final_norm, options_), count)), {}};
  }
  const at::Tensor last = read(run(blocks_.back(), x, segments, final_norm, options_), length);
  const at::Tensor map = last.slice(1, before);
  Encoded encoded;
  if (patches) encoded.patches = map;
  if (options_.pooling == TowerPooling::kAttention) {
    encoded.pooled = attended_pool(map);
  } else if (options_.pooling == TowerPooling::kAverage) {
    encoded.pooled = map.mean(at::IntArrayRef{1});
    if (options_.fc_norm) encoded.pooled = fc_norm_(encoded.pooled);
  } else {
    encoded.pooled = pooled_of(last.slice(1, 0, options_.prefix));
  }
  return encoded;
}

TowerFeatures VitNet::encode(const at::Tensor& pixels, bool patches) const {
  const at::NoGradGuard no_grad;
  const Grid grid = grid_of(pixels);
  const std::int64_t count = pixels.size(0);
  TowerFeatures out;
  out.rows = grid.rows;
  out.columns = grid.columns;
  out.pooled_BP = at::empty({count, options_.pooled_width()}, patch_kernel_.options());
  if (patches) out.patches_BND = at::empty({count, grid.patches(), options_.width}, patch_kernel_.options());
  if (count == 0) return out;
  in_parts(
      count, device(), [&](std::int64_t) { return before_patches() + grid.patches(); },
      [&](std::int64_t begin, std::int64_t end) {
        const Encoded part = encode_part(pixels.slice(0, begin, end), grid, patches);
        out.pooled_BP.slice(0, begin, end).copy_(part.pooled);
        if (patches) out.patches_BND.slice(0, begin, end).copy_(part.patches);
      });
  return out;
}

}  // namespace vicha

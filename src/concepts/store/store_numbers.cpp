#include "concepts/store/store_numbers.h"

#include <ATen/Functions.h>
#include <c10/util/Half.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/error.h"
#include "concepts/store/store_format.h"

namespace vicha::store_detail {
namespace {

constexpr float kMostInt8 = 127;

/// -127 to 127, halves away from zero.
std::int8_t nearest_int8(float x, float scale) {
  const float q = x / scale;
  return static_cast<std::int8_t>(q >= 0 ? q + 0.5F : q - 0.5F);
}

/// One vector; false where a number is not finite, or would not be when it is read back.
bool encode_int8(const float* in, std::int64_t width, float& scale, std::int8_t* out, StoreLoss& loss) {
  float largest = 0;
  bool finite = true;
  for (std::int64_t i = 0; i < width; ++i) {
    const float size = std::fabs(in[i]);
    finite = finite && size <= std::numeric_limits<float>::max();  // false of NaN, too
    largest = size > largest ? size : largest;
  }
  scale = finite ? int8_scale(largest) : 0;
  if (!finite || !std::isfinite(kMostInt8 * scale)) return false;
  double dot = 0, before = 0, after = 0;
  for (std::int64_t i = 0; i < width; ++i) {
    out[i] = scale > 0 ? nearest_int8(in[i], scale) : std::int8_t{0};
    const double x = in[i], y = static_cast<double>(out[i]) * static_cast<double>(scale);
    dot += x * y;
    before += x * x;
    after += y * y;
  }
  const double lengths = std::sqrt(before) * std::sqrt(after);
  loss.add(lengths > 0 ? dot / lengths : largest > 0 ? 0.0 : 1.0);
  return true;
}

EncodedRecords encode_int8_records(const StoreShape& shape, const at::Tensor& rows, StoreLoss& loss) {
  const at::Tensor numbers = rows.to(at::kFloat).contiguous();
  const auto records = numbers.size(0);
  const std::size_t each = record_bytes(shape), scales = static_cast<std::size_t>(shape.vectors) * sizeof(float);
  EncodedRecords encoded{std::vector<char>(static_cast<std::size_t>(records) * each)};
  const float* in = numbers.const_data_ptr<float>();
  StoreLoss added = loss;
  for (std::int64_t r = 0; r < records; ++r) {
    char* const record = encoded.bytes.data() + static_cast<std::size_t>(r) * each;
    for (std::int64_t v = 0; v < shape.vectors; ++v, in += shape.width) {
      float scale = 0;
      auto* const out = reinterpret_cast<std::int8_t*>(record + scales + v * shape.width);
      if (!encode_int8(in, shape.width, scale, out, added)) {
        encoded.not_finite = r;
        return encoded;
      }
      std::memcpy(record + v * static_cast<std::int64_t>(sizeof(float)), &scale, sizeof(float));
    }
  }
  loss = added;
  return encoded;
}

void plain_halves(const std::byte* in, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, in + 2 * i, 2);
    out[i] = c10::Half(bits, c10::Half::from_bits());
  }
}

void plain_int8(const std::byte* in, std::int64_t count, float scale, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(static_cast<std::int8_t>(in[i])) * scale;
}

#if defined(__x86_64__)
/// Processors with AVX2 have the conversions of fp16 (F16C), too.
bool has_vectors() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}

__attribute__((target("avx2,f16c"))) std::int64_t vector_halves(const std::byte* in, std::int64_t count, float* out) {
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 2 * i))));
  }
  return i;
}

__attribute__((target("avx2"))) std::int64_t vector_int8(const std::byte* in, std::int64_t count, float scale,
                                                         float* out) {
  const __m256 times = _mm256_set1_ps(scale);
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256i whole = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(in + i)));
    _mm256_storeu_ps(out + i, _mm256_mul_ps(_mm256_cvtepi32_ps(whole), times));
  }
  return i;
}
#endif

void decode_halves(const std::byte* in, std::int64_t count, float* out) {
  std::int64_t done = 0;
#if defined(__x86_64__)
  if (has_vectors()) done = vector_halves(in, count, out);
#endif
  plain_halves(in + 2 * done, count - done, out + done);
}

void decode_int8(const std::byte* in, std::int64_t count, float scale, float* out) {
  std::int64_t done = 0;
#if defined(__x86_64__)
  if (has_vectors()) done = vector_int8(in, count, scale, out);
#endif
  plain_int8(in + done, count - done, scale, out + done);
}

}  // namespace

float int8_scale(float largest) {
  constexpr std::uint32_t kDropped = 0xff;  // of the 24 significant bits of fp32
  const auto bits = std::bit_cast<std::uint32_t>(largest / kMostInt8);
  const auto scale = std::bit_cast<float>((bits + kDropped) & ~kDropped);
  return scale >= std::numeric_limits<float>::min() ? scale : 0;
}

EncodedRecords encode_numbers(const StoreShape& shape, const at::Tensor& rows, StoreLoss& loss) {
  const at::Tensor given = rows.detach().to(at::kCPU).reshape({rows.size(0), shape.vectors, shape.width});
  if (shape.type == StoreType::kInt8) return encode_int8_records(shape, given, loss);
  const at::Tensor stored = given.to(shape.type == StoreType::kFloat32 ? at::kFloat : at::kHalf).contiguous();
  const char* const data = static_cast<const char*>(stored.const_data_ptr());
  EncodedRecords encoded{std::vector<char>(data, data + stored.nbytes())};
  const at::Tensor finite = at::isfinite(stored).flatten(1).all(1);
  for (std::int64_t i = 0; i < finite.size(0) && !encoded.not_finite; ++i) {
    if (!finite.const_data_ptr<bool>()[i]) encoded.not_finite = i;
  }
  return encoded;
}

void decode_numbers(const StoreShape& shape, std::span<const std::byte> record, std::int64_t first, std::int64_t count,
                    float* out) {
  VICHA_ASSERT(first >= 0 && count >= 0 && count <= shape.vectors - first && record.size() == record_bytes(shape));
  const std::int64_t begin = first * shape.width, numbers = count * shape.width;
  switch (shape.type) {
    case StoreType::kFloat32:
      std::memcpy(out, record.data() + 4 * begin, static_cast<std::size_t>(numbers) * sizeof(float));
      return;
    case StoreType::kFloat16:
      decode_halves(record.data() + 2 * begin, numbers, out);
      return;
    case StoreType::kInt8:
      break;
  }
  const std::byte* const whole = record.data() + shape.vectors * static_cast<std::int64_t>(sizeof(float));
  for (std::int64_t v = first; v < first + count; ++v, out += shape.width) {
    float scale;
    std::memcpy(&scale, record.data() + v * static_cast<std::int64_t>(sizeof(float)), sizeof(float));
    decode_int8(whole + v * shape.width, shape.width, scale, out);
  }
}

}  // namespace vicha::store_detail

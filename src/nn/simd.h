// Row kernels are compiled for several instruction sets and the best one that the machine has is run, so that one
// binary serves every machine of its architecture. A kernel is an entry point, whose body is always inlined:
//   VICHA_INLINE float sum_body(const float* x, std::int64_t n) { … }
//   VICHA_MULTIVERSION float sum(const float* x, std::int64_t n) { return VICHA_WIDEST(sum_body(x, n)); }
// g++ clones the entry point and picks when the program starts. clang's clones trap in specialised templates and,
// before version 18, cannot be called from other units: there the entry point calls one of three copies of the body.
#pragma once

#define VICHA_INLINE inline __attribute__((always_inline))

#if !defined(__x86_64__) || !defined(__GNUC__) || defined(__SANITIZE_ADDRESS__)

#define VICHA_MULTIVERSION
#define VICHA_WIDEST(...) (__VA_ARGS__)

#elif !defined(__clang__)

#define VICHA_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define VICHA_WIDEST(...) (__VA_ARGS__)

#else

#define VICHA_MULTIVERSION
#define VICHA_WIDEST(...) ::vicha::simd::widest([&]() __attribute__((always_inline)) { return __VA_ARGS__; })

namespace vicha::simd {

template <class Body>
__attribute__((target("arch=x86-64-v4"), noinline)) auto with_v4(const Body& body) {
  return body();
}
template <class Body>
__attribute__((target("arch=x86-64-v3"), noinline)) auto with_v3(const Body& body) {
  return body();
}

/// Runs body() as compiled for the widest registers; what the processor has was read before main, so asking costs a
/// load.
template <class Body>
VICHA_INLINE auto widest(const Body& body) {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return with_v4(body);
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
    return with_v3(body);
  }
  return body();
}

}  // namespace vicha::simd

#endif

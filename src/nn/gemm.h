// Small single-threaded products inside a thread's share of the work.
#pragma once

#include <cstdint>

#ifdef VICHA_HAVE_SGEMM
extern "C" void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);
#endif

namespace vicha {

#ifdef VICHA_HAVE_SGEMM
/// C (M, N) = alpha op(A) op(B) + beta C, row-major, rows `ld*` apart.
inline void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
                 const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
                 std::int64_t ldc) {
  // BLAS is column-major: it sees every matrix transposed, so the operands change places.
  const int mi = static_cast<int>(n), ni = static_cast<int>(m), ki = static_cast<int>(k);
  const int la = static_cast<int>(ldb), lb = static_cast<int>(lda), lc = static_cast<int>(ldc);
  sgemm_(transpose_b ? "T" : "N", transpose_a ? "T" : "N", &mi, &ni, &ki, &alpha, b, &la, a, &lb, &beta, c, &lc);
}
#endif

}  // namespace vicha

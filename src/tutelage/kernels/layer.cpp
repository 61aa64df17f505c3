// What a layer does besides products and attention, in one pass each: the norm, and the gate.

#include <omp.h>

#include <cmath>

#include "numbers.h"

namespace {

constexpr size ROWS = 32;  // whose share of a norm's weight gradient is added up together

inline __m512 constant(float x) { return _mm512_set1_ps(x); }

// out = weight * x / rms(x), rows of x; the reciprocal roots are kept for the way back.
template <class T>
void norm(const float* x, const float* weight, typename T::number* out, float* roots, size rows,
          size width, float epsilon, int threads) {
#pragma omp parallel for num_threads(threads)
    for (size r = 0; r < rows; r++) {
        const float* row = x + r * width;
        __m512 squares = _mm512_setzero_ps();
        for (size d = 0; d < width; d += LANES) {
            const __m512 a = _mm512_loadu_ps(row + d);
            squares = _mm512_fmadd_ps(a, a, squares);
        }
        roots[r] = 1.0f / std::sqrt(_mm512_reduce_add_ps(squares) / float(width) + epsilon);
        const __m512 root = constant(roots[r]);
        for (size d = 0; d < width; d += LANES) {
            const __m512 scaled = _mm512_mul_ps(_mm512_loadu_ps(row + d), root);
            T::store(out + r * width + d, _mm512_mul_ps(_mm512_loadu_ps(weight + d), scaled));
        }
    }
}

// Gradient of x, and per ROWS rows their share of the weight's.
template <class T>
void norm_back(const typename T::number* grad, const float* x, const float* weight,
               const float* roots, float* dx, float* shares, size rows, size width, int threads) {
    const size blocks = (rows + ROWS - 1) / ROWS;
#pragma omp parallel for num_threads(threads)
    for (size b = 0; b < blocks; b++) {
        float* share = shares + b * width;
        for (size d = 0; d < width; d += LANES) _mm512_storeu_ps(share + d, _mm512_setzero_ps());
        for (size r = b * ROWS; r < rows && r < (b + 1) * ROWS; r++) {
            const float* row = x + r * width;
            const typename T::number* given = grad + r * width;
            const __m512 root = constant(roots[r]);
            __m512 along = _mm512_setzero_ps();
            for (size d = 0; d < width; d += LANES) {
                const __m512 g = T::load(given + d), a = _mm512_loadu_ps(row + d);
                const __m512 ga = _mm512_mul_ps(g, a);
                along = _mm512_fmadd_ps(ga, _mm512_loadu_ps(weight + d), along);
                _mm512_storeu_ps(share + d, _mm512_fmadd_ps(ga, root, _mm512_loadu_ps(share + d)));
            }
            const float cube = roots[r] * roots[r] * roots[r] / float(width);
            const __m512 back = constant(_mm512_reduce_add_ps(along) * cube);
            for (size d = 0; d < width; d += LANES) {
                const __m512 g = _mm512_mul_ps(T::load(given + d), _mm512_loadu_ps(weight + d));
                const __m512 off = _mm512_mul_ps(_mm512_loadu_ps(row + d), back);
                _mm512_storeu_ps(dx + r * width + d, _mm512_fmsub_ps(g, root, off));
            }
        }
    }
}

// 1 / (1 + e^-x)
inline __m512 sigmoid(__m512 x) {
    const __m512 one = constant(1.0f);
    const __m512 e = exponential(_mm512_sub_ps(_mm512_setzero_ps(), _mm512_abs_ps(x)));
    const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    return _mm512_div_ps(_mm512_mask_mov_ps(one, negative, e), _mm512_add_ps(one, e));
}

// out = silu(gate) * up
template <class T>
void gated(const typename T::number* gate, const typename T::number* up, typename T::number* out,
           size count, int threads) {
#pragma omp parallel for num_threads(threads)
    for (size i = 0; i < count; i += LANES) {
        const __m512 g = T::load(gate + i);
        const __m512 open = _mm512_mul_ps(g, sigmoid(g));
        T::store(out + i, _mm512_mul_ps(open, T::load(up + i)));
    }
}

template <class T>
void gated_back(const typename T::number* grad, const typename T::number* gate,
                const typename T::number* up, typename T::number* dgate, typename T::number* dup,
                size count, int threads) {
#pragma omp parallel for num_threads(threads)
    for (size i = 0; i < count; i += LANES) {
        const __m512 d = T::load(grad + i), g = T::load(gate + i), s = sigmoid(g);
        const __m512 open = _mm512_mul_ps(g, s);
        // silu' = s + g s (1 - s)
        const __m512 steep = _mm512_fmadd_ps(open, _mm512_sub_ps(constant(1.0f), s), s);
        T::store(dup + i, _mm512_mul_ps(d, open));
        T::store(dgate + i, _mm512_mul_ps(_mm512_mul_ps(d, T::load(up + i)), steep));
    }
}

}  // namespace

extern "C" {

int64_t norm_rows() { return ROWS; }

void norm_forward(int bf16, const float* x, const float* weight, void* out, float* roots,
                  int64_t rows, int64_t width, float epsilon, int threads) {
    if (bf16)
        norm<Bf16>(x, weight, (uint16_t*)out, roots, rows, width, epsilon, threads);
    else
        norm<Fp32>(x, weight, (float*)out, roots, rows, width, epsilon, threads);
}

void norm_backward(int bf16, const void* grad, const float* x, const float* weight,
                   const float* roots, float* dx, float* shares, int64_t rows, int64_t width,
                   int threads) {
    if (bf16)
        norm_back<Bf16>((const uint16_t*)grad, x, weight, roots, dx, shares, rows, width, threads);
    else
        norm_back<Fp32>((const float*)grad, x, weight, roots, dx, shares, rows, width, threads);
}

void gate_forward(int bf16, const void* gate, const void* up, void* out, int64_t count,
                  int threads) {
    if (bf16)
        gated<Bf16>((const uint16_t*)gate, (const uint16_t*)up, (uint16_t*)out, count, threads);
    else
        gated<Fp32>((const float*)gate, (const float*)up, (float*)out, count, threads);
}

void gate_backward(int bf16, const void* grad, const void* gate, const void* up, void* dgate,
                   void* dup, int64_t count, int threads) {
    if (bf16)
        gated_back<Bf16>((const uint16_t*)grad, (const uint16_t*)gate, (const uint16_t*)up,
                         (uint16_t*)dgate, (uint16_t*)dup, count, threads);
    else
        gated_back<Fp32>((const float*)grad, (const float*)gate, (const float*)up, (float*)dgate,
                         (float*)dup, count, threads);
}
}

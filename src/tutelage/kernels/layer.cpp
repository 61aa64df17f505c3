// What a layer does besides products and attention, in one pass each: norm, rotation, and gate.

#include <omp.h>

#include <cmath>

#include "numbers.h"

namespace {

constexpr size ROWS = 32;  // whose share of a norm's weight gradient is added up together

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

struct Heads {
    size tokens, heads, width;
    size token, head;  // steps of what is read, in numbers; what is written has no gaps
};

// Pairs (d, d + half) of each head, turned by its token's angles, or (BACK) the gradient of that.
template <class In, class Out, bool BACK>
void rotated(const typename In::number* x, const float* cosine, const float* sine,
             typename Out::number* out, const Heads& of, int threads) {
    const size half = of.width / 2;
#pragma omp parallel for num_threads(threads)
    for (size t = 0; t < of.tokens; t++)
        for (size d = 0; d < half; d += LANES) {
            const __mmask16 here = lanes(half - d);
            const size low = t * of.width + d, high = low + half;
            const __m512 cos1 = Fp32::load(cosine + low, here);
            const __m512 cos2 = Fp32::load(cosine + high, here);
            const __m512 sin1 = Fp32::load(sine + low, here);
            const __m512 sin2 = Fp32::load(sine + high, here);
            for (size h = 0; h < of.heads; h++) {
                const typename In::number* from = x + t * of.token + h * of.head + d;
                typename Out::number* to = out + (t * of.heads + h) * of.width + d;
                const __m512 a = In::load(from, here), b = In::load(from + half, here);
                const __m512 ac = _mm512_mul_ps(a, cos1), bc = _mm512_mul_ps(b, cos2);
                if (BACK) {
                    Out::store(to, _mm512_fmadd_ps(b, sin2, ac), here);
                    Out::store(to + half, _mm512_fnmadd_ps(a, sin1, bc), here);
                } else {
                    Out::store(to, _mm512_fnmadd_ps(b, sin1, ac), here);
                    Out::store(to + half, _mm512_fmadd_ps(a, sin2, bc), here);
                }
            }
        }
}

template <class In, class Out>
void rotate_as(int back, const void* x, const float* cosine, const float* sine, void* out,
               const Heads& of, int threads) {
    const auto from = (const typename In::number*)x;
    const auto to = (typename Out::number*)out;
    if (back)
        rotated<In, Out, true>(from, cosine, sine, to, of, threads);
    else
        rotated<In, Out, false>(from, cosine, sine, to, of, threads);
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

void rotate(int in_bf16, int out_bf16, int back, const void* x, const float* cosine,
            const float* sine, void* out, int64_t tokens, int64_t heads, int64_t width,
            int64_t token, int64_t head, int threads) {
    const Heads of = {tokens, heads, width, token, head};
    if (in_bf16 && out_bf16)
        rotate_as<Bf16, Bf16>(back, x, cosine, sine, out, of, threads);
    else if (in_bf16)
        rotate_as<Bf16, Fp32>(back, x, cosine, sine, out, of, threads);
    else if (out_bf16)
        rotate_as<Fp32, Bf16>(back, x, cosine, sine, out, of, threads);
    else
        rotate_as<Fp32, Fp32>(back, x, cosine, sine, out, of, threads);
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

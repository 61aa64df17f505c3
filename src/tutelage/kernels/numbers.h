// Registers of AVX-512: loads and stores of fp32 and bf16, and what is not an instruction.

#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace {

constexpr int LANES = 16;  // fp32 in a register

using word = uint32_t;
using size = ptrdiff_t;

struct Fp32 {
    using number = float;
    struct Scope {};  // what a thread sets up before it multiplies
    static constexpr int PAIR = 1;
    static constexpr int DEEP = 1;  // words of a sum that a product reads at a time
    static __m512 multiply_add(__m512 sum, word a, __m512i b) {
        const __m512 one = _mm512_castsi512_ps(_mm512_set1_epi32(int(a)));
        return _mm512_fmadd_ps(one, _mm512_castsi512_ps(b), sum);
    }
    static __m512 load(const number* from) { return _mm512_loadu_ps(from); }
    static void store(number* to, __m512 x) { _mm512_storeu_ps(to, x); }
    // Rows as columns of pairs, and as rows.
    static void store_pairs(word* to, const __m512* x) { _mm512_storeu_ps((float*)to, x[0]); }
    static void store_both(word* to, number* rows, size, const __m512* x) {
        store_pairs(to, x);
        store(rows, x[0]);
    }
    static __m512 load(const number* from, __mmask16 here) {
        return _mm512_maskz_loadu_ps(here, from);
    }
    static void store(number* to, __m512 x, __mmask16 here) { _mm512_mask_storeu_ps(to, here, x); }
};

struct Bf16 {
    using number = uint16_t;
    struct Scope {};
    static constexpr int PAIR = 2;
    static constexpr int DEEP = 1;
    static __m512 multiply_add(__m512 sum, word a, __m512i b) {
        return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32(int(a)), (__m512bh)b);
    }
    static __m512i widen(__m256i x) { return _mm512_cvtepu16_epi32(x); }
    static __m512 load(const number* from) {
        const __m512i x = widen(_mm256_loadu_si256((const __m256i*)from));
        return _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
    }
    static void store(number* to, __m512 x) {
        _mm256_storeu_si256((__m256i*)to, (__m256i)_mm512_cvtneps_pbh(x));
    }
    static __m512 load(const number* from, __mmask16 here) {
        const __m512i x = widen(_mm256_maskz_loadu_epi16(here, from));
        return _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
    }
    static void store(number* to, __m512 x, __mmask16 here) {
        _mm256_mask_storeu_epi16(to, here, (__m256i)_mm512_cvtneps_pbh(x));
    }
    // Two registers as one of pairs.
    static __m512i pair(__m256i one, __m256i two) {
        const __m512i high = _mm512_slli_epi32(widen(two), 16);
        return _mm512_or_si512(widen(one), high);
    }
    static void store_pairs(word* to, const __m512* x) {
        _mm512_storeu_si512(to, in_turn((__m512i)_mm512_cvtne2ps_pbh(x[1], x[0])));
    }
    static void store_both(word* to, number* rows, size stride, const __m512* x) {
        const __m512i two = (__m512i)_mm512_cvtne2ps_pbh(x[1], x[0]);
        _mm512_storeu_si512(to, in_turn(two));
        _mm256_storeu_si256((__m256i*)rows, _mm512_castsi512_si256(two));
        _mm256_storeu_si256((__m256i*)(rows + stride), _mm512_extracti64x4_epi64(two, 1));
    }
    // Of two halves, one number of each in turn.
    static __m512i in_turn(__m512i two) {
        const __m512i even = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        const __m512i odd = _mm512_slli_epi32(_mm512_add_epi32(even, _mm512_set1_epi32(16)), 16);
        return _mm512_permutexvar_epi16(_mm512_or_si512(even, odd), two);
    }
};

inline __m512 constant(float x) { return _mm512_set1_ps(x); }

// The lanes of a register that numbers are left for.
inline __mmask16 lanes(size left) {
    return left >= LANES ? __mmask16(0xffff) : __mmask16((1u << left) - 1);
}

// e^x for x <= 0, and zero below -87, where fp32 ends; relative error near 1e-7. No number stays
// so.
inline __m512 exponential(__m512 x) {
    const __m512 low = _mm512_set1_ps(-87.0f);
    const __mmask16 tiny = _mm512_cmp_ps_mask(x, low, _CMP_LT_OQ);
    x = _mm512_max_ps(low, x);
    const __m512 scaled = _mm512_mul_ps(x, _mm512_set1_ps(1.44269504f));
    const __m512 n = _mm512_roundscale_ps(scaled, 0);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.0f / 720);
    for (float c : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
    return _mm512_maskz_scalef_ps(__mmask16(~tiny), p, n);
}

}  // namespace

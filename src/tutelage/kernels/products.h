// Small matrix products for CPUs with AVX-512, in fp32 and in bf16 with sums in fp32.
//
// Every product is "one number of A times a row of B", summed. In bf16 that number is a pair, and
// so is each element of the row: VDPBF16PS multiplies pairs and adds both products. Arrays are
// counted in words of 32 bits therefore, which hold one fp32 or two bf16, and strides are in words.

#pragma once

#include <cstring>

#include "numbers.h"

namespace {

constexpr int TALL = 6, WIDE = 4;  // rows and registers of a tile: 24 sums in 32 registers

inline size padded(size n, size to = LANES) { return (n + to - 1) / to * to; }

// C (M rows, 16 V columns) = or += sum over i < k of A(m, i) times row i of B.
template <class T, int M, int V>
inline void tile(const word* a, size a_m, const word* b, size b_k, float* c, size c_m, size k,
                 bool add) {
    __m512 sum[M][V];
    for (int m = 0; m < M; m++)
        for (int v = 0; v < V; v++)
            sum[m][v] = add ? _mm512_loadu_ps(c + m * c_m + v * LANES) : _mm512_setzero_ps();
    for (size i = 0; i < k; i++) {
        __m512i row[V];
        for (int v = 0; v < V; v++) row[v] = _mm512_loadu_si512(b + i * b_k + v * LANES);
        for (int m = 0; m < M; m++) {
            const word one = a[m * a_m + i];
            for (int v = 0; v < V; v++) sum[m][v] = T::multiply_add(sum[m][v], one, row[v]);
        }
    }
    for (int m = 0; m < M; m++)
        for (int v = 0; v < V; v++) _mm512_storeu_ps(c + m * c_m + v * LANES, sum[m][v]);
}

template <class T, int V>
void column_of_tiles(const word* a, size a_m, const word* b, size b_k, float* c, size c_m, size m,
                     size k, bool add) {
    for (; m >= TALL; m -= TALL, a += TALL * a_m, c += TALL * c_m)
        tile<T, TALL, V>(a, a_m, b, b_k, c, c_m, k, add);
    switch (m) {
        case 5:
            return tile<T, 5, V>(a, a_m, b, b_k, c, c_m, k, add);
        case 4:
            return tile<T, 4, V>(a, a_m, b, b_k, c, c_m, k, add);
        case 3:
            return tile<T, 3, V>(a, a_m, b, b_k, c, c_m, k, add);
        case 2:
            return tile<T, 2, V>(a, a_m, b, b_k, c, c_m, k, add);
        case 1:
            return tile<T, 1, V>(a, a_m, b, b_k, c, c_m, k, add);
    }
}

// The same for any m and k, and n a multiple of LANES. Of A, word (m, i) is a[m * a_m + i].
template <class T>
__attribute__((noinline)) void multiply(const word* a, size a_m, const word* b, size b_k, float* c,
                                        size c_m, size m, size n, size k, bool add) {
    constexpr size WHOLE = WIDE * LANES;
    for (; n >= WHOLE; n -= WHOLE, b += WHOLE, c += WHOLE)
        column_of_tiles<T, WIDE>(a, a_m, b, b_k, c, c_m, m, k, add);
    switch (n / LANES) {
        case 3:
            return column_of_tiles<T, 3>(a, a_m, b, b_k, c, c_m, m, k, add);
        case 2:
            return column_of_tiles<T, 2>(a, a_m, b, b_k, c, c_m, m, k, add);
        case 1:
            return column_of_tiles<T, 1>(a, a_m, b, b_k, c, c_m, m, k, add);
    }
}

// Sixteen registers as the rows of a square, which becomes its columns.
inline void transpose(__m512i square[LANES]) {
    __m512i t[LANES];
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm512_unpacklo_epi32(square[i], square[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(square[i], square[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4)
        for (int j = 0; j < 2; j++) {
            square[i + 2 * j] = _mm512_unpacklo_epi64(t[i + j], t[i + j + 2]);
            square[i + 2 * j + 1] = _mm512_unpackhi_epi64(t[i + j], t[i + j + 2]);
        }
    for (int j = 0; j < 4; j++) {  // lane i of register 4r + j: rows 4r and on of column 4i + j
        const __m512i even = _mm512_shuffle_i32x4(square[j], square[4 + j], 0x88);
        const __m512i odd = _mm512_shuffle_i32x4(square[j], square[4 + j], 0xdd);
        const __m512i more_even = _mm512_shuffle_i32x4(square[8 + j], square[12 + j], 0x88);
        const __m512i more_odd = _mm512_shuffle_i32x4(square[8 + j], square[12 + j], 0xdd);
        t[j] = _mm512_shuffle_i32x4(even, more_even, 0x88);
        t[4 + j] = _mm512_shuffle_i32x4(odd, more_odd, 0x88);
        t[8 + j] = _mm512_shuffle_i32x4(even, more_even, 0xdd);
        t[12 + j] = _mm512_shuffle_i32x4(odd, more_odd, 0xdd);
    }
    std::memcpy(square, t, sizeof t);
}

// Rows of words as columns; rows and words are filled up with zeros to whole squares.
inline void transpose(const word* from, size stride, size rows, size words, word* to,
                      size to_stride) {
    for (size r = 0; r < rows; r += LANES)
        for (size w = 0; w < words; w += LANES) {
            __m512i square[LANES] = {};
            for (size i = 0; i < LANES && r + i < rows; i++)
                square[i] = _mm512_maskz_loadu_epi32(lanes(words - w), from + (r + i) * stride + w);
            transpose(square);
            for (size i = 0; i < LANES; i++)
                _mm512_storeu_si512(to + (w + i) * to_stride + r, square[i]);
        }
}

// Rows as the second factor of a sum over rows: as they are, or two of bf16 as pairs.
template <class T>
inline void pair_rows(const typename T::number* from, size stride, size rows, size width,
                      word* to) {
    if constexpr (T::PAIR == 1) {
        for (size r = 0; r < rows; r++)
            std::memcpy(to + r * width, from + r * stride, width * sizeof(word));
    } else {
        for (size r = 0; r < rows; r += 2, to += width)
            for (size d = 0; d < width; d += LANES) {
                const auto* one = (const __m256i*)(from + r * stride + d);
                const auto* two = (const __m256i*)(from + (r + 1) * stride + d);
                const bool both = r + 1 < rows;
                const __m256i second = both ? _mm256_loadu_si256(two) : _mm256_setzero_si256();
                _mm512_storeu_si512(to + d, Bf16::pair(_mm256_loadu_si256(one), second));
            }
    }
}

}  // namespace

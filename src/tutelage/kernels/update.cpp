// What follows the gradients, in one pass over all weights: their norm, and the update of AdamW.

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "numbers.h"

namespace {

constexpr size CHUNK = 1 << 15;   // numbers that a thread takes at a time
constexpr size SUMMED = 1 << 10;  // numbers whose squares are summed in fp32

// A weight and all that belongs to it. Its gradient is the sum of the two that are there.
struct Weight {
    float* weight;
    float* mean;                   // first moment
    float* square;                 // second moment
    const float* gradient;         // or null
    const uint16_t* low_gradient;  // in bf16, or null
    uint16_t* low;                 // copy in bf16, or null
    int64_t count;
    float decay;  // share of the weight that goes
    float rate;   // divided by the first moment's bias
    float scale;  // one over the root of the second moment's bias
};

struct Rule {
    float beta1, beta2, rest1, rest2;  // a beta and its rest are one
    float epsilon, factor;             // the latter of the gradient
};

inline __m512 gradient(const Weight& w, size i, __mmask16 here) {
    __m512 sum = _mm512_setzero_ps();
    if (w.gradient) sum = Fp32::load(w.gradient + i, here);
    if (w.low_gradient) sum = _mm512_add_ps(sum, Bf16::load(w.low_gradient + i, here));
    return sum;
}

double squares(const Weight& w, size start, size end) {
    double all = 0;
    for (size from = start; from < end; from += SUMMED) {
        const size to = std::min(from + SUMMED, end);
        __m512 sum = _mm512_setzero_ps();
        for (size i = from; i < to; i += LANES) {
            const __m512 g = gradient(w, i, lanes(to - i));
            sum = _mm512_fmadd_ps(g, g, sum);
        }
        all += _mm512_reduce_add_ps(sum);
    }
    return all;
}

void add_up(const Weight& w, size start, size end) {
    for (size i = start; i < end; i += LANES) {
        const __mmask16 here = lanes(end - i);
        Fp32::store(w.weight + i, gradient(w, i, here), here);
    }
}

template <bool LOW>
void update(const Weight& w, const Rule& rule, size start, size end) {
    const __m512 beta1 = constant(rule.beta1), beta2 = constant(rule.beta2);
    const __m512 rest1 = constant(rule.rest1), rest2 = constant(rule.rest2);
    const __m512 factor = constant(rule.factor), epsilon = constant(rule.epsilon);
    const __m512 decay = constant(w.decay), rate = constant(w.rate), scale = constant(w.scale);
    for (size i = start; i < end; i += LANES) {
        const __mmask16 here = lanes(end - i);
        const __m512 g = _mm512_mul_ps(gradient(w, i, here), factor);
        __m512 m = _mm512_mul_ps(Fp32::load(w.mean + i, here), beta1);
        m = _mm512_fmadd_ps(rest1, g, m);
        __m512 v = _mm512_mul_ps(Fp32::load(w.square + i, here), beta2);
        v = _mm512_fmadd_ps(_mm512_mul_ps(rest2, g), g, v);
        Fp32::store(w.mean + i, m, here);
        Fp32::store(w.square + i, v, here);
        const __m512 under = _mm512_fmadd_ps(_mm512_sqrt_ps(v), scale, epsilon);
        __m512 x = Fp32::load(w.weight + i, here);
        x = _mm512_fnmadd_ps(decay, x, x);
        x = _mm512_fnmadd_ps(rate, _mm512_div_ps(m, under), x);
        Fp32::store(w.weight + i, x, here);
        if (LOW) Bf16::store(w.low + i, x, here);
    }
}

struct Chunk {
    const Weight* weight;
    size start, end;
};

std::vector<Chunk> chunks(const Weight* weights, size number) {
    std::vector<Chunk> found;
    for (const Weight* w = weights; w < weights + number; w++)
        for (size start = 0; start < w->count; start += CHUNK)
            found.push_back({w, start, std::min(start + CHUNK, size(w->count))});
    return found;
}

}  // namespace

extern "C" {

// Sum of the squares of all gradients; by chunks, whatever the number of threads.
double gradient_squares(const void* weights, int64_t number, int threads) {
    const std::vector<Chunk> all = chunks((const Weight*)weights, number);
    std::vector<double> parts(all.size());
#pragma omp parallel for num_threads(threads)
    for (size c = 0; c < size(all.size()); c++)
        parts[c] = squares(*all[c].weight, all[c].start, all[c].end);
    double sum = 0;
    for (double part : parts) sum += part;
    return sum;
}

// Both gradients' sum, to where the weight is said to be.
void sum_gradients(const void* weights, int64_t number, int threads) {
    const std::vector<Chunk> all = chunks((const Weight*)weights, number);
#pragma omp parallel for num_threads(threads)
    for (size c = 0; c < size(all.size()); c++) add_up(*all[c].weight, all[c].start, all[c].end);
}

void adamw(const void* weights, int64_t number, const void* rule, int threads) {
    const std::vector<Chunk> all = chunks((const Weight*)weights, number);
#pragma omp parallel for num_threads(threads)
    for (size c = 0; c < size(all.size()); c++) {
        const Chunk& chunk = all[c];
        if (chunk.weight->low)
            update<true>(*chunk.weight, *(const Rule*)rule, chunk.start, chunk.end);
        else
            update<false>(*chunk.weight, *(const Rule*)rule, chunk.start, chunk.end);
    }
}
}

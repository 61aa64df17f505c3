// What attention over a prefix tree is made of: the tree, its keys and values as factors of
// products, and what becomes of a row of scores.

#pragma once

#include <algorithm>
#include <cmath>

#include "tiles.h"

namespace {

constexpr int ROWS = 32;          // queries of a block
constexpr int CHUNK = 256;        // keys that it meets at a time
constexpr int SLACK = 3 * LANES;  // more columns than keys, so that whole tiles can be read

struct Tensor {
    char* data;
    int64_t token, head;  // strides in numbers; the last dimension is dense
    template <class T>
    typename T::number* at(size n, size h) const {
        return (typename T::number*)data + n * token + h * head;
    }
    template <class T>
    const word* words(size n, size h) const {
        return (const word*)at<T>(n, h);
    }
};

}  // namespace

extern "C" {

struct Tree {
    int64_t parts;              // that see nothing of each other
    const int64_t* part;        // (parts + 1) first tokens
    const int64_t* part_block;  // (parts + 1) first blocks
    const int64_t* block;       // (blocks, 4) first token, end; first range, end
    const int64_t* range;       // (ranges, 2) first token, end
};

struct Shape {
    int64_t tokens;         // of all parts
    int64_t heads, shared;  // of queries, and how many of them share keys
    int64_t width;          // of a head, a multiple of LANES
    float scale;
    int32_t threads;
};
}

namespace {

// Where the columns of a part begin, and with `parts` how many all have.
inline size place(const Tree& tree, size part) { return padded(tree.part[part]) + part * SLACK; }

// Keys or values of each head, as columns of words or as rows of pairs.
template <class T>
struct Factors {
    const Tree& tree;
    const Shape& shape;
    word* memory;

    size all = place(tree, tree.parts), width = shape.width;
    size deep = padded(width / T::PAIR);  // words of a column

    size across(size part) const { return place(tree, part + 1) - place(tree, part); }
    word* columns(size part, size kv) const {
        return memory + (kv * all + place(tree, part)) * deep;
    }
    word* rows(size part, size kv) const {
        return memory + (kv * all + place(tree, part)) / T::PAIR * width;
    }
    void fill_columns(const Tensor& x, size part, size kv) const {
        const size first = tree.part[part], length = tree.part[part + 1] - first;
        transpose(x.words<T>(first, kv), x.token / T::PAIR, length, width / T::PAIR,
                  columns(part, kv), across(part));
    }
    void fill_rows(const Tensor& x, size part, size kv) const {
        const size first = tree.part[part], length = tree.part[part + 1] - first;
        word* to = rows(part, kv);
        pair_rows<T>(x.at<T>(first, kv), x.token, length, width, to);
        const size pairs = (length + T::PAIR - 1) / T::PAIR, most = across(part) / T::PAIR;
        std::memset(to + pairs * width, 0, (most - pairs) * width * sizeof(word));
    }
};

// Words that one of the `Factors` takes.
inline size factor_words(const Tree& tree, const Shape& shape) {
    return shape.heads / shape.shared * place(tree, tree.parts) * padded(shape.width);
}

// The keys that a block sees, a chunk at a time; in bf16 a chunk begins where a pair does.
template <class T, class F>
void each_chunk(const Tree& tree, const int64_t* block, size origin, F&& visit) {
    for (size r = block[2]; r < block[3]; r++) {
        const size first = tree.range[2 * r], end = tree.range[2 * r + 1];
        for (size at = first - (first - origin) % T::PAIR; at < end; at += CHUNK)
            visit(at, std::min<size>(at + CHUNK, end), first);
    }
}

// Keys whose scores are computed: whole registers of scores, and all that a sum over them reads.
template <class T>
size computed(size keys) {
    return padded(keys, std::max(LANES, T::DEEP * T::PAIR));
}

// Queries of a block and a head, filled up with zeros to whole tiles.
template <class T>
void copy_rows(const Tensor& x, size start, size rows, size head, size words, word* to) {
    const size deep = padded(words);
    for (size r = 0; r < ROWS; r++)
        for (size d = 0; d < deep; d += LANES) {
            const __mmask16 here = r < rows ? lanes(words - d) : 0;
            const word* from = x.words<T>(start + std::min(r, rows - 1), head) + d;
            _mm512_storeu_si512(to + r * deep + d, _mm512_maskz_loadu_epi32(here, from));
        }
}

// The same as columns of pairs of queries.
template <class T>
void copy_columns(const Tensor& x, size start, size rows, size head, size width, word* work,
                  word* to) {
    const size pairs = (rows + T::PAIR - 1) / T::PAIR, most = ROWS / T::PAIR;
    pair_rows<T>(x.at<T>(start, head), x.token, rows, width, work);
    std::memset(work + pairs * width, 0, (most - pairs) * width * sizeof(word));
    transpose(work, width, most, width, to, most);
}

// Which of the LANES keys from `key` on a query sees, of a range from `first` to `end`.
inline __mmask16 visible(size key, size first, size end, size query) {
    if (key >= first && key + LANES <= std::min(end, query + 1)) return 0xffff;
    const size low = std::max<size>(first - key, 0);
    const size high = std::min<size>(std::min(end, query + 1) - key, LANES);
    return high <= low ? 0 : __mmask16(((1u << high) - 1) & ~((1u << low) - 1));
}

// Scaled scores become what they weigh, less the maximum so far; sums so far are made less, too.
template <class T>
void weigh(float* scores, size keys, size at, size end, size first, size query, float scale,
           typename T::number* weights, float& top, float& total, float* sums, size width) {
    const __m512 nothing = _mm512_set1_ps(-INFINITY);
    __m512 most = nothing;
    for (size c = 0; c < keys; c += LANES) {
        const __mmask16 seen = visible(at + c, first, end, query);
        const __m512 x = _mm512_loadu_ps(scores + c);
        const __m512 scaled = _mm512_mask_mul_ps(nothing, seen, x, _mm512_set1_ps(scale));
        _mm512_storeu_ps(scores + c, scaled);
        most = _mm512_max_ps(most, scaled);
    }
    const float now = std::max(top, _mm512_reduce_max_ps(most));
    const float kept = now == top ? 1.0f : std::exp(top - now);
    __m512 sum = _mm512_setzero_ps();
    for (size c = 0; c < keys; c += LANES) {
        const __m512 below = _mm512_sub_ps(_mm512_loadu_ps(scores + c), _mm512_set1_ps(now));
        const __m512 weight = exponential(below);
        sum = _mm512_add_ps(sum, weight);
        T::store(weights + c, weight);
    }
    const bool begun = total > 0;
    total = total * kept + _mm512_reduce_add_ps(sum);
    top = now;
    if (!begun || kept == 1.0f) return;  // nothing to make less
    for (size d = 0; d < width; d += LANES) {
        const __m512 x = _mm512_loadu_ps(sums + d);
        _mm512_storeu_ps(sums + d, _mm512_mul_ps(x, _mm512_set1_ps(kept)));
    }
}

// Scores of rows and their slopes become weights and gradients of the scores: in columns of pairs
// both, in rows the gradients alone. Pairs of rows that are read and not there are zero.
template <class T>
struct Sloped {
    const float *scores, *slopes, *lse, *delta;
    size rows, start, at, end, first;
    float scale;

    void one(size r, size c, __m512& weight, __m512& found) const {
        weight = found = _mm512_setzero_ps();
        if (r >= rows) return;
        const __mmask16 seen = visible(at + c, first, end, start + r);
        const __m512 score = _mm512_loadu_ps(scores + r * CHUNK + c);
        const __m512 steep = _mm512_loadu_ps(slopes + r * CHUNK + c);
        const __m512 scaled = _mm512_fmsub_ps(score, constant(scale), constant(lse[r]));
        weight = _mm512_maskz_mov_ps(seen, exponential(scaled));
        const __m512 all = _mm512_mul_ps(weight, _mm512_sub_ps(steep, constant(delta[r])));
        found = _mm512_maskz_mul_ps(seen, all, constant(scale));
    }
    void write(size keys, word* weights, word* gradients, typename T::number* in_rows) const {
        for (size r = 0; r < padded(rows, T::DEEP * T::PAIR); r += T::PAIR)
            for (size c = 0; c < keys; c += LANES) {
                __m512 weight[T::PAIR], found[T::PAIR];
                for (int p = 0; p < T::PAIR; p++) one(r + p, c, weight[p], found[p]);
                T::store_pairs(weights + r / T::PAIR * CHUNK + c, weight);
                T::store_both(gradients + r / T::PAIR * CHUNK + c, in_rows + r * CHUNK + c, CHUNK,
                              found);
            }
    }
};

template <class T>
float product(const typename T::number* a, const typename T::number* b, size width) {
    __m512 sum = _mm512_setzero_ps();
    for (size d = 0; d < width; d += LANES)
        sum = _mm512_fmadd_ps(T::load(a + d), T::load(b + d), sum);
    return _mm512_reduce_add_ps(sum);
}

}  // namespace

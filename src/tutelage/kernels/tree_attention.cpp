// Attention over a prefix tree, forward and backward.
//
// Tokens stand in depth-first order, so what a token sees are a few ranges of tokens before it:
// those of the nodes above its own, and its own node up to itself. Up to ROWS queries of one node
// are a block, which meets its keys in chunks: forward with a running maximum (Milakov and
// Gimelshein, 2018, arXiv:1805.02867), backward from the log-sum-exp (Dao, 2023, arXiv:2307.08691).
//
// A task is one head of one part of the tree. Nothing depends on which thread runs it, or when.

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "products.h"

namespace {

constexpr int ROWS = 32;    // queries of a block
constexpr int CHUNK = 256;  // keys that it meets at a time

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
    int64_t tokens, longest;  // of all parts, of the longest
    int64_t heads, shared;    // of queries, and how many of them share keys
    int64_t width;            // of a head, a multiple of LANES
    float scale;
    int32_t threads;
};
}

namespace {

// The keys that a block sees, a chunk at a time; in bf16 a chunk begins where a pair does.
template <class T, class F>
void each_chunk(const Tree& tree, const int64_t* block, size origin, F&& visit) {
    for (size r = block[2]; r < block[3]; r++) {
        const size first = tree.range[2 * r], end = tree.range[2 * r + 1];
        for (size at = first - (first - origin) % T::PAIR; at < end; at += CHUNK)
            visit(at, std::min<size>(at + CHUNK, end), first);
    }
}

// Which of the LANES keys from `key` on a query sees, of a range from `first` to `end`.
inline __mmask16 visible(size key, size first, size end, size query) {
    const size low = std::max<size>(first - key, 0);
    const size high = std::min<size>(std::min(end, query + 1) - key, LANES);
    return high <= low ? 0 : __mmask16(((1u << high) - 1) & ~((1u << low) - 1));
}

// What a task works on: one head of one part, and memory of its own.
template <class T>
struct Task {
    const Tree& tree;
    const Shape& shape;
    size part, head;
    word* memory;

    size origin = tree.part[part], length = tree.part[part + 1] - origin;
    size width = shape.width, words = width / T::PAIR;  // of a row
    size across = padded(length) + WIDE * LANES;        // of rows as columns
    size shared = head / shape.shared;                  // head of the keys

    word* take(size count) {
        word* taken = memory;
        memory += count;
        return taken;
    }
    word* columns(const Tensor& x) {
        word* to = take(words * across);
        transpose(x.words<T>(origin, shared), x.token / T::PAIR, length, words, to, across);
        return to;
    }
    word* rows(const Tensor& x) {
        word* to = take((length / T::PAIR + 1) * width);
        pair_rows<T>(x.at<T>(origin, shared), x.token, length, width, to);
        return to;
    }
    static size most_words(const Shape& shape) {
        const size whole = padded(shape.longest) + WIDE * LANES;
        return 3 * whole * shape.width + ROWS * (4 * CHUNK + 3 * shape.width);
    }
};

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
    const float now = std::max(top, _mm512_reduce_max_ps(most)), kept = std::exp(top - now);
    __m512 sum = _mm512_setzero_ps();
    for (size c = 0; c < keys; c += LANES) {
        const __m512 below = _mm512_sub_ps(_mm512_loadu_ps(scores + c), _mm512_set1_ps(now));
        const __m512 weight = exponential(below);
        sum = _mm512_add_ps(sum, weight);
        T::store(weights + c, weight);
    }
    total = total * kept + _mm512_reduce_add_ps(sum);
    top = now;
    if (kept == 1.0f) return;
    for (size d = 0; d < width; d += LANES) {
        const __m512 x = _mm512_loadu_ps(sums + d);
        _mm512_storeu_ps(sums + d, _mm512_mul_ps(x, _mm512_set1_ps(kept)));
    }
}

template <class T>
void forward(Task<T> task, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out,
             float* lse) {
    const size width = task.width, head = task.head, origin = task.origin;
    const word *keys = task.columns(k), *values = task.rows(v);
    float *scores = (float*)task.take(ROWS * CHUNK), *sums = (float*)task.take(ROWS * width);
    word* weights = task.take(ROWS * CHUNK / T::PAIR);
    const size chunk = CHUNK / T::PAIR;
    for (size b = task.tree.part_block[task.part]; b < task.tree.part_block[task.part + 1]; b++) {
        const int64_t* block = task.tree.block + 4 * b;
        const size start = block[0], rows = block[1] - start;
        float top[ROWS], total[ROWS] = {};
        std::fill(top, top + rows, -INFINITY);
        std::memset(sums, 0, rows * width * sizeof(float));
        each_chunk<T>(task.tree, block, origin, [&](size at, size end, size first) {
            const size seen = end - at, pairs = (seen + T::PAIR - 1) / T::PAIR;
            multiply<T>(q.words<T>(start, head), q.token / T::PAIR, 1, keys + at - origin,
                        task.across, scores, CHUNK, rows, padded(seen), task.words, false);
            for (size r = 0; r < rows; r++)
                weigh<T>(scores + r * CHUNK, padded(seen), at, end, first, start + r,
                         task.shape.scale, (typename T::number*)(weights + r * chunk), top[r],
                         total[r], sums + r * width, width);
            multiply<T>(weights, chunk, 1, values + (at - origin) / T::PAIR * width, width, sums,
                        width, rows, width, pairs, true);
        });
        for (size r = 0; r < rows; r++) {
            const __m512 share = _mm512_set1_ps(1.0f / total[r]);
            for (size d = 0; d < width; d += LANES)
                T::store(out.at<T>(start + r, head) + d,
                         _mm512_mul_ps(_mm512_loadu_ps(sums + r * width + d), share));
            lse[head * task.shape.tokens + start + r] = top[r] + std::log(total[r]);
        }
    }
}

// Scores become weights, and slopes the gradient of the scores before they are scaled.
template <class T>
void slope(float* scores, float* slopes, size keys, size at, size end, size first, size query,
           float scale, float lse, float delta, typename T::number* rounded) {
    for (size c = 0; c < keys; c += LANES) {
        const __mmask16 seen = visible(at + c, first, end, query);
        const __m512 scaled = _mm512_fmsub_ps(_mm512_loadu_ps(scores + c), _mm512_set1_ps(scale),
                                              _mm512_set1_ps(lse));
        const __m512 weight = _mm512_maskz_mov_ps(seen, exponential(scaled));
        const __m512 steep = _mm512_sub_ps(_mm512_loadu_ps(slopes + c), _mm512_set1_ps(delta));
        const __m512 all = _mm512_mul_ps(_mm512_mul_ps(weight, steep), _mm512_set1_ps(scale));
        const __m512 found = _mm512_maskz_mov_ps(seen, all);
        _mm512_storeu_ps(scores + c, weight);
        _mm512_storeu_ps(slopes + c, found);
        T::store(rounded + c, found);
    }
}

template <class T>
float product(const typename T::number* a, const typename T::number* b, size width) {
    __m512 sum = _mm512_setzero_ps();
    for (size d = 0; d < width; d += LANES)
        sum = _mm512_fmadd_ps(T::load(a + d), T::load(b + d), sum);
    return _mm512_reduce_add_ps(sum);
}

// Gradients of queries are written, those of keys and values added to.
template <class T>
void backward(Task<T> task, const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v,
              const Tensor& out, const float* lse, const Tensor& dq, float* dk, float* dv) {
    const size width = task.width, head = task.head, origin = task.origin;
    const word *keys = task.columns(k), *values = task.columns(v), *key_rows = task.rows(k);
    word *own = task.take(ROWS * width), *own_grad = task.take(ROWS * width);
    float *sums = (float*)task.take(ROWS * width), *scores = (float*)task.take(ROWS * CHUNK);
    float* slopes = (float*)task.take(ROWS * CHUNK);
    word *rounded = task.take(ROWS * CHUNK), *pairs = task.take(ROWS * CHUNK);
    const size chunk = CHUNK / T::PAIR, across = task.across, words = task.words;
    for (size b = task.tree.part_block[task.part]; b < task.tree.part_block[task.part + 1]; b++) {
        const int64_t* block = task.tree.block + 4 * b;
        const size start = block[0], rows = block[1] - start;
        const size row_pairs = (rows + T::PAIR - 1) / T::PAIR;
        const word *q_rows = q.words<T>(start, head), *grad_rows = grad.words<T>(start, head);
        pair_rows<T>(q.at<T>(start, head), q.token, rows, width, own);
        pair_rows<T>(grad.at<T>(start, head), grad.token, rows, width, own_grad);
        std::memset(sums, 0, rows * width * sizeof(float));
        float delta[ROWS];
        for (size r = 0; r < rows; r++)
            delta[r] = product<T>(grad.at<T>(start + r, head), out.at<T>(start + r, head), width);
        each_chunk<T>(task.tree, block, origin, [&](size at, size end, size first) {
            const size seen = end - at, n = padded(seen), place = at - origin;
            multiply<T>(q_rows, q.token / T::PAIR, 1, keys + place, across, scores, CHUNK, rows, n,
                        words, false);
            multiply<T>(grad_rows, grad.token / T::PAIR, 1, values + place, across, slopes, CHUNK,
                        rows, n, words, false);
            for (size r = 0; r < rows; r++)
                slope<T>(scores + r * CHUNK, slopes + r * CHUNK, n, at, end, first, start + r,
                         task.shape.scale, lse[head * task.shape.tokens + start + r], delta[r],
                         (typename T::number*)(rounded + r * chunk));
            multiply<T>(rounded, chunk, 1, key_rows + place / T::PAIR * width, width, sums, width,
                        rows, width, (seen + T::PAIR - 1) / T::PAIR, true);
            pair_rounded<T>(slopes, CHUNK, rows, n, pairs);
            multiply<T>(pairs, 1, CHUNK, own, width, dk + place * width, width, seen, width,
                        row_pairs, true);
            pair_rounded<T>(scores, CHUNK, rows, n, pairs);
            multiply<T>(pairs, 1, CHUNK, own_grad, width, dv + place * width, width, seen, width,
                        row_pairs, true);
        });
        for (size r = 0; r < rows; r++)
            for (size d = 0; d < width; d += LANES)
                T::store(dq.at<T>(start + r, head) + d, _mm512_loadu_ps(sums + r * width + d));
    }
}

// The sum over the heads that share keys of what each has added up.
template <class T>
void gather(const Shape& shape, size n, size kv, const float* each, const Tensor& to) {
    for (size d = 0; d < shape.width; d += LANES) {
        __m512 sum = _mm512_setzero_ps();
        for (size h = kv * shape.shared; h < (kv + 1) * shape.shared; h++)
            sum = _mm512_add_ps(sum,
                                _mm512_loadu_ps(each + (h * shape.tokens + n) * shape.width + d));
        T::store(to.at<T>(n, kv) + d, sum);
    }
}

// t: queries, keys, values, and the output.
template <class T>
void all_forward(const Tree& tree, const Shape& shape, const Tensor* t, float* lse, word* memory) {
    const size each = Task<T>::most_words(shape);
#pragma omp parallel for schedule(dynamic, 1) num_threads(shape.threads)
    for (size task = 0; task < tree.parts * shape.heads; task++)
        forward(Task<T>{tree, shape, task / shape.heads, task % shape.heads,
                        memory + each * omp_get_thread_num()},
                t[0], t[1], t[2], t[3], lse);
}

// t: gradient, queries, keys, values, output; then the gradients of queries, keys and values.
template <class T>
void all_backward(const Tree& tree, const Shape& shape, const Tensor* t, const float* lse,
                  word* memory) {
    const size each = Task<T>::most_words(shape), width = shape.width;
    float* keys = (float*)(memory + each * shape.threads);
    float* values = keys + shape.heads * shape.tokens * width;
#pragma omp parallel num_threads(shape.threads)
    {
#pragma omp for schedule(dynamic, 1)
        for (size task = 0; task < tree.parts * shape.heads; task++) {
            const size part = task / shape.heads, h = task % shape.heads, first = tree.part[part];
            const size at = (h * shape.tokens + first) * width;
            const size bytes = (tree.part[part + 1] - first) * width * sizeof(float);
            std::memset(keys + at, 0, bytes);
            std::memset(values + at, 0, bytes);
            backward(Task<T>{tree, shape, part, h, memory + each * omp_get_thread_num()}, t[0],
                     t[1], t[2], t[3], t[4], lse, t[5], keys + at, values + at);
        }
#pragma omp for
        for (size n = 0; n < shape.tokens; n++)
            for (size kv = 0; kv < shape.heads / shape.shared; kv++) {
                gather<T>(shape, n, kv, keys, t[6]);
                gather<T>(shape, n, kv, values, t[7]);
            }
    }
}

}  // namespace

extern "C" {

int64_t tree_attention_rows() { return ROWS; }

// Bytes of working memory, forward and backward.
int64_t tree_attention_memory(const Shape* shape, int backward) {
    const size sums = backward ? 2 * shape->heads * shape->tokens * shape->width : 0;
    return sizeof(word) * (Task<Fp32>::most_words(*shape) * shape->threads + sums);
}

void tree_attention_forward(int bf16, const Tree* tree, const Shape* shape, const Tensor* tensors,
                            float* lse, word* memory) {
    (bf16 ? all_forward<Bf16> : all_forward<Fp32>)(*tree, *shape, tensors, lse, memory);
}

void tree_attention_backward(int bf16, const Tree* tree, const Shape* shape, const Tensor* tensors,
                             const float* lse, word* memory) {
    (bf16 ? all_backward<Bf16> : all_backward<Fp32>)(*tree, *shape, tensors, lse, memory);
}
}

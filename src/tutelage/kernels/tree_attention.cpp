// Attention over a prefix tree, forward and backward.
//
// Tokens stand in depth-first order, so what a token sees are a few ranges of tokens before it:
// those of the nodes above its own, and its own node up to itself. Up to ROWS queries of one node
// are a block, which meets its keys in chunks: forward with a running maximum (Milakov and
// Gimelshein, 2018, arXiv:1805.02867), backward from the log-sum-exp (Dao, 2023, arXiv:2307.08691).
//
// Nothing depends on the number of threads, nor on which one runs what, or when.

#include <omp.h>

#include "attention.h"

namespace {

constexpr int TASKS = 12;  // at least, of the backward pass

// Memory of a thread's own.
struct Memory {
    word* free;
    word* take(size count) {
        word* taken = free;
        free += count;
        return taken;
    }
    static size most_words(const Shape& shape) {
        return ROWS * (6 * CHUNK + 6 * padded(shape.width));
    }
};

// t: queries, keys, values, and the output.
template <class T>
void forward(const Factors<T>& keys, const Factors<T>& values, size part, size head, size b,
             const Tensor* t, float* lse, Memory memory) {
    const Tree& tree = keys.tree;
    const Shape& shape = keys.shape;
    const int64_t* block = tree.block + 4 * b;
    const size origin = tree.part[part], start = block[0], rows = block[1] - start;
    const size width = shape.width, kv = head / shape.shared, across = keys.across(part);
    const word *columns = keys.columns(part, kv), *value_rows = values.rows(part, kv);
    word* own = memory.take(ROWS * keys.deep);
    float *scores = (float*)memory.take(ROWS * CHUNK), *sums = (float*)memory.take(ROWS * width);
    word* weights = memory.take(ROWS * CHUNK);
    constexpr size chunk = CHUNK / T::PAIR;
    copy_rows<T>(t[0], start, rows, head, width / T::PAIR, own);
    float top[ROWS], total[ROWS] = {};
    std::fill(top, top + rows, -INFINITY);
    std::memset(sums, 0, rows * width * sizeof(float));
    each_chunk<T>(tree, block, origin, [&](size at, size end, size first) {
        const size seen = end - at, n = computed<T>(seen);
        multiply<T>(own, keys.deep, columns + at - origin, across, scores, CHUNK, rows, n,
                    width / T::PAIR, false);
        for (size r = 0; r < rows; r++)
            weigh<T>(scores + r * CHUNK, n, at, end, first, start + r, shape.scale,
                     (typename T::number*)(weights + r * chunk), top[r], total[r], sums + r * width,
                     width);
        multiply<T>(weights, chunk, value_rows + (at - origin) / T::PAIR * width, width, sums,
                    width, rows, width, (seen + T::PAIR - 1) / T::PAIR, true);
    });
    for (size r = 0; r < rows; r++) {
        const __m512 share = constant(1.0f / total[r]);
        for (size d = 0; d < width; d += LANES)
            T::store(t[3].at<T>(start + r, head) + d,
                     _mm512_mul_ps(_mm512_loadu_ps(sums + r * width + d), share));
        lse[head * shape.tokens + start + r] = top[r] + std::log(total[r]);
    }
}

// What the backward pass reads and writes: gradient, queries, keys, values, output; then the
// gradients of queries, keys and values.
template <class T>
struct Backward {
    const Tree& tree;
    const Shape& shape;
    const Tensor* t;
    const float* lse;
    Factors<T> key_columns, value_columns, key_rows;

    // The gradient of a block's queries is written, those of keys and values, as columns, added to.
    void block(size part, size head, size b, float* dk, float* dv, Memory memory) const {
        const int64_t* block = tree.block + 4 * b;
        const size origin = tree.part[part], start = block[0], rows = block[1] - start;
        const size width = shape.width, words = width / T::PAIR, deep = padded(words);
        const size kv = head / shape.shared, across = key_columns.across(part);
        const word *keys = key_columns.columns(part, kv), *rows_of_keys = key_rows.rows(part, kv);
        const word* values = value_columns.columns(part, kv);
        word *own = memory.take(ROWS * deep), *own_grad = memory.take(ROWS * deep);
        word *own_columns = memory.take(ROWS * width), *grad_columns = memory.take(ROWS * width);
        float* sums = (float*)memory.take(ROWS * width);
        word* work = memory.take(ROWS * width);
        float *scores = (float*)memory.take(ROWS * CHUNK),
              *slopes = (float*)memory.take(ROWS * CHUNK);
        word *in_rows = memory.take(ROWS * CHUNK), *weights = memory.take(ROWS * CHUNK);
        word* gradients = memory.take(ROWS * CHUNK);
        copy_rows<T>(t[1], start, rows, head, words, own);
        copy_rows<T>(t[0], start, rows, head, words, own_grad);
        copy_columns<T>(t[1], start, rows, head, width, work, own_columns);
        copy_columns<T>(t[0], start, rows, head, width, work, grad_columns);
        std::memset(sums, 0, rows * width * sizeof(float));
        float delta[ROWS];
        for (size r = 0; r < rows; r++)
            delta[r] = product<T>(t[0].at<T>(start + r, head), t[4].at<T>(start + r, head), width);
        constexpr size pairs = ROWS / T::PAIR, chunk = CHUNK / T::PAIR;
        each_chunk<T>(tree, block, origin, [&](size at, size end, size first) {
            const size seen = end - at, n = computed<T>(seen), column = at - origin;
            multiply<T>(own, deep, keys + column, across, scores, CHUNK, rows, n, words, false);
            multiply<T>(own_grad, deep, values + column, across, slopes, CHUNK, rows, n, words,
                        false);
            Sloped<T>{
                scores, slopes,     lse + head * shape.tokens + start, delta, rows, start, at, end,
                first,  shape.scale}
                .write(n, weights, gradients, (typename T::number*)in_rows);
            multiply<T>(in_rows, chunk, rows_of_keys + column / T::PAIR * width, width, sums, width,
                        rows, width, (seen + T::PAIR - 1) / T::PAIR, true);
            multiply<T>(own_columns, pairs, gradients, CHUNK, dk + column, across, width, n,
                        (rows + T::PAIR - 1) / T::PAIR, true);
            multiply<T>(grad_columns, pairs, weights, CHUNK, dv + column, across, width, n,
                        (rows + T::PAIR - 1) / T::PAIR, true);
        });
        for (size r = 0; r < rows; r++)
            for (size d = 0; d < width; d += LANES)
                T::store(t[5].at<T>(start + r, head) + d, _mm512_loadu_ps(sums + r * width + d));
    }
};

// Into how many groups the blocks of a part go, whose gradients of keys are added up apart: few
// heads of keys alone would leave threads without work.
inline size groups(const Tree& tree, const Shape& shape) {
    const size tasks = tree.parts * (shape.heads / shape.shared);
    return (TASKS + tasks - 1) / tasks;
}

// Where group g of a part's blocks begins, by the keys that their queries see.
inline size group_start(const Tree& tree, size part, size g, size groups) {
    const size first = tree.part_block[part], end = tree.part_block[part + 1];
    const auto work = [&](size b) {
        const int64_t* block = tree.block + 4 * b;
        size keys = 0;
        for (size r = block[2]; r < block[3]; r++)
            keys += tree.range[2 * r + 1] - tree.range[2 * r];
        return keys * (block[1] - block[0]);
    };
    size all = 0, before = 0, b = first;
    for (size i = first; i < end; i++) all += work(i);
    for (; b < end && before * groups < all * g; b++) before += work(b);
    return b;
}

// Sums over groups of 16 numbers of 16 keys, from columns to rows.
template <class T>
void gather(const float* from, size across, size apart, size groups, size keys, const Tensor& to,
            size n, size kv, size d) {
    __m512i square[LANES];
    for (size i = 0; i < LANES; i++) {
        __m512 sum = _mm512_loadu_ps(from + (d + i) * across);
        for (size g = 1; g < groups; g++)
            sum = _mm512_add_ps(sum, _mm512_loadu_ps(from + g * apart + (d + i) * across));
        square[i] = _mm512_castps_si512(sum);
    }
    transpose(square);
    for (size i = 0; i < std::min<size>(keys, LANES); i++)
        T::store(to.at<T>(n + i, kv) + d, _mm512_castsi512_ps(square[i]));
}

template <class T>
void all_forward(const Tree& tree, const Shape& shape, const Tensor* t, float* lse, word* memory) {
    const size heads = shape.heads, kvs = heads / shape.shared;
    const Factors<T> keys{tree, shape, memory};
    const Factors<T> values{tree, shape, memory + factor_words(tree, shape)};
    word* rest = memory + 2 * factor_words(tree, shape);
#pragma omp parallel num_threads(shape.threads)
    {
        const typename T::Scope scope;
        const Memory own{rest + omp_get_thread_num() * Memory::most_words(shape)};
#pragma omp for schedule(dynamic, 1)
        for (size task = 0; task < 2 * tree.parts * kvs; task++) {
            const size part = task / 2 / kvs, kv = task / 2 % kvs;
            if (task % 2)
                values.fill_rows(t[2], part, kv);
            else
                keys.fill_columns(t[1], part, kv);
        }
        for (size part = 0; part < tree.parts; part++) {
            const size first = tree.part_block[part], blocks = tree.part_block[part + 1] - first;
#pragma omp for schedule(dynamic, 1) nowait
            for (size task = 0; task < heads * blocks; task++)
                forward<T>(keys, values, part, task / blocks, first + task % blocks, t, lse, own);
        }
    }
}

template <class T>
void all_backward(const Tree& tree, const Shape& shape, const Tensor* t, const float* lse,
                  word* memory) {
    const size each = factor_words(tree, shape), width = shape.width, split = groups(tree, shape);
    const size kvs = shape.heads / shape.shared, apart = kvs * place(tree, tree.parts) * width;
    float *dk = (float*)memory + 3 * each, *dv = dk + split * apart;
    word* rest = (word*)(dv + split * apart);
    const Backward<T> pass{tree,
                           shape,
                           t,
                           lse,
                           Factors<T>{tree, shape, memory},
                           Factors<T>{tree, shape, memory + each},
                           Factors<T>{tree, shape, memory + 2 * each}};
    const auto sums = [&](float* of, size part, size kv) {
        return of + (kv * place(tree, tree.parts) + place(tree, part)) * width;
    };
#pragma omp parallel num_threads(shape.threads)
    {
        const typename T::Scope scope;
        const Memory own{rest + omp_get_thread_num() * Memory::most_words(shape)};
#pragma omp for schedule(dynamic, 1)
        for (size task = 0; task < 3 * tree.parts * kvs; task++) {
            const size part = task / 3 / kvs, kv = task / 3 % kvs;
            if (task % 3 == 0) pass.key_columns.fill_columns(t[2], part, kv);
            if (task % 3 == 1) pass.value_columns.fill_columns(t[3], part, kv);
            if (task % 3 == 2) pass.key_rows.fill_rows(t[2], part, kv);
        }
#pragma omp for schedule(dynamic, 1)
        for (size task = 0; task < tree.parts * kvs * split; task++) {
            const size g = task % split, kv = task / split % kvs, part = task / split / kvs;
            float *keys = sums(dk + g * apart, part, kv), *values = sums(dv + g * apart, part, kv);
            const size bytes = pass.key_columns.across(part) * width * sizeof(float);
            std::memset(keys, 0, bytes);
            std::memset(values, 0, bytes);
            const size first = group_start(tree, part, g, split);
            const size end = group_start(tree, part, g + 1, split);
            for (size h = kv * shape.shared; h < (kv + 1) * shape.shared; h++)
                for (size b = first; b < end; b++) pass.block(part, h, b, keys, values, own);
        }
#pragma omp for schedule(dynamic, 1)
        for (size task = 0; task < tree.parts * kvs * width / LANES; task++) {
            const size d = task % (width / LANES) * LANES, head = task / (width / LANES);
            const size part = head / kvs, kv = head % kvs, first = tree.part[part];
            const size end = tree.part[part + 1], across = pass.key_columns.across(part);
            const float *keys = sums(dk, part, kv), *values = sums(dv, part, kv);
            for (size n = first; n < end; n += LANES) {
                gather<T>(keys + n - first, across, apart, split, end - n, t[6], n, kv, d);
                gather<T>(values + n - first, across, apart, split, end - n, t[7], n, kv, d);
            }
        }
    }
}

}  // namespace

extern "C" {

int64_t tree_attention_rows() { return ROWS; }

// Whether bf16 can be multiplied in tiles. To be asked once before it is.
int64_t tree_attention_tiles() { return may_use_tiles(); }

// Bytes of working memory, forward and backward.
int64_t tree_attention_memory(const Tree* tree, const Shape* shape, int backward) {
    const size each = factor_words(*tree, *shape);
    const size factors = backward ? (3 + 2 * groups(*tree, *shape)) * each : 2 * each;
    return sizeof(word) * (factors + shape->threads * Memory::most_words(*shape));
}

// kind: 0 for fp32, 1 for bf16, 2 for bf16 in tiles.
void tree_attention_forward(int kind, const Tree* tree, const Shape* shape, const Tensor* tensors,
                            float* lse, word* memory) {
    (kind == 2   ? all_forward<Tiles>
     : kind == 1 ? all_forward<Bf16>
                 : all_forward<Fp32>)(*tree, *shape, tensors, lse, memory);
}

void tree_attention_backward(int kind, const Tree* tree, const Shape* shape, const Tensor* tensors,
                             const float* lse, word* memory) {
    (kind == 2   ? all_backward<Tiles>
     : kind == 1 ? all_backward<Bf16>
                 : all_backward<Fp32>)(*tree, *shape, tensors, lse, memory);
}
}

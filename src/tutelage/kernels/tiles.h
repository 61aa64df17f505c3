// Products of bf16 by AMX: a tile of 16 rows of pairs times a tile of 16 pairs of rows.
//
// Where the compiler does not know AMX, or the system does not allow it, nothing here is used.

#pragma once

#include "products.h"

#if defined(__x86_64__) && defined(__linux__) && \
    (__has_include(<amxbf16intrin.h>) || __has_include(<amxintrin.h>))
#define HAS_TILES 1
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#define WITH_TILES __attribute__((target("amx-tile,amx-bf16"), noinline))
#else
#define HAS_TILES 0
#define WITH_TILES
#endif

namespace {

// As Bf16, but all factors are read in whole tiles: of the first, rows and pairs up to multiples
// of 16; of the second, as many pairs and 16 columns. What is read beyond must be zero in one of
// the two, and no NaN in the other. The first factor's pairs stand side by side.
struct Tiles : Bf16 {
    class Scope;
    static constexpr int DEEP = LANES;
};

#if HAS_TILES

// The registers as 8 tiles, and afterwards as they were: others may count on what they set.
class Tiles::Scope {
    struct alignas(64) Setting {
        uint8_t palette = 1, start = 0, none[14] = {};
        uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    Setting before;

  public:
    WITH_TILES Scope() {
        const Setting ours;
        _tile_storeconfig(&before);
        asm volatile("" ::"m"(ours), "m"(before) : "memory");
        _tile_loadconfig(&ours);
    }
    WITH_TILES ~Scope() {
        if (before.palette)
            _tile_loadconfig(&before);
        else
            _tile_release();
    }
};

// Up to 2 by 2 tiles of the product. The intrinsics do not tell the compiler what they read.
template <int M, int N>
WITH_TILES void product_of_tiles(const word* a, size a_m, const word* b, size b_k, float* c,
                                 size c_m, size k, bool add) {
    asm volatile("" ::: "memory");
    const size a_row = a_m * sizeof(word), b_row = b_k * sizeof(word), c_row = c_m * sizeof(float);
    float* below = c + LANES * c_m;
    if (add) {
        _tile_loadd(0, c, c_row);
        if constexpr (N > 1) _tile_loadd(1, c + LANES, c_row);
        if constexpr (M > 1) _tile_loadd(2, below, c_row);
        if constexpr (M > 1 && N > 1) _tile_loadd(3, below + LANES, c_row);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (size i = 0; i < k; i += LANES, a += LANES, b += LANES * b_k) {
        _tile_loadd(4, a, a_row);
        _tile_loadd(6, b, b_row);
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (N > 1) {
            _tile_loadd(7, b + LANES, b_row);
            _tile_dpbf16ps(1, 4, 7);
        }
        if constexpr (M > 1) {
            _tile_loadd(5, a + LANES * a_m, a_row);
            _tile_dpbf16ps(2, 5, 6);
            if constexpr (N > 1) _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, c, c_row);
    if constexpr (N > 1) _tile_stored(1, c + LANES, c_row);
    if constexpr (M > 1) _tile_stored(2, below, c_row);
    if constexpr (M > 1 && N > 1) _tile_stored(3, below + LANES, c_row);
    asm volatile("" ::: "memory");
}

template <>
inline void multiply<Tiles>(const word* a, size a_m, const word* b, size b_k, float* c, size c_m,
                            size m, size n, size k, bool add) {
    for (size i = 0; i < m; i += 2 * LANES)
        for (size j = 0; j < n; j += 2 * LANES) {
            const bool tall = m - i > LANES, wide = n - j > LANES;
            (tall   ? wide ? product_of_tiles<2, 2> : product_of_tiles<2, 1>
             : wide ? product_of_tiles<1, 2>
                    : product_of_tiles<1, 1>)(a + i * a_m, a_m, b + j, b_k, c + i * c_m + j, c_m, k,
                                              add);
        }
}

// Whether the processor has AMX, and the system lets this process use it.
inline bool may_use_tiles() {
    constexpr int REQUEST = 0x1023, TILE_DATA = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    const bool has = d >> 22 & d >> 24 & 1;  // amx-bf16, amx-tile
    return has && syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}

#else

class Tiles::Scope {};

inline bool may_use_tiles() { return false; }

#endif

}  // namespace

/* The best product of each query token with each page, in integers.
 *
 * The one instruction that multiplies bytes (VPDPBUSD) wants one operand unsigned and one signed: page vectors are
 * stored as p + 128, and  (p + 128).q = p.q + 128 * sum(q)  is set right by starting each sum at -128 * sum(q).
 * Processors that lack it (AVX2 alone) widen even and odd bytes to sixteen bits, whose products never overflow.
 * Sixteen (or eight) query tokens stand side by side in a register, a block; of every page vector four bytes at a
 * time are broadcast to all of them, and two blocks share the broadcast. Vectors are fetched ahead, those of the
 * next page too: a processor's own reading ahead stops at every 4 kB, that is after 32 of them.
 *
 * codes:  [row][dim] uint8      scales: [row] float
 * starts, ends: the rows of each page, at least one a page
 * tokens: [block][groups][lane][4] int8, the query in blocks of `lanes`; groups = dim / 4 rounded up, zeros behind
 * origin: [token] -128 * sum(q)
 * best:   [page][token] float, max over the page's rows of scale * p.q
 */
#include <immintrin.h>
#include <stdint.h>

int recto_lanes(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw"))
        return 16;
    return __builtin_cpu_supports("avx2") ? 8 : 0;
}

__attribute__((target("avx2"), always_inline)) static inline __m256i widened(__m256i sum, __m256i p, __m256i q)
{
    const __m256i low = _mm256_set1_epi16(255);
    const __m256i even = _mm256_madd_epi16(_mm256_and_si256(p, low), _mm256_srai_epi16(_mm256_slli_epi16(q, 8), 8));
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(p, 8), _mm256_srai_epi16(q, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}

/* The four bytes of a group, or the `count` that are left of a row: nothing behind it is read. */
static inline int32_t four_of(const uint8_t *group, int count)
{
    int32_t four = 0;
    if (count >= 4)
        __builtin_memcpy(&four, group, 4);
    else
        for (int i = 0; i < count; i++)
            four |= (int32_t)group[i] << 8 * i;
    return four;
}

/* NAME_page: one page against one block or, if `two`, two; ROWS page vectors at a time, so that all sums stay in
 * registers. NAME: all pages against all blocks. */
#define MAXSIM(NAME, TARGET, ROWS, INT, FLOAT, LANES, SET, LOAD, MULTIPLY, CONVERT, SETF, TIMES, LARGER, STORE)\
    __attribute__((target(TARGET), always_inline)) static inline void NAME##_page(                            \
        const uint8_t *codes, const float *scales, int64_t first, int64_t end, int64_t next,                  \
        const int8_t *tokens, const int32_t *origin, int dim, float *best, const int two)                     \
    {                                                                                                         \
        const int groups = (dim + 3) / 4;                                                                     \
        const int8_t *more = tokens + (two ? (int64_t)groups * LANES * 4 : 0);                                \
        const INT start0 = LOAD((const void *)origin), start1 = LOAD((const void *)(origin + two * LANES));   \
        FLOAT top0 = SETF(-3.4e38f), top1 = top0;                                                             \
        for (int64_t at = first; at < end; at += ROWS) {                                                      \
            const int count = end - at < ROWS ? (int)(end - at) : ROWS;                                       \
            const uint8_t *row[ROWS];                                                                         \
            INT sum0[ROWS], sum1[ROWS];                                                                       \
            const int64_t ahead = at + 2 * ROWS;                                                              \
            const uint8_t *far = codes + (ahead < end ? ahead : next + ahead - end) * dim;                    \
            for (int line = 0; line < ROWS * dim; line += 64)                                                 \
                _mm_prefetch((const char *)far + line, _MM_HINT_T0);                                          \
            for (int r = 0; r < ROWS; r++) {                                                                  \
                row[r] = codes + (at + (r < count ? r : 0)) * dim;                                            \
                sum0[r] = start0;                                                                             \
                sum1[r] = start1;                                                                             \
            }                                                                                                 \
            for (int g = 0; g < groups; g++) {                                                                \
                const INT q0 = LOAD((const void *)(tokens + (int64_t)g * LANES * 4));                         \
                const INT q1 = LOAD((const void *)(more + (int64_t)g * LANES * 4));                           \
                for (int r = 0; r < ROWS; r++) {                                                              \
                    const INT p = SET(four_of(row[r] + 4 * g, dim - 4 * g));                                  \
                    sum0[r] = MULTIPLY(sum0[r], p, q0);                                                       \
                    if (two)                                                                                  \
                        sum1[r] = MULTIPLY(sum1[r], p, q1);                                                   \
                }                                                                                             \
            }                                                                                                 \
            for (int r = 0; r < count; r++) {                                                                 \
                const FLOAT scale = SETF(scales[at + r]);                                                     \
                top0 = LARGER(top0, TIMES(CONVERT(sum0[r]), scale));                                          \
                if (two)                                                                                      \
                    top1 = LARGER(top1, TIMES(CONVERT(sum1[r]), scale));                                      \
            }                                                                                                 \
        }                                                                                                     \
        STORE(best, top0);                                                                                    \
        if (two)                                                                                              \
            STORE(best + LANES, top1);                                                                        \
    }                                                                                                         \
    __attribute__((target(TARGET))) static void NAME(                                                         \
        const uint8_t *codes, const float *scales, const int64_t *starts, const int64_t *ends, int64_t pages, \
        const int8_t *tokens, const int32_t *origin, int blocks, int dim, float *best)                        \
    {                                                                                                         \
        for (int64_t page = 0; page < pages; page++, best += blocks * LANES) {                                \
            const int64_t first = starts[page], end = ends[page], next = starts[page + (page + 1 < pages)];   \
            for (int block = 0; block < blocks; block += 2) {                                                 \
                const int8_t *own = tokens + (int64_t)block * LANES * ((dim + 3) / 4 * 4);                    \
                const int at = block * LANES;                                                                 \
                if (block + 1 < blocks)                                                                       \
                    NAME##_page(codes, scales, first, end, next, own, origin + at, dim, best + at, 1);        \
                else                                                                                          \
                    NAME##_page(codes, scales, first, end, next, own, origin + at, dim, best + at, 0);        \
            }                                                                                                 \
        }                                                                                                     \
    }

MAXSIM(wide, "avx512f,avx512bw,avx512vnni", 8, __m512i, __m512, 16, _mm512_set1_epi32, _mm512_loadu_si512,
       _mm512_dpbusd_epi32, _mm512_cvtepi32_ps, _mm512_set1_ps, _mm512_mul_ps, _mm512_max_ps, _mm512_storeu_ps)
MAXSIM(narrow, "avx2,avxvnni", 6, __m256i, __m256, 8, _mm256_set1_epi32, _mm256_loadu_si256,
       _mm256_dpbusd_avx_epi32, _mm256_cvtepi32_ps, _mm256_set1_ps, _mm256_mul_ps, _mm256_max_ps, _mm256_storeu_ps)
MAXSIM(plain, "avx2", 4, __m256i, __m256, 8, _mm256_set1_epi32, _mm256_loadu_si256,
       widened, _mm256_cvtepi32_ps, _mm256_set1_ps, _mm256_mul_ps, _mm256_max_ps, _mm256_storeu_ps)

void recto_maxsim(const uint8_t *codes, const float *scales, const int64_t *starts, const int64_t *ends,
                  int64_t pages, const int8_t *tokens, const int32_t *origin, int blocks, int lanes, int dim,
                  float *best)
{
    const int bytes = __builtin_cpu_supports("avxvnni");
    (lanes == 16 ? wide : bytes ? narrow : plain)(codes, scales, starts, ends, pages, tokens, origin, blocks, dim,
                                                  best);
}

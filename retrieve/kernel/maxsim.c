/* The best product of each query token with each page, in integers.
 *
 * The one instruction that multiplies bytes (VPDPBUSD) wants one operand unsigned and one signed: page vectors are
 * stored as p + 128, and  (p + 128).q = p.q + 128 * sum(q)  is set right by starting each sum at -128 * sum(q).
 * Sixteen (or eight) query tokens stand side by side in a register; of every page vector four bytes at a time are
 * broadcast to all of them.
 *
 * codes:  [row][dim] uint8, dim a multiple of 4      scales: [row] float
 * starts, ends: the rows of each page, at least one a page
 * tokens: [block][dim / 4][lane][4] int8, the query in blocks of `lanes`, an even number of blocks
 * origin: [token] -128 * sum(q)
 * best:   [page][token] float, max over the page's rows of scale * p.q
 */
#include <immintrin.h>
#include <stdint.h>

#define ROWS 8 /* page vectors at a time; with two blocks of tokens that is sixteen sums in registers */

int recto_lanes(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw"))
        return 16;
    return __builtin_cpu_supports("avxvnni") ? 8 : 0;
}

#define MAXSIM(NAME, TARGET, INT, FLOAT, LANES, SET, LOAD, MULTIPLY, CONVERT, SETF, TIMES, LARGER, STORE)     \
    __attribute__((target(TARGET))) static void NAME(const uint8_t *codes, const float *scales, int64_t first,\
                                                     int64_t end, const int8_t *tokens, const int32_t *origin,\
                                                     int dim, float *best)                                    \
    {                                                                                                         \
        const int groups = dim / 4;                                                                           \
        const int8_t *more = tokens + (int64_t)groups * LANES * 4;                                            \
        const INT start0 = LOAD((const void *)origin), start1 = LOAD((const void *)(origin + LANES));         \
        FLOAT top0 = SETF(-3.4e38f), top1 = top0;                                                             \
        for (int64_t at = first; at < end; at += ROWS) {                                                      \
            const int count = end - at < ROWS ? (int)(end - at) : ROWS;                                       \
            const uint8_t *row[ROWS];                                                                         \
            INT sum0[ROWS], sum1[ROWS];                                                                       \
            for (int r = 0; r < ROWS; r++) {                                                                  \
                row[r] = codes + (at + (r < count ? r : 0)) * dim;                                            \
                sum0[r] = start0;                                                                             \
                sum1[r] = start1;                                                                             \
            }                                                                                                 \
            for (int g = 0; g < groups; g++) {                                                                \
                const INT q0 = LOAD((const void *)(tokens + (int64_t)g * LANES * 4));                         \
                const INT q1 = LOAD((const void *)(more + (int64_t)g * LANES * 4));                           \
                for (int r = 0; r < ROWS; r++) {                                                              \
                    int32_t four;                                                                             \
                    __builtin_memcpy(&four, row[r] + 4 * g, 4);                                               \
                    const INT p = SET(four);                                                                  \
                    sum0[r] = MULTIPLY(sum0[r], p, q0);                                                       \
                    sum1[r] = MULTIPLY(sum1[r], p, q1);                                                       \
                }                                                                                             \
            }                                                                                                 \
            for (int r = 0; r < count; r++) {                                                                 \
                const FLOAT scale = SETF(scales[at + r]);                                                     \
                top0 = LARGER(top0, TIMES(CONVERT(sum0[r]), scale));                                          \
                top1 = LARGER(top1, TIMES(CONVERT(sum1[r]), scale));                                          \
            }                                                                                                 \
        }                                                                                                     \
        STORE(best, top0);                                                                                    \
        STORE(best + LANES, top1);                                                                            \
    }

MAXSIM(wide, "avx512f,avx512bw,avx512vnni", __m512i, __m512, 16, _mm512_set1_epi32, _mm512_loadu_si512,
       _mm512_dpbusd_epi32, _mm512_cvtepi32_ps, _mm512_set1_ps, _mm512_mul_ps, _mm512_max_ps, _mm512_storeu_ps)
MAXSIM(narrow, "avx2,avxvnni", __m256i, __m256, 8, _mm256_set1_epi32, _mm256_loadu_si256,
       _mm256_dpbusd_avx_epi32, _mm256_cvtepi32_ps, _mm256_set1_ps, _mm256_mul_ps, _mm256_max_ps, _mm256_storeu_ps)

void recto_maxsim(const uint8_t *codes, const float *scales, const int64_t *starts, const int64_t *ends,
                  int64_t pages, const int8_t *tokens, const int32_t *origin, int blocks, int lanes, int dim,
                  float *best)
{
    for (int64_t page = 0; page < pages; page++)
        for (int block = 0; block < blocks; block += 2)
            (lanes == 16 ? wide : narrow)(codes, scales, starts[page], ends[page],
                                          tokens + (int64_t)block * lanes * dim, origin + block * lanes, dim,
                                          best + (page * blocks + block) * lanes);
}

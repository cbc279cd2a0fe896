/*
 * base - what every file of the engine and the drivers may use.
 *
 * Uses: public type headers only.
 */
#ifndef NXI_BASE_H
#define NXI_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nextorm/entity.h"
#include "nextorm/error.h"
#include "nextorm/value.h"

#define NXI_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NXI_CONTAINER(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))
#define NXI_LIKELY(x) __builtin_expect(!!(x), 1)
#define NXI_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define NXI_UNUSED __attribute__((unused))
#define NXI_CACHE_LINE 64

/*
 * An invariant of ours; stays on in release builds. Never on input of users, files or servers.
 * NX_DIAG is the same for costly walks; only in builds with NXI_DIAGNOSE.
 */
#define NX_ASSERT(condition) (NXI_LIKELY(condition) ? (void)0 : nxi_assert_failed(#condition, __FILE__, __LINE__))
#ifdef NXI_DIAGNOSE
#define NX_DIAG(condition) NX_ASSERT(condition)
#else
#define NX_DIAG(condition) ((void)0)
#endif
_Noreturn void nxi_assert_failed(const char *condition, const char *file, int line);

#if defined(__SANITIZE_ADDRESS__)
#define NXI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NXI_ASAN 1
#endif
#endif

static inline size_t nxi_min_size(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t nxi_max_size(size_t a, size_t b) { return a > b ? a : b; }

/* False on overflow; then *ret is not to be used. */
static inline bool nxi_add_size(size_t a, size_t b, size_t *ret) { return !__builtin_add_overflow(a, b, ret); }
static inline bool nxi_mul_size(size_t a, size_t b, size_t *ret) { return !__builtin_mul_overflow(a, b, ret); }

/* Monotonic clock, nanoseconds. */
int64_t nxi_clock_ns(void);

/*
 * Fill an error. NULL error is allowed (nothing happens); all functions return the status, so that
 * `return nxi_fail(error, NX_EINVAL, "...")` reads well. Fields not named are reset.
 */
nx_status nxi_fail(nx_error *error, nx_status status, const char *format, ...) NX_PRINTF(3, 4);
/* Copy a name into one of the error's fixed fields, cut at a character's border. */
void nxi_error_name(char field[NX_ERROR_NAME_SIZE], const char *name);
void nxi_error_reset(nx_error *error);

#endif

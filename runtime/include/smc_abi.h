/* What every model compiled by smc and its callers agree on. This text also stands at the head of each generated
 * header, under the same guard, so that any number of models and smc.h can be included together. */
#ifndef SMC_ABI
#define SMC_ABI 2

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a model's functions return. */
enum smc_status {
  SMC_OK = 0,
  SMC_NULL_POINTER = 1,
  SMC_MISALIGNED_WORKSPACE = 2,
  SMC_SHORT_WORKSPACE = 3,
  SMC_BAD_DIMENSION = 4,
  SMC_BROKEN_GUARD = 5,
  SMC_INDEX_OUT_OF_RANGE = 6,
  SMC_DIVISION_BY_ZERO = 7,
  SMC_NEGATIVE_EXPONENT = 8,
  SMC_ASSERTION_FAILED = 9,
  SMC_NO_SUCH_SIGNATURE = 10,
  SMC_NO_SUCH_CPU = 11
};

static inline const char *smc_status_text(int status) {
  switch (status) {
    case SMC_OK: return "ok";
    case SMC_NULL_POINTER: return "a pointer is null";
    case SMC_MISALIGNED_WORKSPACE: return "the workspace is not aligned to 64 bytes";
    case SMC_SHORT_WORKSPACE: return "the workspace is too small";
    case SMC_BAD_DIMENSION: return "a dimension is negative or so large that sizes overflow";
    case SMC_BROKEN_GUARD: return "the dimensions break a condition of the model";
    case SMC_INDEX_OUT_OF_RANGE: return "an index is out of range";
    case SMC_DIVISION_BY_ZERO: return "an integer is divided by zero";
    case SMC_NEGATIVE_EXPONENT: return "an integer has a negative exponent";
    case SMC_ASSERTION_FAILED: return "an assertion of the model failed";
    case SMC_NO_SUCH_SIGNATURE: return "there is no such signature";
    case SMC_NO_SUCH_CPU: return "the model has no code for this CPU level, or the processor is not of this level";
    default: return "unknown status";
  }
}

/* Every workspace starts at a multiple of this. */
#define SMC_WORKSPACE_ALIGN 64

/* Who runs the parallel loops of a call. parallel_for has run task over all of [0, count), split in any way, on any
 * threads, before it returns; about so many nanoseconds one thread would take for it, at least 1: a hint whether
 * waking somebody is worth it. Ranges of few microseconds occur. width says how many threads there are. */
struct smc_threads {
  void *pool;
  void (*parallel_for)(void *pool, void (*task)(void *arg, int64_t begin, int64_t end), void *arg, int64_t count,
                       int64_t nanoseconds);
  int64_t width;
};

/* A compiled model for generic callers; smc.h reads the descriptor.
 * invoke runs the signature with this number; io points to the signature's struct.
 * workspace_bytes tells what that call needs for the dimensions in io, or a negated status. */
struct smc_model {
  const void *descriptor;
  int (*invoke)(uint32_t signature, const void *io, void *workspace, size_t workspace_bytes);
  int64_t (*workspace_bytes)(uint32_t signature, const void *io);
};

#ifdef __cplusplus
}
#endif

#elif SMC_ABI != 2
#error "headers of models compiled by incompatible versions of smc are included together"
#endif

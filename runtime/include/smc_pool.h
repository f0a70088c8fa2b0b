/* Threads for models compiled by smc, from the static library of the runtime crate:
 *
 *   cargo rustc --release --package smc-runtime --crate-type staticlib
 *   cc main.c libmnist.o target/release/libsmc_runtime.a -lpthread -ldl -lm
 *
 * A program with threads of its own does without: it fills a struct smc_threads itself. */
#ifndef SMC_POOL_H
#define SMC_POOL_H

#include "smc_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A pool that computes with width threads, the calling one included; width < 1: as many as the machine runs at once.
 * Workers that have nothing to do look for work for 50 microseconds and then sleep.
 * Any number of threads may call models with it. Null when the threads cannot be started. */
struct smc_threads *smc_pool_new(int64_t width);

/* Ends the threads, after the last call that uses them; null is ignored. */
void smc_pool_free(struct smc_threads *threads);

#ifdef __cplusplus
}
#endif

#endif

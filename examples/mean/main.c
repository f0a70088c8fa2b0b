/* Keeps a mean over all numbers that it was ever given:
 *
 *   smc compile examples/mean/model -o libmean.o
 *   cc -I. examples/mean/main.c libmean.o -o mean
 *   ./mean mean.state 1 2 3 && ./mean mean.state 10
 *
 * The variables of the model are in the file between runs. */
#include <stdio.h>
#include <stdlib.h>

#include "libmean.h"

/* Room for a state that starts at a multiple of 64, the workspace of a call behind it, and what a file holds. */
static unsigned char memory[MEAN_STATE_BYTES + MEAN_FEED_WORKSPACE + 63];
static uint64_t saved[MEAN_STATE_BYTES / 8];

static int fail(const char *what, int status) {
  fprintf(stderr, "%s: %s\n", what, smc_status_text(status));
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s FILE NUMBER..\n", argv[0]);
    return 2;
  }
  void *state = memory + (64 - (uintptr_t)memory % 64) % 64;
  void *workspace = (unsigned char *)state + MEAN_STATE_BYTES;
  FILE *file = fopen(argv[1], "rb");
  int status;
  if (file != NULL) {
    size_t bytes = fread(saved, 1, sizeof saved, file);
    fclose(file);
    status = mean_state_load(state, MEAN_STATE_BYTES, saved, bytes);
  } else {
    status = mean_state_init(state, MEAN_STATE_BYTES);
  }
  if (status != SMC_OK) return fail(argv[1], status);

  for (int n = 2; n < argc; n++) {
    float x = (float)atof(argv[n]), mean;
    struct mean_feed io = {0};
    io.x = &x;
    io.mean = &mean;
    io.state = state;
    status = mean_feed(&io, workspace, MEAN_FEED_WORKSPACE);
    if (status != SMC_OK) return fail("feed", status);
  }
  /* The variables can be read where they lie, too. */
  printf("%lld numbers, mean %g\n", (long long)*mean_state_count(state), *mean_state_mean(state));

  status = mean_state_save(state, saved, sizeof saved);
  if (status != SMC_OK) return fail("save", status);
  file = fopen(argv[1], "wb");
  if (file == NULL || fwrite(saved, 1, sizeof saved, file) != sizeof saved || fclose(file) != 0) {
    fprintf(stderr, "%s cannot be written\n", argv[1]);
    return 1;
  }
  return 0;
}

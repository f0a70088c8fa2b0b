/* Calls a model with a state as it should be, and with everything that is no state of it. */
#include <string.h>

#include "check.h"
#include "libmean.h"
#include "smc.h"

static unsigned char memory[3][MEAN_STATE_BYTES + 64];
static uint64_t saved[MEAN_STATE_BYTES / 8], damaged[MEAN_STATE_BYTES / 8];

static void *aligned(unsigned char *from) { return from + (64 - (uintptr_t)from % 64) % 64; }

static int feed(void *state, float x, float *mean) {
  struct mean_feed io;
  unsigned char workspace[64 + MEAN_FEED_WORKSPACE + 1];
  memset(&io, 0, sizeof io);
  io.x = &x;
  io.mean = mean;
  io.state = state;
  return mean_feed(&io, aligned(workspace), MEAN_FEED_WORKSPACE);
}

int main(void) {
  const struct smc_state functions = MEAN_STATE;
  void *one = aligned(memory[0]), *two = aligned(memory[1]), *three = aligned(memory[2]);
  float mean = 7;
  size_t n;
  CHECK(functions.bytes() == MEAN_STATE_BYTES && mean_state_bytes() % 64 == 0);
  /* What is no state is told before anything is written. */
  CHECK(feed(NULL, 1, &mean) == SMC_NULL_POINTER);
  CHECK(feed(one, 1, &mean) == SMC_WRONG_STATE && mean == 7);
  CHECK(mean_state_init(NULL, MEAN_STATE_BYTES) == SMC_NULL_POINTER);
  CHECK(mean_state_init(one, MEAN_STATE_BYTES - 1) == SMC_WRONG_STATE);
  CHECK(mean_state_init((unsigned char *)one + 8, MEAN_STATE_BYTES) == SMC_WRONG_STATE);
  CHECK(functions.init(one, MEAN_STATE_BYTES) == SMC_OK && mean_state_init(two, MEAN_STATE_BYTES) == SMC_OK);
  CHECK(feed((unsigned char *)one + 64, 1, &mean) == SMC_WRONG_STATE);
  /* Two states know nothing of each other. */
  CHECK(feed(one, 1, &mean) == SMC_OK && mean == 1);
  CHECK(feed(one, 3, &mean) == SMC_OK && mean == 2);
  CHECK(feed(two, 10, &mean) == SMC_OK && mean == 10);
  CHECK(*mean_state_count(one) == 2 && *mean_state_mean(one) == 2 && *mean_state_count(two) == 1);
  {
    /* A signature that only reads takes a pointer to a constant. */
    struct mean_get io;
    int64_t count = 0;
    const void *state = one;
    unsigned char workspace[64 + MEAN_GET_WORKSPACE + 1];
    memset(&io, 0, sizeof io);
    io.mean = &mean;
    io.count = &count;
    io.state = state;
    CHECK(mean_get(&io, aligned(workspace), MEAN_GET_WORKSPACE) == SMC_OK && mean == 2 && count == 2);
  }
  /* A copy goes on as the first one would. */
  CHECK(mean_state_save(three, saved, sizeof saved) == SMC_WRONG_STATE);
  CHECK(mean_state_save(one, saved, sizeof saved - 1) == SMC_WRONG_STATE);
  CHECK(functions.save(one, saved, sizeof saved) == SMC_OK);
  CHECK(functions.load(three, MEAN_STATE_BYTES, saved, sizeof saved) == SMC_OK);
  CHECK(memcmp(one, three, MEAN_STATE_BYTES) == 0);
  CHECK(feed(three, 5, &mean) == SMC_OK && mean == 3 && *mean_state_mean(one) == 2);
  /* A seed is refused where there is no state, and changes nothing where nothing is drawn. */
  CHECK(mean_state_seed(NULL, 1) == SMC_NULL_POINTER);
  CHECK(mean_state_seed((unsigned char *)two + 64, 1) == SMC_WRONG_STATE);
  CHECK(functions.seed(two, 1) == SMC_OK && *mean_state_count(two) == 1 && *mean_state_mean(two) == 10);
  /* What was damaged anywhere is refused, and the state stays. */
  for (n = 0; n < sizeof saved; n++) {
    memcpy(damaged, saved, sizeof saved);
    ((unsigned char *)damaged)[n] ^= 16;
    CHECK(mean_state_load(two, MEAN_STATE_BYTES, damaged, sizeof damaged) == SMC_WRONG_STATE);
  }
  CHECK(mean_state_load(two, MEAN_STATE_BYTES, saved, sizeof saved - 64) == SMC_WRONG_STATE);
  CHECK(mean_state_load(two, MEAN_STATE_BYTES - 64, saved, sizeof saved) == SMC_WRONG_STATE);
  CHECK(*mean_state_count(two) == 1 && *mean_state_mean(two) == 10);
  {
    /* A caller that knows the descriptor alone. */
    const struct smc_model model = MEAN_MODEL;
    const struct smc_signature *s = smc_signature_at(&model, MEAN_FEED_SIGNATURE);
    uint64_t io[16];
    float x = 13;
    unsigned char workspace[64 + MEAN_FEED_WORKSPACE + 1];
    const void *inputs[1];
    void *outputs[1];
    inputs[0] = &x;
    outputs[0] = &mean;
    CHECK(smc_state_slot(&model, s) == 16 && s->io_bytes <= sizeof io);
    CHECK(smc_call(&model, MEAN_FEED_SIGNATURE, inputs, outputs, NULL, NULL, io, aligned(workspace),
                   MEAN_FEED_WORKSPACE) == SMC_NULL_POINTER);
    CHECK(smc_call_with(&model, 0, three, MEAN_FEED_SIGNATURE, inputs, outputs, NULL, NULL, io, aligned(workspace),
                        MEAN_FEED_WORKSPACE) == SMC_OK);
    CHECK(*mean_state_count(three) == 4 && mean == 5.5f);
  }
#if SMC_CPP >= 201703L
  {
    smc::mean::feed call;
    float x[1] = {20}, y[1];
    call.x = x;
    call.mean = y;
    call.state = two;
    CHECK(call() == smc::status::ok && y[0] == 15);
    call.state = nullptr;
    CHECK(call() == smc::status::null_pointer);
  }
#endif
  puts("ok");
  return 0;
}

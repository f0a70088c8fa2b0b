/* A caller's own parallel_for, cutting the range in odd ways and in reverse, gets the bits that one thread gets. */
#include "check.h"
#include "libcnn.h"
#include "libmnist.h"

static int64_t calls;

static void backwards(void *pool, void (*task)(void *arg, int64_t begin, int64_t end), void *arg, int64_t count,
                      int64_t nanoseconds) {
  int64_t step = *(const int64_t *)pool, end;
  calls++;
  CHECK(count >= 0);
  CHECK(nanoseconds > 0);
  for (end = count; end > 0; end -= step) task(arg, end > step ? end - step : 0, end);
}

#define RUN(model, out, by)                                                       \
  do {                                                                            \
    struct model##_serving_default io;                                            \
    size_t bytes = model##_serving_default_workspace(count);                      \
    memset(&io, 0, sizeof io);                                                    \
    io.inputs = images;                                                           \
    io.output_0 = out;                                                            \
    io.batch = count;                                                             \
    io.threads = by;                                                              \
    CHECK_EQ(model##_serving_default(&io, workspace_of(bytes), bytes), SMC_OK);   \
  } while (0)

static float alone[64 * CLASSES], together[64 * CLASSES];

int main(int argc, char **argv) {
  int64_t count, step;
  float *images;
  CHECK(argc == 2);
  images = read_images(argv[1], &count, NULL);
  for (step = 1; step < 8; step += 3) {
    struct smc_threads threads;
    threads.pool = &step;
    threads.parallel_for = backwards;
    threads.width = step;
    RUN(mnist, alone, NULL);
    RUN(mnist, together, &threads);
    CHECK(memcmp(alone, together, sizeof alone) == 0);
    RUN(cnn, alone, NULL);
    RUN(cnn, together, &threads);
    CHECK(memcmp(alone, together, sizeof alone) == 0);
  }
  CHECK(calls > 0);
  puts("ok");
  return 0;
}

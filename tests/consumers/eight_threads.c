/* Eight threads call one model at once, each with a workspace of its own; all get the bits that one thread gets for a
 * batch of the same size. */
#include <pthread.h>

#include "check.h"
#include "libmnist.h"

enum { THREADS = 8, ROUNDS = 50 };

static float *images, expected[64][64 * CLASSES];
static int64_t count;

static int run(float *outputs, void *workspace, size_t bytes, int64_t batch) {
  struct mnist_serving_default io;
  memset(&io, 0, sizeof io);
  io.inputs = images;
  io.output_0 = outputs;
  io.batch = batch;
  return mnist_serving_default(&io, workspace, bytes);
}

static void *work(void *number) {
  static float outputs[THREADS][64 * CLASSES];
  float *mine = outputs[(intptr_t)number];
  size_t bytes = mnist_serving_default_workspace(count);
  void *workspace = workspace_of(bytes);
  int round;
  for (round = 0; round < ROUNDS; round++) {
    int64_t batch = (round + (intptr_t)number) % count + 1;
    memset(mine, 0, sizeof outputs[0]);
    CHECK_EQ(run(mine, workspace, bytes, batch), SMC_OK);
    CHECK(memcmp(mine, expected[batch - 1], sizeof(float) * CLASSES * (size_t)batch) == 0);
  }
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[THREADS];
  intptr_t i;
  size_t bytes;
  void *workspace;
  CHECK(argc == 2);
  images = read_images(argv[1], &count, NULL);
  bytes = mnist_serving_default_workspace(count);
  workspace = workspace_of(bytes);
  for (i = 0; i < count; i++) CHECK_EQ(run(expected[i], workspace, bytes, i + 1), SMC_OK);
  for (i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&threads[i], NULL, work, (void *)i), 0);
  for (i = 0; i < THREADS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
  puts("ok");
  return 0;
}

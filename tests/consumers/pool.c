/* The runtime's thread pool, from C: calls from several widths get the bits that one thread gets. */
#include "check.h"
#include "libcnn.h"
#include "smc_pool.h"

static float alone[64 * CLASSES], together[64 * CLASSES];

static int run(float *images, float *outputs, int64_t count, const struct smc_threads *threads) {
  struct cnn_serving_default io;
  size_t bytes = cnn_serving_default_workspace(count);
  memset(&io, 0, sizeof io);
  io.inputs = images;
  io.output_0 = outputs;
  io.batch = count;
  io.threads = threads;
  return cnn_serving_default(&io, workspace_of(bytes), bytes);
}

int main(int argc, char **argv) {
  int64_t count, width;
  float *images;
  CHECK(argc == 2);
  images = read_images(argv[1], &count, NULL);
  CHECK_EQ(run(images, alone, count, NULL), SMC_OK);
  for (width = 0; width < 5; width++) {
    struct smc_threads *threads = smc_pool_new(width);
    int round;
    CHECK(threads != NULL);
    CHECK(width == 0 ? threads->width >= 1 : threads->width == width);
    for (round = 0; round < 20; round++) {
      memset(together, 0, sizeof together);
      CHECK_EQ(run(images, together, count, threads), SMC_OK);
      CHECK(memcmp(alone, together, sizeof alone) == 0);
    }
    smc_pool_free(threads);
  }
  smc_pool_free(NULL);
  puts("ok");
  return 0;
}

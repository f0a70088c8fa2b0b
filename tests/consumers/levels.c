/* Every CPU level that the processor has answers alike, and the best of them is taken where none is asked for; the
 * others are refused. Prints the best one's name before `ok`. */
#include "check.h"
#include "libmnist.h"
#include "smc.h"

static const struct smc_model model = MNIST_MODEL;
static struct mnist_serving_default io;
static void *workspace;
static size_t bytes;

static int run(uint64_t cpu, float *outputs, int64_t batch) {
  io.output_0 = outputs;
  io.batch = batch;
  io.cpu = cpu;
  return mnist_serving_default(&io, workspace, bytes);
}

int main(int argc, char **argv) {
  static float chosen[64 * CLASSES], forced[64 * CLASSES];
  const void *inputs[1];
  void *outputs[1];
  const struct smc_level *level, *best = NULL;
  int64_t count, i;
  uint32_t n;
  int held[8] = {0}, missing = 0;
  CHECK(argc == 2);
  inputs[0] = io.inputs = read_images(argv[1], &count, NULL);
  bytes = mnist_serving_default_workspace(count);
  workspace = workspace_of(bytes);

  CHECK_EQ(run(0, chosen, count), SMC_OK);
  for (n = 0; (level = smc_level_at(&model, n)) != NULL; n++) {
    int status = run(level->number, forced, count);
    CHECK(level->number > 0 && level->number < 8);
    held[level->number] = 1;
    /* Who lacks a level lacks those above it. */
    if (status == SMC_NO_SUCH_CPU) missing = 1;
    else CHECK_EQ(status, SMC_OK);
    CHECK_EQ(status == SMC_NO_SUCH_CPU, missing);
    if (missing) continue;
    best = level;
    for (i = 0; i < count * CLASSES; i++) CHECK(forced[i] - chosen[i] < 1e-5f && chosen[i] - forced[i] < 1e-5f);
  }
  CHECK(best != NULL);
  /* The same level gives the same bits. */
  CHECK_EQ(run(best->number, forced, count), SMC_OK);
  CHECK(memcmp(chosen, forced, sizeof(float) * CLASSES * (size_t)count) == 0);
  memset(forced, 0, sizeof forced);
  outputs[0] = forced;
  CHECK_EQ(smc_call_on(&model, best->number, 0, inputs, outputs, &count, NULL, &io, workspace, bytes), SMC_OK);
  CHECK(memcmp(chosen, forced, sizeof(float) * CLASSES * (size_t)count) == 0);

  for (n = 1; n < 8; n++)
    if (!held[n]) CHECK_EQ(run(n, forced, count), SMC_NO_SUCH_CPU);
  CHECK_EQ(run(64, forced, count), SMC_NO_SUCH_CPU);
  CHECK_EQ(run(UINT64_C(1) << 32 | best->number, forced, count), SMC_NO_SUCH_CPU);
  CHECK_EQ(run(UINT64_MAX, forced, count), SMC_NO_SUCH_CPU);
  CHECK_EQ(run(best->number, NULL, count), SMC_NULL_POINTER);
  printf("%s\n", smc_text(&model, best->name));
  puts("ok");
  return 0;
}

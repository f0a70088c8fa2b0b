/* Every mistake a caller can make gets its own status, and nothing is written; a batch of 0 is no mistake. */
#include "check.h"
#include "libmnist.h"

static const float untouched = -42.0f;
static float *images, outputs[64 * CLASSES];
static void *workspace;
static size_t needed;

static struct mnist_serving_default call(int64_t batch) {
  struct mnist_serving_default io;
  memset(&io, 0, sizeof io);
  io.inputs = images;
  io.output_0 = outputs;
  io.batch = batch;
  return io;
}

static int run(struct mnist_serving_default io, void *memory, size_t bytes) {
  return mnist_serving_default(&io, memory, bytes);
}

int main(int argc, char **argv) {
  struct mnist_serving_default io;
  int64_t count, i;
  CHECK(argc == 2);
  images = read_images(argv[1], &count, NULL);
  needed = mnist_serving_default_workspace(count);
  CHECK(needed != SIZE_MAX);
  workspace = workspace_of(needed + 64);
  for (i = 0; i < 64 * CLASSES; i++) outputs[i] = untouched;

  CHECK_EQ(mnist_serving_default(NULL, workspace, needed), SMC_NULL_POINTER);
  io = call(count);
  io.inputs = NULL;
  CHECK_EQ(run(io, workspace, needed), SMC_NULL_POINTER);
  io = call(count);
  io.output_0 = NULL;
  CHECK_EQ(run(io, workspace, needed), SMC_NULL_POINTER);
  if (needed > 0) {
    CHECK_EQ(run(call(count), NULL, needed), SMC_NULL_POINTER);
    CHECK_EQ(run(call(count), (char *)workspace + 4, needed), SMC_MISALIGNED_WORKSPACE);
    CHECK_EQ(run(call(count), (char *)workspace + 32, needed), SMC_MISALIGNED_WORKSPACE);
    CHECK_EQ(run(call(count), workspace, needed - 1), SMC_SHORT_WORKSPACE);
    CHECK_EQ(run(call(count), workspace, 0), SMC_SHORT_WORKSPACE);
  }

  static const int64_t impossible[] = {-1, INT64_MIN, INT64_C(1) << 62, INT64_MAX, INT64_C(1) << 53};
  for (i = 0; i < (int64_t)(sizeof impossible / sizeof *impossible); i++) {
    io = call(impossible[i]);
    CHECK_EQ(run(io, workspace, needed), SMC_BAD_DIMENSION);
    CHECK_EQ(run(io, workspace, SIZE_MAX), SMC_BAD_DIMENSION);
    CHECK(mnist_serving_default_workspace(impossible[i]) == SIZE_MAX);
    CHECK_EQ(mnist_workspace_bytes(0, &io), -SMC_BAD_DIMENSION);
    CHECK_EQ(mnist_invoke(0, &io, workspace, needed), SMC_BAD_DIMENSION);
  }
  io = call(count);
  CHECK_EQ(mnist_invoke(1, &io, workspace, needed), SMC_NO_SUCH_SIGNATURE);
  CHECK_EQ(mnist_invoke(UINT32_MAX, &io, workspace, needed), SMC_NO_SUCH_SIGNATURE);
  CHECK_EQ(mnist_workspace_bytes(1, &io), -SMC_NO_SUCH_SIGNATURE);
  CHECK_EQ(mnist_workspace_bytes(0, NULL), -SMC_NULL_POINTER);
  CHECK_EQ(mnist_invoke(0, NULL, workspace, needed), SMC_NULL_POINTER);

  CHECK(mnist_serving_default_workspace(0) != SIZE_MAX);
  CHECK_EQ(run(call(0), workspace, needed), SMC_OK);
  for (i = 0; i < 64 * CLASSES; i++) CHECK(outputs[i] == untouched);

  CHECK_EQ(run(call(count), workspace, needed), SMC_OK);
  for (i = 0; i < count * CLASSES; i++) CHECK(outputs[i] >= 0.0f && outputs[i] <= 1.0f);
  for (; i < 64 * CLASSES; i++) CHECK(outputs[i] == untouched);
  CHECK(strcmp(smc_status_text(SMC_SHORT_WORKSPACE), "the workspace is too small") == 0);
  puts("ok");
  return 0;
}

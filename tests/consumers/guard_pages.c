/* Inputs, outputs and workspace each end, then begin, where the readable memory does, and inputs are read-only: whoever
 * reads or writes one byte outside of them, or writes an input, is stopped. */
#define _DEFAULT_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "libcnn.h"
#include "libmnist.h"

/* Memory of so many bytes between two pages that nobody may touch; at its end the bytes are aligned to `align`. */
static void *fenced(size_t bytes, size_t align, int at_end) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
  char *memory = (char *)mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != (char *)MAP_FAILED);
  if (room > 0) {
    CHECK_EQ(mprotect(memory + page, room, PROT_READ | PROT_WRITE), 0);
    memset(memory + page, 0x7f, room);
  }
  return memory + page + (at_end ? (room - bytes) / align * align : 0);
}

static void read_only(void *start, size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), before = (uintptr_t)start % page;
  if (bytes > 0) CHECK_EQ(mprotect((char *)start - before, before + bytes, PROT_READ), 0);
}

#define RUN(model, at_end)                                                        \
  do {                                                                            \
    struct model##_serving_default io;                                            \
    size_t bytes = model##_serving_default_workspace(batch);                      \
    float *inputs = (float *)fenced(in_bytes, 4, at_end);                         \
    float *outputs = (float *)fenced(out_bytes, 4, at_end);                       \
    CHECK(bytes != SIZE_MAX);                                                     \
    memcpy(inputs, images, in_bytes);                                             \
    read_only(inputs, in_bytes);                                                  \
    memset(&io, 0, sizeof io);                                                    \
    io.inputs = inputs;                                                           \
    io.output_0 = outputs;                                                        \
    io.batch = batch;                                                             \
    CHECK_EQ(model##_serving_default(&io, fenced(bytes, 64, at_end), bytes), SMC_OK); \
    for (i = 0; i < batch * CLASSES; i++) CHECK(outputs[i] >= 0.0f && outputs[i] <= 1.0f); \
  } while (0)

int main(int argc, char **argv) {
  int64_t count, batch, i;
  float *images;
  CHECK(argc == 2);
  images = read_images(argv[1], &count, NULL);
  for (batch = 0; batch <= count; batch++) {
    size_t in_bytes = sizeof(float) * PIXELS * (size_t)batch, out_bytes = sizeof(float) * CLASSES * (size_t)batch;
    RUN(mnist, 1);
    RUN(mnist, 0);
    RUN(cnn, 1);
    RUN(cnn, 0);
  }
  puts("ok");
  return 0;
}

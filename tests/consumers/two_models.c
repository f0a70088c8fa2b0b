/* Two models, one of them in two copies with names of their own, live in one process and do not meet. */
#include "check.h"
#include "libmnist.h"
#include "libmnist_v2.h"
#include "libcnn.h"

#define RUN(model, out)                                                           \
  do {                                                                            \
    struct model##_serving_default io;                                            \
    size_t bytes = model##_serving_default_workspace(count);                      \
    memset(&io, 0, sizeof io);                                                    \
    io.inputs = images;                                                           \
    io.output_0 = out;                                                            \
    io.batch = count;                                                             \
    CHECK_EQ(model##_serving_default(&io, workspace_of(bytes), bytes), SMC_OK);   \
  } while (0)

static float first[64 * CLASSES], second[64 * CLASSES], other[64 * CLASSES], again[64 * CLASSES];

int main(int argc, char **argv) {
  unsigned char labels[64];
  int64_t count, i, right = 0;
  float *images;
  CHECK(argc == 2);
  images = read_images(argv[1], &count, labels);
  RUN(mnist, first);
  RUN(cnn, other);
  RUN(mnist_v2, second);
  RUN(mnist, again);
  CHECK(memcmp(first, second, sizeof first) == 0);
  CHECK(memcmp(first, again, sizeof first) == 0);
  CHECK(memcmp(first, other, sizeof first) != 0);
  for (i = 0; i < count; i++) right += most_likely(other + i * CLASSES) == labels[i];
  CHECK(right * 10 >= count * 9);
  CHECK(memcmp(mnist_descriptor, mnist_v2_descriptor, 4) == 0);
  puts("ok");
  return 0;
}

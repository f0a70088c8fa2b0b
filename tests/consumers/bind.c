/* Weights in files that are mapped: bound, refused and bound again while other threads call. */
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "libm.h"

enum { COUNT = 21 };

static const char *map(const char *path, size_t *bytes) {
  struct stat found;
  int file = open(path, O_RDONLY);
  void *memory;
  CHECK(file >= 0 && fstat(file, &found) == 0);
  *bytes = (size_t)found.st_size;
  memory = mmap(NULL, *bytes, PROT_READ, MAP_SHARED, file, 0);
  CHECK(memory != MAP_FAILED);
  close(file);
  return (const char *)memory;
}

/* What is added to zeros: the weights. Every element is of the same file. */
static int call(float *first) {
  float x[COUNT] = {0}, y[COUNT];
  struct m_main io = {x, y, NULL, 0};
  int i, status = m_main(&io, NULL, 0);
  if (status == SMC_OK) {
    *first = y[0];
    for (i = 0; i < COUNT; i++) CHECK(y[i] == y[0] + (float)i);
  }
  return status;
}

static void *calls(void *unused) {
  int i;
  float first = 0;
  for (i = 0; i < 20000; i++) {
    CHECK(call(&first) == SMC_OK);
    CHECK(first == 1 || first == 101);
  }
  return unused;
}

int main(int argc, char **argv) {
  static char moved[4096 + 1];
  size_t own_bytes, again_bytes, other_bytes;
  const char *own, *again, *other;
  float first = 0;
  pthread_t threads[2];
  int i;
  CHECK(argc == 4);
  own = map(argv[1], &own_bytes);
  again = map(argv[2], &again_bytes);
  other = map(argv[3], &other_bytes);
  CHECK(own_bytes == m_weights_bytes() && again_bytes == own_bytes);
  CHECK(call(&first) == SMC_NO_WEIGHTS);
  CHECK(m_bind_weights(NULL, own_bytes) == SMC_NULL_POINTER);
  CHECK(m_bind_weights(own, own_bytes - 1) == SMC_WRONG_WEIGHTS);
  CHECK(m_bind_weights(other, other_bytes) == SMC_WRONG_WEIGHTS);
  memcpy(moved + 1, own, own_bytes);
  CHECK(m_bind_weights(moved + 1, own_bytes) == SMC_WRONG_WEIGHTS);
  CHECK(call(&first) == SMC_NO_WEIGHTS);
  CHECK(m_bind_weights(own, own_bytes) == SMC_OK);
  CHECK(call(&first) == SMC_OK && first == 1);
  /* What is refused changes nothing. */
  CHECK(m_bind_weights(other, other_bytes) == SMC_WRONG_WEIGHTS);
  CHECK(call(&first) == SMC_OK && first == 1);
  for (i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, calls, NULL) == 0);
  for (i = 0; i < 2000; i++) CHECK(m_bind_weights(i % 2 ? own : again, own_bytes) == SMC_OK);
  for (i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK(m_bind_weights(again, again_bytes) == SMC_OK);
  CHECK(call(&first) == SMC_OK && first == 101);
  puts("ok");
  return 0;
}

/* Runs a compiled model from C. With one argument, the input as a numpy file of float32: prints `first` when the first
 * result is there, then the peak of resident memory in kilobytes. With a second one, seconds: measures calls for that long
 * and prints the minimum and the median of the microseconds of one. The model is `m`, with all extents fixed. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "m.h"
#include "smc.h"

enum { MOST_SAMPLES = 100000 };

static const struct smc_model model = M_MODEL;

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void *lines(size_t bytes) {
  void *memory = aligned_alloc(SMC_WORKSPACE_ALIGN, (bytes / SMC_WORKSPACE_ALIGN + 1) * SMC_WORKSPACE_ALIGN);
  if (memory == NULL) exit(3);
  return memory;
}

static int64_t bytes_of(struct smc_array tensors) {
  const struct smc_tensor *tensor = smc_tensor_at(&model, tensors, 0);
  int64_t count;
  if (tensor == NULL || smc_element_count(&model, tensor, NULL, &count) != SMC_OK) exit(4);
  return count * (int64_t)smc_element_bytes(tensor->element);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  const struct smc_signature *s = smc_signature_at(&model, 0);
  int64_t input_bytes = bytes_of(s->inputs), workspace_bytes;
  if (argc < 2 || smc_workspace_bytes(&model, s, NULL, &workspace_bytes) != SMC_OK) return 2;
  void *input = lines((size_t)input_bytes), *output = lines((size_t)bytes_of(s->outputs));
  void *workspace = lines((size_t)workspace_bytes), *io = calloc(1, s->io_bytes);
  /* The values are the last bytes of a numpy file. */
  FILE *file = fopen(argv[1], "rb");
  if (file == NULL || io == NULL || fseek(file, (long)-input_bytes, SEEK_END) != 0 ||
      fread(input, 1, (size_t)input_bytes, file) != (size_t)input_bytes)
    return 5;
  fclose(file);
  memcpy((char *)io + smc_tensor_at(&model, s->inputs, 0)->slot, &input, sizeof input);
  memcpy((char *)io + smc_tensor_at(&model, s->outputs, 0)->slot, &output, sizeof output);
  if (model.invoke(0, io, workspace, (size_t)workspace_bytes) != SMC_OK) return 6;
  if (argc == 2) {
    char line[256];
    puts("first");
    fflush(stdout);
    file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
      if (strncmp(line, "VmHWM:", 6) == 0) printf("%ld\n", strtol(line + 6, NULL, 10));
    return 0;
  }
  static double samples[MOST_SAMPLES];
  double end = now_us() + atof(argv[2]) * 1e6, start = now_us();
  int count = 0, i, calls;
  model.invoke(0, io, workspace, (size_t)workspace_bytes);
  /* A sample is 100 us at least, so that reading the clock does not show in it. */
  calls = 1 + (int)(100.0 / (now_us() - start + 0.01));
  while (count < 3 || (count < MOST_SAMPLES && now_us() < end)) {
    start = now_us();
    for (i = 0; i < calls; i++) model.invoke(0, io, workspace, (size_t)workspace_bytes);
    samples[count++] = (now_us() - start) / calls;
  }
  qsort(samples, (size_t)count, sizeof *samples, ascending);
  printf("%.4f %.4f\n", samples[0], samples[count / 2]);
  return 0;
}

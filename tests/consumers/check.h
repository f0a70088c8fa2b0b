/* What the test programs share: the file of digits, workspaces, and a check that names its line. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = 28 * 28, RECORD = PIXELS + 1, CLASSES = 10 };

#define CHECK(condition)                                                  \
  do {                                                                    \
    if (!(condition)) {                                                   \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);     \
      exit(1);                                                            \
    }                                                                     \
  } while (0)

#define CHECK_EQ(value, expected)                                                                              \
  do {                                                                                                         \
    long long value_ = (long long)(value), expected_ = (long long)(expected);                                  \
    if (value_ != expected_) {                                                                                 \
      fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #value, value_, expected_);         \
      exit(1);                                                                                                 \
    }                                                                                                          \
  } while (0)

/* Images scaled to 0..1, one after the other; labels unless null. */
static inline float *read_images(const char *path, int64_t *count, unsigned char *labels) {
  static unsigned char records[64 * RECORD];
  FILE *file = fopen(path, "rb");
  float *images;
  int64_t i, p;
  CHECK(file != NULL);
  *count = (int64_t)(fread(records, 1, sizeof records, file) / RECORD);
  fclose(file);
  CHECK(*count > 0);
  images = (float *)malloc(sizeof(float) * PIXELS * (size_t)*count);
  CHECK(images != NULL);
  for (i = 0; i < *count; i++) {
    for (p = 0; p < PIXELS; p++) images[i * PIXELS + p] = (float)records[i * RECORD + p] / 255.0f;
    if (labels != NULL) labels[i] = records[i * RECORD + PIXELS];
  }
  return images;
}

/* Memory that starts at a multiple of 64 and is filled with a pattern, so that nobody relies on zeros. */
static inline void *workspace_of(size_t bytes) {
  char *memory = (char *)malloc(bytes + 64);
  CHECK(memory != NULL);
  memset(memory, 0x7f, bytes + 64);
  return memory + (64 - (uintptr_t)memory % 64);
}

static inline int most_likely(const float *probabilities) {
  int best = 0, i;
  for (i = 1; i < CLASSES; i++)
    if (probabilities[i] > probabilities[best]) best = i;
  return best;
}

#endif

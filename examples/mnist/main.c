/* Classifies handwritten digits with the compiled model of this folder.
 *
 *   smc compile examples/mnist/model -o libmnist.o
 *   cc -o mnist examples/mnist/main.c libmnist.o -I .
 *   ./mnist examples/mnist/digits.bin
 *
 * The file holds records of 785 bytes: 28 rows of 28 grey pixels, then the label. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "libmnist.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, RECORD = PIXELS + 1, CLASSES = 10 };

/* Reads as many records as there are; the caller frees them. */
static unsigned char *read_records(const char *path, int64_t *count) {
  FILE *file = fopen(path, "rb");
  unsigned char *records = NULL;
  long bytes;
  if (file == NULL) return NULL;
  if (fseek(file, 0, SEEK_END) == 0 && (bytes = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0) {
    *count = bytes / RECORD;
    records = malloc((size_t)bytes + 1);
    if (records != NULL && fread(records, 1, (size_t)bytes, file) != (size_t)bytes) {
      free(records);
      records = NULL;
    }
  }
  fclose(file);
  return records;
}

/* Prints an image at half height, since characters are twice as high as wide. */
static void draw(const unsigned char *pixels) {
  static const char shades[] = " .:-=+*#%@";
  int row, column;
  for (row = 0; row < SIDE; row += 2) {
    for (column = 0; column < SIDE; column++) {
      int grey = (pixels[row * SIDE + column] + pixels[(row + 1) * SIDE + column]) / 2;
      putchar(shades[grey * 10 / 256]);
    }
    putchar('\n');
  }
}

static int most_likely(const float *probabilities) {
  int best = 0, i;
  for (i = 1; i < CLASSES; i++)
    if (probabilities[i] > probabilities[best]) best = i;
  return best;
}

int main(int argc, char **argv) {
  struct mnist_serving_default io = {0};
  unsigned char *records = NULL;
  float *pixels, *probabilities;
  char *memory;
  size_t workspace_bytes;
  int64_t count = 0, i, right = 0;
  int status;

  if (argc == 2) records = read_records(argv[1], &count);
  if (records == NULL) {
    fprintf(stderr, "usage: %s digits.bin\n", argv[0]);
    return 2;
  }

  /* The caller owns all memory: inputs, outputs, and a workspace that starts at a multiple of 64. */
  workspace_bytes = mnist_serving_default_workspace(count);
  pixels = malloc(sizeof(float) * PIXELS * (size_t)count + 1);
  probabilities = malloc(sizeof(float) * CLASSES * (size_t)count + 1);
  memory = malloc(workspace_bytes + SMC_WORKSPACE_ALIGN);
  if (workspace_bytes == SIZE_MAX || pixels == NULL || probabilities == NULL || memory == NULL) {
    fprintf(stderr, "not enough memory\n");
    return 1;
  }
  for (i = 0; i < count * PIXELS; i++) pixels[i] = (float)records[i / PIXELS * RECORD + i % PIXELS] / 255.0f;

  io.inputs = pixels;
  io.output_0 = probabilities;
  io.batch = count;
  status = mnist_serving_default(&io, memory + (SMC_WORKSPACE_ALIGN - (uintptr_t)memory % SMC_WORKSPACE_ALIGN),
                                 workspace_bytes);
  if (status != SMC_OK) {
    fprintf(stderr, "%s\n", smc_status_text(status));
    return 1;
  }

  for (i = 0; i < count; i++) {
    int label = records[i * RECORD + PIXELS], predicted = most_likely(probabilities + i * CLASSES);
    draw(records + i * RECORD);
    printf("label %d, predicted %d with probability %.4f\n\n", label, predicted,
           probabilities[i * CLASSES + predicted]);
    right += predicted == label;
  }
  printf("%ld of %ld digits recognised\n", (long)right, (long)count);

  free(memory);
  free(probabilities);
  free(pixels);
  free(records);
  return 0;
}

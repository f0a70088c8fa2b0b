/* Trains a compiled model on small images of digits, and keeps what it learns in a file. README.md has the commands.
 *
 *   ./tune images.bin tuned.state
 *
 * The file of images holds records of 65 bytes: 8 rows of 8 grey values from 0 to 16, then the digit. Digits for which the
 * model has no class are left out. The last fifth of the others is held back: the model never learns from it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "libtune.h"

enum { SMALL = 8, SIDE = 28, PIXELS = SIDE * SIDE, RECORD = SMALL * SMALL + 1, BATCH = 32, EPOCHS = 40, MOST = 10000 };

/* The number of classes of the model: the build says it, as --head does. */
#ifndef CLASSES
#define CLASSES 10
#endif

/* The name of the model's input; one of [n,784] and one of [n,28,28] are the same in memory. */
#ifndef INPUT
#define INPUT pixels
#endif

static float images[MOST][PIXELS];
static int64_t digits[MOST];

static int fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  return 1;
}

/* Reads the images of known classes, each enlarged: every pixel is the nearest one. Returns how many, or -1. */
static int64_t read_images(const char *path) {
  FILE *file = fopen(path, "rb");
  unsigned char record[RECORD];
  int64_t count = 0;
  int i;
  if (file == NULL) return -1;
  while (count < MOST && fread(record, 1, RECORD, file) == RECORD) {
    if (record[RECORD - 1] >= CLASSES) continue;
    for (i = 0; i < PIXELS; i++)
      images[count][i] = (float)record[i / SIDE * SMALL / SIDE * SMALL + i % SIDE * SMALL / SIDE] / 16.0f;
    digits[count++] = record[RECORD - 1];
  }
  fclose(file);
  return count;
}

/* Memory that starts at a multiple of 64, as states and workspaces do. It is never freed: the program ends soon. */
static void *lines(size_t bytes) {
  char *memory = malloc(bytes + SMC_WORKSPACE_ALIGN);
  return memory == NULL ? NULL : memory + (SMC_WORKSPACE_ALIGN - (uintptr_t)memory % SMC_WORKSPACE_ALIGN);
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

int main(int argc, char **argv) {
  struct tune_train_step step = {0};
  struct tune_evaluate evaluate = {0};
  size_t state_bytes = tune_state_bytes(), workspace_bytes;
  void *state = lines(state_bytes), *saved = lines(state_bytes), *workspace;
  int64_t count = argc == 3 ? read_images(argv[1]) : -1, known, at;
  float loss, accuracy;
  FILE *file;
  int epoch, status = SMC_OK;

  if (count < 0) {
    fprintf(stderr, "usage: %s images.bin tuned.state\n", argv[0]);
    return 2;
  }
  known = count - count / 5;
  workspace_bytes = larger(tune_train_step_workspace(BATCH), tune_evaluate_workspace(count - known));
  workspace = lines(workspace_bytes);
  if (count < 5 || state == NULL || saved == NULL || workspace == NULL) return fail("too few images, or too little memory");
  if (tune_state_init(state, state_bytes) != SMC_OK) return fail("the state cannot be made");

  step.state = state;
  evaluate.state = state;
  step.loss = evaluate.loss = &loss;
  step.accuracy = evaluate.accuracy = &accuracy;
  for (epoch = 1; epoch <= EPOCHS && status == SMC_OK; epoch++) {
    for (at = 0; at < known && status == SMC_OK; at += BATCH) {
      step.INPUT = images[at];
      step.target = &digits[at];
      step.batch = known - at < BATCH ? known - at : BATCH;
      status = tune_train_step(&step, workspace, workspace_bytes);
    }
    if (status != SMC_OK) break;
    evaluate.INPUT = images[known];
    evaluate.target = &digits[known];
    evaluate.batch = count - known;
    status = tune_evaluate(&evaluate, workspace, workspace_bytes);
    if (epoch % 10 == 0) printf("epoch %d: loss %.3f, %.1f %% of the images held back are right\n", epoch, loss, accuracy * 100);
  }
  if (status != SMC_OK) return fail(smc_status_text(status));

  status = tune_state_save(state, saved, state_bytes);
  file = status == SMC_OK ? fopen(argv[2], "wb") : NULL;
  if (file == NULL || fwrite(saved, 1, state_bytes, file) != state_bytes || fclose(file) != 0)
    return fail("cannot write the state");
  return 0;
}

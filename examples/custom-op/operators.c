/* The functions of the operators. model.h declares them, as `smc compile --custom operators.toml` writes it. */
#include "model.h"

#include <stdio.h>

int leaky_clip(const struct smc_operand *inputs, const struct smc_operand *outputs,
               const struct leaky_clip_attributes *attributes) {
  const float *x = inputs[0].data;
  float *y = outputs[0].data;
  const float slope = (float)attributes->slope, limit = (float)attributes->limit;
  int64_t count = 1;
  for (int64_t axis = 0; axis < inputs[0].rank; axis++) count *= inputs[0].extents[axis];
  for (int64_t i = 0; i < count; i++) {
    const float value = x[i] > 0 ? x[i] : slope * x[i];
    y[i] = value < -limit ? -limit : value > limit ? limit : value;
  }
  return 0;
}

/* In this model the elements are int32_t: the header says so. */
int runs(const struct smc_operand *inputs, const struct smc_operand *outputs, const void *attributes) {
  const int32_t *x = inputs[0].data;
  int32_t *values = outputs[0].data;
  int64_t *lengths = outputs[1].data, found = 0;
  (void)attributes;
  for (int64_t i = 0; i < inputs[0].extents[0]; i++) {
    if (x[i] < 0) return 22;
    if (found == 0 || values[found - 1] != x[i]) {
      values[found] = x[i];
      lengths[found++] = 0;
    }
    lengths[found - 1]++;
  }
  outputs[0].extents[0] = outputs[1].extents[0] = found;
  return 0;
}

int note(const struct smc_operand *inputs, const struct smc_operand *outputs, const struct note_attributes *attributes) {
  const float *x = inputs[0].data;
  (void)outputs;
  printf("%.*s: %g\n", (int)attributes->tag.bytes, attributes->tag.data, (double)x[0]);
  return fflush(stdout);
}

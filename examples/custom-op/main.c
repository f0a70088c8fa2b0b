/* Calls a model with custom operators.
 *
 *   smc compile model --custom operators.toml -o model.o
 *   cc main.c operators.c model.o -o custom-op && ./custom-op */
#include "model.h"

#include <stdio.h>

#define ALIGNED _Alignas(SMC_WORKSPACE_ALIGN)

static int told(int status) {
  fprintf(stderr, "%s", smc_status_text(status));
  if ((status & 255) == SMC_OPERATOR_FAILED) fprintf(stderr, ": %d", SMC_OPERATOR_CODE(status));
  fprintf(stderr, "\n");
  return 1;
}

int main(void) {
  ALIGNED static char workspace[65536];
  const int32_t x[] = {3, 3, 3, 0, 7, 7, 3};
  int32_t values[7], doubled[7];
  int64_t lengths[7];
  struct model_runs runs = {.x = x, .values = values, .doubled = doubled, .lengths = lengths, .batch = 7};
  int status = model_runs(&runs, workspace, sizeof workspace);
  if (status != SMC_OK) return told(status);
  for (int64_t i = 0; i < runs.Example_Runs_values; i++) printf("%d times %d\n", (int)lengths[i], values[i]);
  /* The functions may print by another library than this one. */
  fflush(stdout);

  const float row[] = {-4, -1, 0, 0.5f};
  float y[4];
  struct model_noted noted = {.x = row, .y = y, .batch = 1};
  status = model_noted(&noted, workspace, sizeof workspace);
  if (status != SMC_OK) return told(status);
  printf("%g %g %g %g\n", y[0], y[1], y[2], y[3]);

  const int32_t negative[] = {-1};
  runs.x = negative;
  runs.batch = 1;
  return told(model_runs(&runs, workspace, sizeof workspace));
}

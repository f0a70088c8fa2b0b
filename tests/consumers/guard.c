/* A model that is served only where N*T is a multiple of 6: other dimensions are a status from every function, and
 * nothing is read or written. */
#include "check.h"
#include "libguarded.h"
#include "smc.h"

static const struct smc_model model = GUARDED_MODEL;

int main(int argc, char **argv) {
  static const int64_t broken[][2] = {{1, 1}, {1, 5}, {5, 7}, {2, 4}, {1000001, 1}, {INT64_C(1) << 20, INT64_C(1) << 20}};
  static const int64_t served[][2] = {{1, 6}, {6, 1}, {2, 3}, {4, 9}, {0, 5}, {5, 0}, {0, 0}};
  static const int64_t impossible[][2] = {{-1, 6}, {6, -6}, {INT64_C(1) << 40, INT64_C(6) << 38}, {INT64_MIN, 6}};
  float x[64], y[64];
  struct guarded_main io;
  const struct smc_signature *s = smc_signature_at(&model, 0);
  const char *condition = NULL;
  const void *inputs[1];
  void *outputs[1], *workspace = workspace_of(1 << 16);
  int64_t bytes;
  size_t n, i;
  (void)argc, (void)argv;
  CHECK(smc_is_readable(&model));
  CHECK_EQ(s->guards.count, 1);
  for (i = 0; i < 64; i++) x[i] = (float)i, y[i] = -1.0f;
  memset(&io, 0, sizeof io);
  inputs[0] = io.x = x;
  outputs[0] = io.y = y;

  for (n = 0; n < sizeof broken / sizeof *broken; n++) {
    io.N = broken[n][0], io.T = broken[n][1];
    CHECK_EQ(guarded_main(&io, workspace, 1 << 16), SMC_BROKEN_GUARD);
    CHECK_EQ(guarded_invoke(0, &io, workspace, 1 << 16), SMC_BROKEN_GUARD);
    CHECK_EQ(guarded_workspace_bytes(0, &io), -SMC_BROKEN_GUARD);
    CHECK_EQ(smc_workspace_bytes(&model, s, broken[n], &bytes), SMC_BROKEN_GUARD);
    CHECK_EQ(smc_check_dims(&model, s, broken[n], &condition), SMC_BROKEN_GUARD);
    CHECK(condition != NULL && strlen(condition) > 0);
    CHECK_EQ(smc_call(&model, 0, inputs, outputs, broken[n], NULL, &io, workspace, 1 << 16), SMC_BROKEN_GUARD);
    /* The dimensions are judged before the pointers. */
    io.x = NULL;
    CHECK_EQ(guarded_main(&io, NULL, 0), SMC_BROKEN_GUARD);
    io.x = x;
  }
  for (n = 0; n < sizeof impossible / sizeof *impossible; n++) {
    io.N = impossible[n][0], io.T = impossible[n][1];
    CHECK_EQ(guarded_main(&io, workspace, 1 << 16), SMC_BAD_DIMENSION);
  }
  for (i = 0; i < 64; i++) CHECK(y[i] == -1.0f);

  for (n = 0; n < sizeof served / sizeof *served; n++) {
    size_t count = (size_t)(served[n][0] * served[n][1]);
    io.N = served[n][0], io.T = served[n][1];
    for (i = 0; i < 64; i++) y[i] = -1.0f;
    CHECK_EQ(guarded_main(&io, workspace, 1 << 16), SMC_OK);
    for (i = 0; i < 64; i++) CHECK(y[i] == (i < count ? (float)i * 0.5f : -1.0f));
  }
  puts("ok");
  return 0;
}

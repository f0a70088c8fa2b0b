/* Trains a compiled model, called `m` with all extents fixed, for a caller that knows no header: the state, the workspace and the
 * io struct of `train_step` are here. Functions return a status of smc.h. */
#include <stdlib.h>

#include "m.h"
#include "smc.h"

static const struct smc_model model = M_MODEL;
static const struct smc_state state_of = M_STATE;
static void *state, *io, *workspace;
static int64_t signature, workspace_bytes;
static float loss, accuracy;

static void *lines(size_t bytes) {
  return aligned_alloc(SMC_WORKSPACE_ALIGN, (bytes / SMC_WORKSPACE_ALIGN + 1) * SMC_WORKSPACE_ALIGN);
}

/* The model's own variables, and an optimiser that has seen nothing. */
int step_reset(void) { return state_of.init(state, state_of.bytes()); }

/* One step. */
int step_run(void) { return model.invoke((uint32_t)signature, io, workspace, (size_t)workspace_bytes); }

float step_loss(void) { return loss; }

/* Takes an input and its targets, which stay the caller's; threads may be null. */
int step_begin(const void *input, const void *targets, const struct smc_threads *threads) {
  const struct smc_signature *s;
  void *results[] = {&loss, &accuracy};
  uint32_t i;
  int status;
  signature = smc_find_signature(&model, "train_step");
  if (signature < 0) return SMC_NO_SUCH_SIGNATURE;
  s = smc_signature_at(&model, (uint32_t)signature);
  status = smc_workspace_bytes(&model, s, NULL, &workspace_bytes);
  if (status != SMC_OK) return status;
  if (s->inputs.count != 2 || s->outputs.count != 2) return SMC_NO_SUCH_SIGNATURE;
  state = lines(state_of.bytes()), workspace = lines((size_t)workspace_bytes), io = calloc(1, s->io_bytes);
  if (state == NULL || workspace == NULL || io == NULL) return SMC_NULL_POINTER;
  for (i = 0; i < 2; i++) {
    const struct smc_tensor *in = smc_tensor_at(&model, s->inputs, i), *out = smc_tensor_at(&model, s->outputs, i);
    const void *given = smc_same_text(smc_text(&model, in->key), "target") ? targets : input;
    smc_set_slot(io, in->slot, &given, sizeof given);
    smc_set_slot(io, out->slot, &results[smc_same_text(smc_text(&model, out->key), "accuracy")], sizeof results[0]);
  }
  smc_set_slot(io, (uint32_t)smc_state_slot(&model, s), &state, sizeof state);
  smc_set_slot(io, s->threads_slot, &threads, sizeof threads);
  return step_reset();
}

/* Evaluates the first extent of every input in a descriptor for the dimensions on the command line; one line each. */
#include "check.h"
#include "smc.h"

int main(int argc, char **argv) {
  static uint64_t descriptor[1 << 16];
  struct smc_model model = {descriptor, NULL, NULL};
  FILE *file = fopen(argv[1], "rb");
  struct smc_array inputs;
  uint32_t input;
  int call;
  CHECK(file != NULL && fread(descriptor, 1, sizeof descriptor, file) > 0);
  fclose(file);
  CHECK(smc_is_readable(&model));
  inputs = smc_signature_at(&model, 0)->inputs;
  for (call = 2; call + 1 < argc; call += 2)
    for (input = 0; input < inputs.count; input++) {
      const struct smc_tensor *tensor = smc_tensor_at(&model, inputs, input);
      const struct smc_array *extents = (const struct smc_array *)smc_at(&model, tensor->extents);
      int64_t dims[2], value;
      int status;
      dims[0] = strtoll(argv[call], NULL, 10);
      dims[1] = strtoll(argv[call + 1], NULL, 10);
      status = smc_eval(&model, extents[0], dims, &value);
      if (status == SMC_OK)
        printf("%lld\n", (long long)value);
      else
        printf("%s\n", smc_status_text(status));
    }
  return 0;
}

/* Strings: addresses and lengths go in and come out, whatever the bytes are. */
#include "check.h"
#include "libtext.h"
#include "smc.h"

enum { COUNT = 6 };

static struct smc_string text(const char *data, size_t bytes) {
  struct smc_string string;
  string.data = data, string.bytes = bytes;
  return string;
}

static int is(struct smc_string string, const char *data, size_t bytes) {
  return string.bytes == bytes && (bytes == 0 || memcmp(string.data, data, bytes) == 0);
}

int main(void) {
  static const struct smc_model model = TEXT_MODEL;
  const struct smc_signature *s = smc_signature_at(&model, TEXT_MAIN_SIGNATURE);
  struct smc_string words[COUNT], label[COUNT], stripped[COUNT];
  int64_t place[COUNT], chars[COUNT];
  uint64_t hash[COUNT];
  struct text_main io;
  size_t bytes = text_main_workspace(COUNT);
  void *workspace = workspace_of(bytes);
  words[0] = text("two", 3);
  words[1] = text(NULL, 0);
  words[2] = text(" hello\n", 7);
  words[3] = text("a\0b", 3);
  words[4] = text("eins zwei drei vier", 19);
  words[5] = text("eins zwei drei fiel", 19);
  memset(&io, 0, sizeof io);
  io.word = words, io.label = label, io.stripped = stripped, io.place = place, io.chars = chars, io.hash = hash;
  io.n = COUNT;
  CHECK(text_main(&io, workspace, bytes) == SMC_OK);
  CHECK(place[0] == 1 && place[1] == 3 && place[2] == -1 && place[3] == 2 && place[4] == 4 && place[5] == -1);
  CHECK(is(label[0], "zwei", 4) && is(label[1], "", 0) && is(label[2], "?", 1) && is(label[3], "a\0\xc3\xa4", 4));
  CHECK(is(label[4], "vier", 4) && is(label[5], "?", 1));
  CHECK(is(stripped[2], "hello", 5) && stripped[2].data == words[2].data + 1 && is(stripped[1], "", 0));
  CHECK(chars[0] == 4 && chars[1] == 0 && chars[3] == 3);
  /* FarmHash of "hello". */
  CHECK(hash[2] == UINT64_C(13009744463427800296) && hash[1] == UINT64_C(11160318154034397263));
  CHECK(smc_tensor_at(&model, s->inputs, 0)->element == SMC_STR && strcmp(smc_element_name(SMC_STR), "str") == 0);
  CHECK(smc_element_bytes(SMC_STR) == sizeof(struct smc_string));
  io.n = 0;
  CHECK(text_main(&io, workspace, bytes) == SMC_OK);
  puts("ok");
  return 0;
}

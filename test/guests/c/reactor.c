/* Functions that stay in memory between calls; `greet` is that of reactor.wit, in the canonical ABI. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int32_t sum = 0;

__attribute__((export_name("add"))) int32_t add(int32_t amount) {
  sum += amount;
  return sum;
}

__attribute__((export_name("half"))) double half(int64_t whole) {
  return whole / 2.0;
}

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  return realloc(old, size);
}

__attribute__((export_name("greet"))) uint32_t *greet(char *name, size_t length) {
  static uint32_t answer[2];
  const char *word = getenv("GREETING");
  if (!word) word = "hello";
  char *text = malloc(strlen(word) + length + 2);
  char *end = stpcpy(stpcpy(text, word), " ");
  memcpy(end, name, length);
  answer[0] = (uint32_t)text;
  answer[1] = (uint32_t)(end - text + length);
  return answer;
}

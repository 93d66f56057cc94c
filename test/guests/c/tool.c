/* A command that does what its first argument says: the same in Rust, C and Go. */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int by_name(const void *left, const void *right) {
  return strcmp(*(const char **)left, *(const char **)right);
}

/* Each piece as it comes. */
static int upper(void) {
  char piece[4096];
  ssize_t length;
  while ((length = read(STDIN_FILENO, piece, sizeof piece)) > 0) {
    for (ssize_t at = 0; at < length; at++) piece[at] = toupper((unsigned char)piece[at]);
    if (write(STDOUT_FILENO, piece, length) != length) return 1;
  }
  return length < 0;
}

static int fill(size_t bytes) {
  char *block = malloc(bytes);
  memset(block, 'x', bytes);
  return fwrite(block, 1, bytes, stdout) != bytes;
}

/* Writes, appends, reads, lists, renames and removes below a directory. */
static int files(const char *directory) {
  char first[512], second[512], text[64] = "";
  snprintf(first, sizeof first, "%s/first", directory);
  snprintf(second, sizeof second, "%s/second", directory);
  FILE *file = fopen(first, "w");
  if (!file) return perror("write"), 1;
  fputs("one", file);
  fclose(file);
  file = fopen(first, "a");
  if (!file) return perror("append"), 1;
  fputs(" two", file);
  fclose(file);
  if (rename(first, second)) return perror("rename"), 1;
  file = fopen(second, "r");
  if (!file) return perror("read"), 1;
  fgets(text, sizeof text, file);
  fclose(file);
  DIR *open = opendir(directory);
  if (!open) return perror("list"), 1;
  char *names[64];
  size_t count = 0;
  for (struct dirent *entry; count < 64 && (entry = readdir(open));)
    if (entry->d_name[0] != '.') names[count++] = strdup(entry->d_name);
  closedir(open);
  qsort(names, count, sizeof *names, by_name);
  printf("%s in ", text);
  for (size_t index = 0; index < count; index++) printf("%s%s", index ? "," : "", names[index]);
  return unlink(second) ? (perror("remove"), 1) : 0;
}

static int sleeps(long ms) {
  struct timespec start, end, time = {ms / 1000, ms % 1000 * 1000000};
  clock_gettime(CLOCK_MONOTONIC, &start);
  nanosleep(&time, NULL);
  clock_gettime(CLOCK_MONOTONIC, &end);
  long passed = (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000;
  return fputs(passed >= ms ? "true" : "false", stdout) < 0;
}

int main(int count, char **args) {
  const char *what = count > 1 ? args[1] : "", *argument = count > 2 ? args[2] : "";
  if (!strcmp(what, "args")) {
    for (int index = 2; index < count; index++) printf("%s%s", index > 2 ? "|" : "", args[index]);
    return 0;
  }
  if (!strcmp(what, "env")) return printf("%s", getenv(argument) ? getenv(argument) : "none") < 0;
  if (!strcmp(what, "upper")) return upper();
  if (!strcmp(what, "fill")) return fill(atol(argument));
  if (!strcmp(what, "files")) return files(argument);
  if (!strcmp(what, "sleep")) return sleeps(atol(argument));
  if (!strcmp(what, "terminal"))
    return printf("%s %s", isatty(STDIN_FILENO) ? "true" : "false", isatty(STDOUT_FILENO) ? "true" : "false") < 0;
  if (!strcmp(what, "trap")) abort();
  if (!strcmp(what, "exit")) {
    fputs("leaving", stderr);
    return atoi(argument);
  }
  return 64;
}

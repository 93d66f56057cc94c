/* A program of CGI as any tutorial has it: the request in the environment, the reply on standard output. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value ? value : "-";
}

int main(void) {
  const char *path = variable("PATH_INFO");
  if (!strcmp(path, "/echo")) {
    printf("Content-Type: application/octet-stream\r\n\r\n");
    char piece[4096];
    size_t length;
    while ((length = fread(piece, 1, sizeof piece, stdin)) > 0) fwrite(piece, 1, length, stdout);
    return 0;
  }
  if (!strcmp(path, "/large")) {
    printf("Content-Type: text/plain\n\n");
    for (int line = 0; line < 100000; line++) printf("line %d\n", line);
    return 0;
  }
  if (!strcmp(path, "/endless")) {
    printf("Content-Type: text/plain\n\n");
    while (puts("more") >= 0) fflush(stdout);
    return 1;
  }
  if (!strcmp(path, "/missing")) return printf("Status: 404 Not Found\nContent-Type: text/plain\n\nnothing here") < 0;
  if (!strcmp(path, "/elsewhere")) return printf("Location: https://example.com/\n\n") < 0;
  if (!strcmp(path, "/chatter")) return printf("hello, this is no header\n\n") < 0;
  if (!strcmp(path, "/silent")) return 0;
  if (!strcmp(path, "/fails")) {
    fputs("cannot go on\n", stderr);
    return 3;
  }
  if (!strcmp(path, "/breaks")) {
    printf("Content-Type: text/plain\n\nhalf of");
    fflush(stdout);
    sleep(0);
    return 3;
  }
  if (!strcmp(path, "/hangs")) return sleep(3600);
  printf("Content-Type: text/plain\n\n");
  const char *names[] = {"REQUEST_METHOD", "QUERY_STRING",  "CONTENT_LENGTH", "CONTENT_TYPE", "SERVER_NAME",
                         "SERVER_PORT",    "HTTP_X_SAMPLE", "HTTP_COOKIE",    "HTTP_PROXY",   "GREETING"};
  for (size_t index = 0; index < sizeof names / sizeof *names; index++)
    printf("%s=%s\n", names[index], variable(names[index]));
  return 0;
}

// SPDX-License-Identifier: GPL-2.0
/* What the tests are told from outside, time, and settings of the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "env.h"

static long env_number(const char *name, long otherwise)
{
	const char *value = getenv(name);

	return value && *value ? strtol(value, NULL, 10) : otherwise;
}

int own_family(void)
{
	return env_number("SELFTEST_FAMILY", 25);
}

bool own_is_inet(void)
{
	return own_family() == AF_INET;
}

unsigned int slowness(void)
{
	long n = env_number("SELFTEST_SLOW", 1);

	return n < 1 ? 1 : n;
}

int limit_ms(int ms)
{
	return ms * slowness();
}

size_t amount(size_t plain, size_t least)
{
	size_t n = slowness() == 1 ? plain : plain / 64;

	return n < least ? least : n;
}

int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

void pause_ms(int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

void die_at(const char *file, int line, const char *fmt, ...)
{
	int error = errno;
	va_list args;

	fprintf(stderr, "# %s:%d: ", file, line);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, " (errno %d, %s)\n", error, strerror(error));
	_exit(1);
}

static void sysctl_path(char *path, size_t size, const char *name)
{
	snprintf(path, size, "/proc/sys/%s", name);
}

void set_sysctl(const char *name, const char *value)
{
	char path[128];
	int fd;

	sysctl_path(path, sizeof(path), name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		die("open %s", path);
	if (write(fd, value, strlen(value)) < 0)
		die("write '%s' to %s", value, path);
	close(fd);
}

long read_number(const char *path, long otherwise)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return otherwise;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return text[0] ? strtol(text, NULL, 10) : otherwise;
}

long own_counter(const char *name)
{
	char line[128], found[64];
	long value, result = -1;
	FILE *f = fopen("/proc/net/oxtcp_stat", "r");

	if (!f)
		die("oxtcp_stat");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %ld", found, &value) == 2 && !strcmp(found, name))
			result = value;
	fclose(f);
	return result;
}

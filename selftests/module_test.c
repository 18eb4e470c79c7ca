// SPDX-License-Identifier: GPL-2.0
/* The module itself: loading, unloading, and what keeps it. Run last. */
#include <sys/syscall.h>

#include "lib/selftest.h"
#include "lib/wire.h"

FIXTURE(module) {
	int unused;
};

FIXTURE_SETUP(module)
{
	if (own_is_inet())
		SKIP(return, "AF_INET is no module");
}

FIXTURE_TEARDOWN(module)
{
}

static int unload(void)
{
	return syscall(SYS_delete_module, "oxtcp", O_NONBLOCK) ? errno : 0;
}

static int load(void)
{
	int fd = open(getenv("SELFTEST_MODULE"), O_RDONLY | O_CLOEXEC);
	char parameters[32];
	int rc;

	if (fd < 0)
		die("open %s", getenv("SELFTEST_MODULE"));
	snprintf(parameters, sizeof(parameters), "family=%d", own_family());
	rc = syscall(SYS_finit_module, fd, parameters, 0) ? errno : 0;
	close(fd);
	return rc;
}

static long references(void)
{
	return read_number("/sys/module/oxtcp/refcnt", -1);
}

/* Memory of all kinds that the kernel holds for itself, in KiB. */
static long kernel_memory(void)
{
	char line[128];
	long kib, sum = 0;
	FILE *file = fopen("/proc/meminfo", "r");

	if (!file)
		die("meminfo");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "SUnreclaim: %ld", &kib) == 1 ||
		    sscanf(line, "VmallocUsed: %ld", &kib) == 1 ||
		    sscanf(line, "Percpu: %ld", &kib) == 1)
			sum += kib;
	fclose(file);
	return sum;
}

/* Ends what earlier tests left to end by itself: their namespaces die asynchronously. */
static bool becomes_unused(void)
{
	return wait_until(references() == 0, 10000);
}

TEST_F(module, is_kept_by_an_open_socket_and_unloads_after_it)
{
	int fd;

	ASSERT_TRUE(becomes_unused());
	fd = own_socket(0);
	EXPECT_LT(0, references());
	EXPECT_EQ(EAGAIN, unload());
	EXPECT_EQ(0, bind_to(fd, "127.0.0.1", 0));
	close(fd);
	EXPECT_TRUE(becomes_unused());
	EXPECT_EQ(0, unload());
	EXPECT_EQ(-1, socket(own_family(), SOCK_STREAM, 0));
	EXPECT_EQ(EAFNOSUPPORT, errno);
	EXPECT_EQ(0, load());
	EXPECT_LE(0, socket(own_family(), SOCK_STREAM, 0));
}

TEST_F(module, is_kept_by_a_connection_that_outlives_its_file)
{
	struct combo combo = { .path = LOOPBACK, .server = INET, .client = OWN };
	struct pair p;

	make_network(LOOPBACK);
	ASSERT_TRUE(becomes_unused());
	p = make_pair(&combo);
	fill(p.client);
	close(p.client);
	/* Its data have not been taken: the closed end goes on. */
	EXPECT_LT(0, references());
	EXPECT_EQ(EAGAIN, unload());
	drain(p.server);
	close(p.server);
	EXPECT_TRUE(becomes_unused());
}

TEST_F(module, dying_namespace_takes_its_connections_with_it)
{
	int before, listener, client, server;

	before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ASSERT_TRUE(becomes_unused());
	close(enter_new_namespace());
	listener = own_listen("127.0.0.1", 1);
	client = own_socket(0);
	ASSERT_EQ(0, connect_to(client, "127.0.0.1", local_port(listener)));
	server = accept(listener, NULL, NULL);
	ASSERT_LE(0, server);
	fill(client);
	/* Data that nobody will ever take, on both sides of a dead namespace. */
	close(client);
	EXPECT_EQ(0, shutdown(server, SHUT_WR));
	enter_namespace(before);
	close(listener);
	close(server);
	EXPECT_TRUE(becomes_unused());
}

TEST_F(module, does_not_load_with_a_taken_or_impossible_family)
{
	int fd = open(getenv("SELFTEST_MODULE"), O_RDONLY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_TRUE(becomes_unused());
	ASSERT_EQ(0, unload());
	EXPECT_EQ(-1, syscall(SYS_finit_module, fd, "family=2", 0));
	EXPECT_EQ(-1, syscall(SYS_finit_module, fd, "family=46", 0));
	EXPECT_EQ(-1, access("/sys/module/oxtcp/refcnt", F_OK));
	EXPECT_EQ(0, load());
	EXPECT_LE(0, socket(own_family(), SOCK_STREAM, 0));
}

/* The initial sequence number of a connection that @port opens to the peer. */
static uint32_t initial_number(uint16_t port)
{
	int fd = own_socket(SOCK_NONBLOCK);
	struct segment s;

	errno = bind_to(fd, STACK_ADDR, port);
	if (!errno)
		errno = connect_to(fd, PEER_ADDR, 80);
	if (errno != EINPROGRESS)
		die("connect");
	s = wire_any(SYN);
	close(fd);
	return s.seq;
}

/*
 * RFC 9293 3.4.1, MUST-9: with the same key the two would be as far apart as
 * before, but for what the clock, which ticks every 4 us, counts between them.
 */
TEST_F(module, draws_another_key_of_initial_numbers_each_time)
{
	uint32_t before, after;

	make_network(LOOPBACK);
	wire_open();
	before = initial_number(4001) - initial_number(4002);
	ASSERT_TRUE(becomes_unused());
	ASSERT_EQ(0, unload());
	ASSERT_EQ(0, load());
	after = initial_number(4001) - initial_number(4002);
	EXPECT_LT(0x10000, abs((int32_t)(after - before)));
}

static void load_and_unload(int times)
{
	int i;

	for (i = 0; i < times; i++) {
		errno = unload();
		if (errno)
			die("unload %d", i);
		errno = load();
		if (errno)
			die("load %d", i);
	}
}

/* A first round fills the kernel's caches; what a later one takes is lost for good. */
TEST_F_TIMEOUT(module, hundred_loads_and_unloads_leak_nothing, 120)
{
	int times = amount(100, 20);
	long before;

	ASSERT_TRUE(becomes_unused());
	load_and_unload(10);
	before = kernel_memory();
	load_and_unload(times);
	/*
	 * Less than one page for each round. Where kmemleak watches (it reports when
	 * the module goes for good), its companions keep freed memory back for a while.
	 */
	if (access("/sys/kernel/debug/kmemleak", F_OK))
		EXPECT_TRUE(wait_until(kernel_memory() - before < 4 * times, 10000));
}

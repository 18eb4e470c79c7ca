// SPDX-License-Identifier: GPL-2.0
/* The rate of sending: SO_MAX_PACING_RATE and what TCP_INFO shows of it. */
#include <sys/wait.h>
#include <time.h>

#include "lib/selftest.h"

#define RATE (4 << 20)
#define AMOUNT (2 << 20)

OWN_FIXTURE(pacing)

static const struct combo own = { LOOPBACK, OWN, OWN };

static void limit(int fd, uint64_t rate)
{
	if (setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)))
		die("SO_MAX_PACING_RATE");
}

/* The end of struct tcp_info that libc's does not have. */
struct rates {
	struct tcp_info info;
	uint64_t rate;
	uint64_t limit;
};

static struct rates rates(int fd)
{
	struct rates rates = {};
	socklen_t len = sizeof(rates);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &rates, &len))
		die("TCP_INFO");
	return rates;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* How long @p's client takes to send AMOUNT bytes, and its server to receive them. */
static double transfer(struct pair *p)
{
	static char data[AMOUNT];
	double start = seconds();
	int status = 1;
	pid_t reader;

	reader = fork();

	if (!reader) {
		close(p->client);
		_exit(drain(p->server) == AMOUNT ? 0 : 1);
	}
	close(p->server);
	p->server = -1;
	send_all(p->client, data, AMOUNT);
	shutdown(p->client, SHUT_WR);
	waitpid(reader, &status, 0);
	return status ? -1 : seconds() - start;
}

TEST_F(pacing, the_limit_of_the_rate_is_kept)
{
	struct pair p = make_pair(&own);
	double took;

	limit(p.client, RATE);
	took = transfer(&p);
	/* A little less: the first ten segments, which are large here, are free. */
	EXPECT_LT(0.3, took);
	EXPECT_GT(5 * slowness(), took);
}

TEST_F(pacing, without_a_limit_there_is_no_wait)
{
	struct pair p = make_pair(&own);

	EXPECT_EQ(~0ULL, rates(p.client).limit);
	EXPECT_LE(0, transfer(&p));
}

TEST_F(pacing, the_limit_is_shown_once_something_is_sent)
{
	struct pair p = make_pair(&own);
	char c;

	limit(p.client, 100000);
	send_all(p.client, "x", 1);
	recv_all(p.server, &c, 1);
	EXPECT_EQ(100000, rates(p.client).limit);
	EXPECT_GE(100000, rates(p.client).rate);
}

TEST_F(pacing, bbr_delivers_all)
{
	struct pair p;

	set_sysctl("net/ipv4/tcp_congestion_control", "bbr");
	p = make_pair(&own);
	EXPECT_LE(0, transfer(&p));
}

VETH_PAIR_FIXTURE(delay)

/* fq on the near device, which the client sends by. */
static void near_fq(void)
{
	if (system("tc qdisc replace dev " NEAR_DEV " root fq"))
		die("tc");
}

static double round_trip(struct pair *p)
{
	double start = seconds();
	char byte = 'x';

	send_all(p->client, &byte, 1);
	recv_all(p->server, &byte, 1);
	send_all(p->server, &byte, 1);
	recv_all(p->client, &byte, 1);
	return seconds() - start;
}

TEST_F(delay, TCP_TX_DELAY_holds_segments_back_where_fq_is)
{
	near_fq();
	set_option(self->p.client, IPPROTO_TCP, TCP_TX_DELAY, 100000);
	EXPECT_LE(0.1, round_trip(&self->p));
	EXPECT_EQ(100000, get_option(self->p.client, IPPROTO_TCP, TCP_TX_DELAY));
}

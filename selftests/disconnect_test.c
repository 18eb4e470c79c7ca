// SPDX-License-Identifier: GPL-2.0
/* connect() with AF_UNSPEC, while others wait in calls about the connection that it ends. */
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>

#include "lib/selftest.h"
#include "lib/wire.h"

#define LOCALHOST "127.0.0.1"

FIXTURE(disconnect) {
	int fd;
	int first;	/* listeners */
	int second;
};

FIXTURE_SETUP(disconnect)
{
	cpu_set_t cpus;

	make_network(LOOPBACK);
	/* Where nobody answers. */
	wire_open();
	/* Where one process runs before the others, see begin_disconnect(). */
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpus), &cpus));
	self->first = own_listen(LOCALHOST, 5);
	self->second = own_listen(LOCALHOST, 5);
	self->fd = own_socket(0);
}

FIXTURE_TEARDOWN(disconnect)
{
}

/* What a call came to: an errno, or one of these. */
#define DONE 0
#define PART 200
#define BLOCKS 201

static int call_send(int fd)
{
	static char text[32 << 20] = "old";
	ssize_t n = send(fd, text, sizeof(text), MSG_NOSIGNAL);

	if (n < 0)
		return errno;
	return n < sizeof(text) ? PART : DONE;
}

static int call_recv(int fd)
{
	char text[2];
	ssize_t n = recv(fd, text, sizeof(text), MSG_WAITALL);

	if (n < 0)
		return errno;
	return n < sizeof(text) ? PART : DONE;
}

static int call_connect(int fd)
{
	return connect_to(fd, "10.7.0.9", 80);
}

static int call_accept(int fd)
{
	return accept(fd, NULL, NULL) < 0 ? errno : DONE;
}

/* Another process that is blocked in @call. */
static pid_t start_blocked(int (*call)(int fd), int fd)
{
	pid_t child = start_child();

	if (!child)
		_exit(call(fd));
	pause_ms(500);
	if (!sleeps(child, 5000))
		die("it does not block");
	return child;
}

static int result(pid_t child)
{
	int status;

	if (!wait_until(waitpid(child, &status, WNOHANG) == child, 1000))
		return BLOCKS;
	return WEXITSTATUS(status);
}

static void set_priority(int policy, int priority)
{
	struct sched_param p = { .sched_priority = priority };

	if (sched_setscheduler(0, policy, &p))
		die("sched_setscheduler");
}

/* Ends the connection; until end_disconnect() nobody who waits sees it. */
static void begin_disconnect(int fd)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	set_priority(SCHED_FIFO, 10);
	if (connect(fd, &none, sizeof(none)))
		die("disconnect");
}

static void end_disconnect(void)
{
	set_priority(SCHED_OTHER, 0);
}

/* Gives @fd another connection before anybody sees that there was none; its other end. */
static int reconnect(int fd, int listener)
{
	int error;

	begin_disconnect(fd);
	set_nonblocking(fd, true);
	error = connect_to(fd, LOCALHOST, local_port(listener));
	if (error && error != EINPROGRESS)
		die("connect: %d", error);
	end_disconnect();
	return accept(listener, NULL, NULL);
}

TEST_F(disconnect, send_does_not_go_on_in_another_connection)
{
	pid_t sender;
	int end;

	ASSERT_EQ(0, connect_to(self->fd, LOCALHOST, local_port(self->first)));
	sender = start_blocked(call_send, self->fd);
	end = reconnect(self->fd, self->second);
	EXPECT_EQ(PART, result(sender));
	EXPECT_EQ(0, wait_events(end, POLLIN, 300));
}

TEST_F(disconnect, text_of_one_connection_is_not_sent_in_the_next)
{
	pid_t sender;
	char got[5];
	int end;

	ASSERT_EQ(0, connect_to(self->fd, LOCALHOST, local_port(self->first)));
	sender = start_blocked(call_send, self->fd);
	begin_disconnect(self->fd);
	EXPECT_EQ(ECONNRESET, take_error(self->fd));
	end_disconnect();
	EXPECT_EQ(PART, result(sender));
	ASSERT_EQ(0, connect_to(self->fd, LOCALHOST, local_port(self->second)));
	end = accept(self->second, NULL, NULL);
	send_all(self->fd, "hello", 5);
	recv_all(end, got, sizeof(got));
	EXPECT_EQ(0, memcmp(got, "hello", 5));
	EXPECT_EQ(0, wait_events(end, POLLIN, 300));
}

TEST_F(disconnect, send_that_waits_for_a_connection_does_not_take_another)
{
	pid_t sender;
	int end;

	set_nonblocking(self->fd, true);
	ASSERT_EQ(EINPROGRESS, connect_to(self->fd, "10.7.0.9", 80));
	set_nonblocking(self->fd, false);
	sender = start_blocked(call_send, self->fd);
	end = reconnect(self->fd, self->second);
	EXPECT_EQ(EPIPE, result(sender));
	EXPECT_EQ(0, wait_events(end, POLLIN, 300));
}

TEST_F(disconnect, recv_does_not_read_another_connection)
{
	pid_t reader;
	char got[2];
	int end;

	ASSERT_EQ(0, connect_to(self->fd, LOCALHOST, local_port(self->first)));
	reader = start_blocked(call_recv, self->fd);
	end = reconnect(self->fd, self->second);
	send_all(end, "ab", 2);
	EXPECT_EQ(EPIPE, result(reader));
	recv_all(self->fd, got, sizeof(got));
	EXPECT_EQ(0, memcmp(got, "ab", 2));
}

TEST_F(disconnect, recv_tells_what_it_had_of_the_connection)
{
	int from, end;
	pid_t reader;
	char got;

	ASSERT_EQ(0, connect_to(self->fd, LOCALHOST, local_port(self->first)));
	from = accept(self->first, NULL, NULL);
	send_all(from, "a", 1);
	reader = start_blocked(call_recv, self->fd);
	end = reconnect(self->fd, self->second);
	send_all(end, "b", 1);
	EXPECT_EQ(PART, result(reader));
	recv_all(self->fd, &got, 1);
	EXPECT_EQ('b', got);
}

TEST_F(disconnect, connect_does_not_succeed_by_another_connection)
{
	pid_t connector = start_blocked(call_connect, self->fd);

	reconnect(self->fd, self->second);
	EXPECT_EQ(EPIPE, result(connector));
}

TEST_F(disconnect, connect_does_not_succeed_by_listening)
{
	pid_t connector = start_blocked(call_connect, self->fd);

	begin_disconnect(self->fd);
	EXPECT_EQ(0, listen(self->fd, 5));
	end_disconnect();
	EXPECT_EQ(EPIPE, result(connector));
	EXPECT_EQ(0, listen(self->fd, 6));
}

TEST_F(disconnect, accept_goes_on_when_the_socket_listens_again)
{
	pid_t acceptor = start_blocked(call_accept, self->first);
	int port = local_port(self->first);

	begin_disconnect(self->first);
	EXPECT_EQ(0, bind_to(self->first, LOCALHOST, port));
	EXPECT_EQ(0, listen(self->first, 5));
	end_disconnect();
	EXPECT_EQ(0, connect_to(self->fd, LOCALHOST, port));
	EXPECT_EQ(DONE, result(acceptor));
}

TEST_F(disconnect, offset_of_peeking_ends_with_the_connection)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	ASSERT_EQ(0, connect_to(self->fd, LOCALHOST, local_port(self->first)));
	set_option(self->fd, SOL_SOCKET, SO_PEEK_OFF, 5);
	EXPECT_EQ(0, connect(self->fd, &none, sizeof(none)));
	EXPECT_EQ(-1, get_option(self->fd, SOL_SOCKET, SO_PEEK_OFF));
}

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SELFTEST_SOCKETS_H
#define SELFTEST_SOCKETS_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "topology.h"

/* Whose TCP one end of a connection has. */
enum stack {
	OWN,	/* the family under test */
	INET,	/* AF_INET */
};

/* Both ends of a connection, and what lies between them. */
struct combo {
	enum path path;
	enum stack server;
	enum stack client;
};

struct pair {
	int listener;
	int server;	/* accepted */
	int client;	/* connected */
};

int family_of(enum stack stack);

/* Sockets of the two ends, each in its namespace; @type as for socket(). */
int server_socket(const struct combo *c, int type);
int client_socket(const struct combo *c, int type);

/* A listener on a port that the kernel chose. */
int server_listen(const struct combo *c, int backlog);

/* A connection from the client end to @listener. */
int client_connect(const struct combo *c, int listener);

/* An established connection. */
struct pair make_pair(const struct combo *c);
void close_pair(struct pair *p);

/* A socket of the family under test, in the current namespace. */
int own_socket(int type);
int own_listen(const char *address, int backlog);

struct sockaddr_in address(const char *ip, uint16_t port);
struct sockaddr_in local_address(int fd);
struct sockaddr_in peer_address(int fd);
uint16_t local_port(int fd);

/* bind() and connect() by textual address; 0 or the errno. */
int bind_to(int fd, const char *ip, uint16_t port);
int connect_to(int fd, const char *ip, uint16_t port);

/* SO_ERROR, which clears it. */
int take_error(int fd);
void set_option(int fd, int level, int name, int value);
int get_option(int fd, int level, int name);
struct tcp_info info_of(int fd);
/* One of SO_MEMINFO's numbers (SK_MEMINFO_*), bytes. */
long memory_of(int fd, int what);

void set_nonblocking(int fd, bool on);
void set_timeout(int fd, int name, int ms);

/* Waits for any of @events for at most @ms; what poll() reported, 0 when nothing came. */
short wait_events(int fd, short events, int ms);

/* Transfers all of @len, or ends the test as failed. */
void send_all(int fd, const void *data, size_t len);
void recv_all(int fd, void *data, size_t len);

/* Sends until the socket takes no more; bytes taken. Leaves it non-blocking. */
size_t fill(int fd);

/* Reads and throws away until end of file; bytes read. */
size_t drain(int fd);

/* errno of a failing recv() of one byte; 0 when it returned data, -1 at end of file. */
int recv_errno(int fd);

/* State of the family's connection between two ports of this namespace, as TCP_*; 0 when none. */
int connection_state(int family, uint16_t local, uint16_t remote);
/* How many connections of a local port are in a state, at one look. */
int connections_in_state(int family, uint16_t local, int state);
bool reaches_state(int family, uint16_t local, uint16_t remote, int state, int ms);

#endif

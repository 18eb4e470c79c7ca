// SPDX-License-Identifier: GPL-2.0
/* Bulk data both ways, compared by SHA-256. */
#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "env.h"
#include "process.h"
#include "sockets.h"
#include "stream.h"

/* The stream repeats a block; its length is no multiple of any likely buffer's. */
#define BLOCK 65521

static const unsigned char *block_of(unsigned int seed)
{
	static unsigned char blocks[2][BLOCK];
	unsigned char *block = blocks[seed & 1];
	uint32_t x = seed * 2654435761u + 1;
	size_t i;

	if (!block[0] && !block[1]) {
		for (i = 0; i < BLOCK; i++) {
			x ^= x << 13;
			x ^= x >> 17;
			x ^= x << 5;
			block[i] = x;
		}
		block[0] |= 1;
	}
	return block;
}

static EVP_MD_CTX *start_digest(void)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	if (!context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL))
		die("SHA-256");
	return context;
}

static struct digest end_digest(EVP_MD_CTX *context)
{
	struct digest d;

	EVP_DigestFinal_ex(context, d.sha256, NULL);
	EVP_MD_CTX_free(context);
	return d;
}

struct digest stream_digest(unsigned int seed, size_t len)
{
	EVP_MD_CTX *context = start_digest();
	size_t n;

	for (; len; len -= n) {
		n = len < BLOCK ? len : BLOCK;
		EVP_DigestUpdate(context, block_of(seed), n);
	}
	return end_digest(context);
}

/* Sends the next piece; false at the end of the stream. */
static bool send_piece(int fd, const unsigned char *block, size_t *sent, size_t len)
{
	size_t at = *sent % BLOCK, n = BLOCK - at;
	ssize_t taken;

	if (n > len - *sent)
		n = len - *sent;
	taken = send(fd, block + at, n, MSG_NOSIGNAL);
	if (taken < 0 && errno != EAGAIN)
		die("send after %zu bytes", *sent);
	if (taken > 0)
		*sent += taken;
	return *sent < len;
}

bool exchange(int fd, unsigned int seed, unsigned int expected, size_t len)
{
	static unsigned char buffer[256 << 10];
	const unsigned char *block = block_of(seed);
	EVP_MD_CTX *context = start_digest();
	struct digest want, got;
	bool sending = true, receiving = true;
	size_t sent = 0, received = 0;
	ssize_t n;

	set_nonblocking(fd, true);
	while (sending || receiving) {
		short ready = wait_events(fd, (sending ? POLLOUT : 0) | (receiving ? POLLIN : 0),
					  120000);

		if (!ready)
			die("stuck: %zu sent, %zu received of %zu", sent, received, len);
		if (ready & POLLOUT && sending) {
			sending = send_piece(fd, block, &sent, len);
			if (!sending && shutdown(fd, SHUT_WR))
				die("shutdown");
		}
		if (ready & (POLLIN | POLLERR | POLLHUP) && receiving) {
			n = recv(fd, buffer, sizeof(buffer), 0);
			if (n < 0 && errno != EAGAIN)
				die("recv after %zu bytes", received);
			receiving = n != 0;
			if (n > 0) {
				EVP_DigestUpdate(context, buffer, n);
				received += n;
			}
		}
	}
	got = end_digest(context);
	want = stream_digest(expected, len);
	return received == len && !memcmp(&got, &want, sizeof(got));
}

bool exchange_both(int server, int client, size_t len)
{
	pid_t child = start_child();
	bool right;

	if (!child) {
		close(server);
		_exit(!exchange(client, 1, 2, len));
	}
	close(client);
	right = exchange(server, 2, 1, len);
	return end_of_child(child) == 0 && right;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Two network cards on one wire: what reaches the driver. Needs two e1000e, the
 * cards whose emulation has TSO.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "lib/selftest.h"
#include "lib/stream.h"

#include <linux/ethtool.h>

#define TRACING "/sys/kernel/tracing/instances/selftest"
#define CHECKSUM_PARTIAL 3

/* The two cards, each in a namespace. */
struct wire_ends {
	char near_card[16], far_card[16];
	int near, far;
};

FIXTURE(nic) {
	struct wire_ends ends;
	struct pair p;
};

FIXTURE_VARIANT(nic) {
	enum stack server, client;
};

FIXTURE_VARIANT_ADD(nic, oxtcp_server_inet_client) { .server = OWN, .client = INET };
FIXTURE_VARIANT_ADD(nic, inet_server_oxtcp_client) { .server = INET, .client = OWN };
FIXTURE_VARIANT_ADD(nic, oxtcp_both) { .server = OWN, .client = OWN };

/* Names of the e1000e cards in the current namespace; false when there are not two. */
static bool find_cards(struct wire_ends *ends)
{
	char path[300], driver[300], *name = ends->near_card;
	DIR *dir = opendir("/sys/class/net");
	struct dirent *entry;
	ssize_t len;
	int n = 0;

	while (dir && n < 2 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/class/net/%s/device/driver", entry->d_name);
		len = readlink(path, driver, sizeof(driver) - 1);
		if (len < 0)
			continue;
		driver[len] = 0;
		if (!strstr(driver, "/e1000e"))
			continue;
		snprintf(name, 16, "%.15s", entry->d_name);
		name = ends->far_card;
		n++;
	}
	if (dir)
		closedir(dir);
	return n == 2;
}

/* Whether the machine has two such cards, in whatever namespace. */
static bool has_cards(void)
{
	DIR *dir = opendir("/sys/bus/pci/drivers/e1000e");
	struct dirent *entry;
	int n = 0;

	while (dir && (entry = readdir(dir)))
		n += strchr(entry->d_name, ':') != NULL;
	if (dir)
		closedir(dir);
	return n >= 2;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("write '%s' to %s", text, path);
	close(fd);
}

/* Packets handed to a driver, one line each. */
static void start_trace(void)
{
	if (mkdir(TRACING, 0700) && errno != EEXIST)
		die("mkdir %s", TRACING);
	write_file(TRACING "/buffer_size_kb", "4096");
	write_file(TRACING "/events/net/net_dev_start_xmit/filter",
		   "protocol == 0x800 && name ~ \"e*\"");
	write_file(TRACING "/events/net/net_dev_start_xmit/enable", "1");
}

static void clear_trace(void)
{
	write_file(TRACING "/trace", "");
}

static long field(const char *line, const char *name)
{
	const char *at = strstr(line, name);

	return at ? strtol(at + strlen(name), NULL, 0) : -1;
}

struct packets {
	int all;	/* with payload */
	int large;	/* of more than one segment */
	long bytes;	/* in all of them, headers included */
	long large_bytes;
	int wrong;	/* large, but copied or checksummed by the processor */
};

static struct packets read_trace(const char *card)
{
	struct packets p = {};
	char line[1024], name[32];
	FILE *file = fopen(TRACING "/trace", "r");
	long len, data_len;

	if (!file)
		die("open trace");
	snprintf(name, sizeof(name), "dev=%s ", card);
	while (fgets(line, sizeof(line), file)) {
		if (!strstr(line, name))
			continue;
		len = field(line, " len=");
		data_len = field(line, " data_len=");
		p.all += len > 200;
		p.bytes += len;
		if (field(line, " gso_size=") <= 0)
			continue;
		p.large++;
		p.large_bytes += len;
		/* Nothing but headers may be outside the fragments. */
		p.wrong += len - data_len > 14 + 20 + 60 ||
			   field(line, " ip_summed=") != CHECKSUM_PARTIAL;
	}
	fclose(file);
	return p;
}

static void set_offloads(const struct wire_ends *ends, bool on)
{
	static const unsigned int features[] = { ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_STXCSUM };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		enter_namespace(ends->far);
		if (device_offload(ends->far_card, features[i], on))
			die("ETHTOOL of %s", ends->far_card);
		enter_namespace(ends->near);
		if (device_offload(ends->near_card, features[i], on))
			die("ETHTOOL of %s", ends->near_card);
	}
}

/* Leaves the current namespace for the near one. */
static void place_cards(struct wire_ends *ends)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	ends->far = enter_new_namespace();
	ends->near = enter_new_namespace();
	enter_namespace(home);
	device_to_namespace(ends->near_card, ends->near);
	device_to_namespace(ends->far_card, ends->far);
	enter_namespace(ends->far);
	device_address(ends->far_card, "10.2.1.2", 24);
	device_up(ends->far_card);
	enter_namespace(ends->near);
	device_address(ends->near_card, "10.2.1.1", 24);
	device_up(ends->near_card);
	device_await_carrier(ends->near_card);
	enter_namespace(ends->far);
	device_await_carrier(ends->far_card);
	enter_namespace(ends->near);
}

static struct pair connect_over_the_wire(const struct wire_ends *ends, enum stack server,
					 enum stack client)
{
	struct pair p;

	enter_namespace(ends->far);
	p.listener = socket(family_of(server), SOCK_STREAM, 0);
	errno = bind_to(p.listener, "10.2.1.2", 0);
	if (errno || listen(p.listener, 1))
		die("listen");
	enter_namespace(ends->near);
	p.client = socket(family_of(client), SOCK_STREAM, 0);
	errno = connect_to(p.client, "10.2.1.2", local_port(p.listener));
	if (errno)
		die("connect");
	p.server = accept(p.listener, NULL, NULL);
	if (p.server < 0)
		die("accept");
	return p;
}

/* The card on the side whose sending is looked at: the family under test's. */
static const char *own_card(const struct wire_ends *ends, enum stack client)
{
	return client == OWN ? ends->near_card : ends->far_card;
}

FIXTURE_SETUP(nic)
{
	if (!has_cards())
		SKIP(return, "needs two e1000e cards");
	if (access("/sys/kernel/tracing/instances", F_OK))
		SKIP(return, "needs tracefs");
	/* They come back when the namespaces of the test before are gone. */
	ASSERT_TRUE(wait_until(find_cards(&self->ends), 10000));
	place_cards(&self->ends);
	start_trace();
	self->p = connect_over_the_wire(&self->ends, variant->server, variant->client);
	clear_trace();
}

FIXTURE_TEARDOWN(nic)
{
	close_pair(&self->p);
	write_file(TRACING "/events/net/enable", "0");
	rmdir(TRACING);
}

TEST_F_TIMEOUT(nic, large_packets_of_fragments_reach_the_driver, 60)
{
	struct packets p;

	EXPECT_TRUE(exchange_both(self->p.server, self->p.client, amount(8 << 20, 256 << 10)));
	p = read_trace(own_card(&self->ends, variant->client));
	EXPECT_LT(0, p.large);
	EXPECT_EQ(0, p.wrong);
	/* Most of the data, not one lucky packet. */
	EXPECT_LT(p.bytes / 2, p.large_bytes);
}

TEST_F_TIMEOUT(nic, without_offloads_the_stream_is_the_same, 60)
{
	struct packets p;

	set_offloads(&self->ends, false);
	EXPECT_TRUE(exchange_both(self->p.server, self->p.client, amount(8 << 20, 256 << 10)));
	p = read_trace(own_card(&self->ends, variant->client));
	EXPECT_LT(100, p.all);
	EXPECT_EQ(0, p.large);
	set_offloads(&self->ends, true);
}

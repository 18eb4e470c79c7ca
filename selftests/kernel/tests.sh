# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# How each test of the kernel's tree is run: as its own script there does, but for
# IPv4 and TCP alone, and waiting for a listener instead of sleeping. A function
# `test_NAME` runs in a network namespace of its own, in the programs' folder; its
# exit status is the result. Sourced, never run.

# listening FAMILY PORT: waits until there is a listener in this namespace
listening() {
	local file=/proc/net/tcp tries
	if [ "$1" = oxtcp ]; then file=/proc/net/oxtcp; fi
	for ((tries = 0; tries < 200; tries++)); do
		if grep -qE "^ *[0-9]+: [0-9A-F]{8}:$(printf %04X "$2") 00000000:0000 0A" $file; then return; fi
		sleep 0.05
	done
	echo "no listener on port $2 came" >&2
	return 1
}

# port_range FIRST LAST: of ports that the kernel chooses; oxtcp's is a setting of its own
port_range() {
	sysctl -q -w net.ipv4.ip_local_port_range="$1 $2"
	sysctl -q -w net.oxtcp.local_port_min="$1" net.oxtcp.local_port_max="$2"
}

# pair PORT SERVER... -- CLIENT...: both in this namespace; both must succeed
pair() {
	local port=$1 server=() pid
	shift
	while [ "$1" != -- ]; do
		server+=("$1")
		shift
	done
	shift
	"${server[@]}" &
	pid=$!
	listening "$FAMILY" "$port" && "$@" && wait $pid
}

test_bind_bhash() {
	ip address add 10.8.8.8/32 dev lo
	ulimit -n 32768
	./bind_bhash 443 ipv4 10.8.8.8
}
test_bind_timewait() { ./bind_timewait; }
test_bind_wildcard() { ./bind_wildcard; }
# It prints a line when a FIN's acknowledgment came a second late.
test_fin_ack_lat() {
	local out
	out=$(timeout 10 ./fin_ack_lat 2>/dev/null)
	[ -z "$out" ] || { echo "$out"; return 1; }
}
zerocopy_uring() {
	pair 8000 ./msg_zerocopy -4 -t 4 -S 127.0.0.1 -D 127.0.0.1 -r tcp -- \
		./io_uring_zerocopy_tx -4 -t 1 -D 127.0.0.1 -m "$1" -n 1 tcp
}
test_io_uring_zerocopy_tx() { zerocopy_uring 1; }
test_io_uring_zerocopy_tx_fixed() { zerocopy_uring 2; }
test_io_uring_zerocopy_tx_mixed() { zerocopy_uring 3; }
test_ip_local_port_range() {
	port_range 40000 49999
	./ip_local_port_range
}
zerocopy() {
	pair 8000 ./msg_zerocopy -4 -t 4 -S 127.0.0.1 -D 127.0.0.1 "$@" -r tcp -- \
		./msg_zerocopy -4 -t 1 -S 127.0.0.1 -D 127.0.0.1 "$@" tcp -Z 0
}
test_msg_zerocopy_without() { zerocopy; }
test_msg_zerocopy() { zerocopy -z; }
test_reuseaddr_conflict() { ./reuseaddr_conflict; }
test_reuseaddr_ports_exhausted() {
	port_range 32768 32768
	sysctl -q -w net.ipv4.ip_autobind_reuse=1
	./reuseaddr_ports_exhausted
}
test_reuseport_addr_any() { ./reuseport_addr_any; }
test_reuseport_bpf() { ./reuseport_bpf; }
test_reuseport_bpf_cpu() { ./reuseport_bpf_cpu; }
test_reuseport_dualstack() { ./reuseport_dualstack; }
test_rxtimestamp() { ./rxtimestamp --tcp --ipv4; }
test_sk_so_peek_off() { ./sk_so_peek_off; }
test_so_incoming_cpu() { ./so_incoming_cpu; }
test_so_netns_cookie() { ./so_netns_cookie; }
test_socket() { ./socket; }
fast_open_key() {
	sysctl -q -w net.ipv4.tcp_fastopen=3
	./tcp_fastopen_backup_key "$1"
}
test_tcp_fastopen_backup_key() { fast_open_key -4; }
test_tcp_fastopen_backup_key_socket() { fast_open_key -4s; }
test_tcp_fastopen_backup_key_rotated() { fast_open_key -4r; }
test_tcp_fastopen_backup_key_socket_rotated() { fast_open_key -4sr; }
test_tcp_inq() { ./tcp_inq -4; }
# The client would send 32 GiB; when it is stopped the server, which goes on, says
# how much came and how much of it was mapped.
mmap() {
	local server tries out=/run/kernel-selftests/mmap.out
	# A segment's text is whole pages.
	ip link set lo mtu $((15 * 4096 + 52))
	stdbuf -oL ./tcp_mmap -4 -s "$@" >$out 2>&1 &
	server=$!
	listening "$FAMILY" 8787 || return
	timeout 4 ./tcp_mmap -4 -H 127.0.0.1 -z
	[ $? -eq 124 ] || return
	for ((tries = 0; tries < 200; tries++)); do
		if grep -q '^received' $out; then break; fi
		sleep 0.05
	done
	kill $server
	cat $out
}
test_tcp_mmap_read() { mmap | grep '^received'; }
test_tcp_mmap_zerocopy() { mmap -z | grep '^received' | grep -v '(0 % mmap'; }
test_tcp_port_share() { ./tcp_port_share; }
timestamps() {
	tc qdisc add dev lo root netem delay 10ms
	./txtimestamp -4 -L 127.0.0.1 -v 10000 -V 20000 -t 8000 -S 80000 "$@"
}
test_txtimestamp() { timestamps; }
test_txtimestamp_cmsg() { timestamps -C; }
test_txtimestamp_without_data() { timestamps -n; }

# SPDX-License-Identifier: GPL-2.0
"""From addresses to functions, and from functions to what they are about."""

import bisect
import glob
import os
import re
import subprocess

# The first that matches: by the function's name, else by the object it comes from.
NAMES = [
    ("copy", r"copy_user|rep_movs|_copy_(to|from)_|copy_(to|from)_user|^memcpy|^memmove|"
             r"copy_page|csum_(and_)?(partial|copy)|skb_copy_datagram|copyin|copyout|"
             r"simple_copy_to_iter|__skb_datagram_iter|_iter_(full|revert|advance)|iov_iter"),
    ("wake-up", r"wake|wait_woken|poll_freewait|sk_wait_data|sock_def_readable|prepare_to_wait|"
                r"finish_wait|__schedule|^schedule"),
    ("memory", r"kmem_cache|kmalloc|kfree|slab|clear_page|page_frag|get_page|put_page|folio"),
    ("TCP", r"^_*tcp_|siphash"),
    ("skb", r"skb|page_frag"),
    ("IP and netfilter", r"^ip_|^nf_|^inet_rtm|^fib|dst_|neigh|^icmp|^arp"),
    ("syscalls", r"entry_SYSCALL|do_syscall|syscall|__fdget|fget|fput|import_.*iov|"
                 r"sock_(send|recv)msg|sock_(read|write)_iter|sockfd|_sys_|^sys_"),
    ("TCP", r"tcp_|inet_csk|inet_twsk|inet_bind|inet_(e|l)?hash|^inet_|^sock|^sk_|lock_sock|"
            r"release_sock|__sk_"),
]
OBJECTS = [
    ("skb", r"^net/core/(skbuff|datagram|gro|page_pool)"),
    ("TCP", r"^net/ipv4/(tcp|inet|af_inet|syncookies)|^net/core/(sock|stream|request_sock|"
            r"secure_seq)|^net/ipv6/"),
    ("IP and netfilter", r"^net/ipv4/|^net/netfilter|^net/core/(dst|neighbour|fib)"),
    ("device", r"^net/(core|sched)/|^drivers/|^net/ethernet|^kernel/(softirq|irq)|^net/802"),
    ("syscalls", r"^net/socket|^fs/|^arch/x86/entry|^security|^kernel/entry|^kernel/signal|"
                 r"^lib/iov_iter|^arch/x86/mm/extable"),
    ("locks", r"^kernel/locking"),
    ("wake-up", r"^kernel/sched|^kernel/fork|^arch/x86/kernel/(process|fpu)|"
                r"^arch/x86/mm/tlb"),
    ("memory", r"^mm/|^arch/x86/mm|^lib/(radix|xarray|maple)"),
    ("timers", r"^kernel/(time|rcu)|^arch/x86/kernel/(apic|tsc)"),
]
GROUPS = ["user", "copy", "skb", "TCP", "IP and netfilter", "device", "syscalls", "wake-up",
          "memory", "timers", "locks", "other"]


class Symbols:
    """Functions of the kernel and, from the lines of /proc/kallsyms, of the module."""

    def __init__(self, kernel, kallsyms):
        command = ["nm", f"{kernel}/vmlinux"]
        nm = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        found = []
        for line in nm.splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in "tTwW":
                found.append((int(words[0], 16), words[2], ""))
        for line in kallsyms:
            words = line.split()
            if len(words) >= 4 and words[1] in "tTwW":
                found.append((int(words[0], 16), words[2], words[3].strip("[]")))
        found.sort(key=lambda s: s[0])
        self.starts = [s[0] for s in found]
        self.found = found
        self.objects = objects(kernel)
        self.pretty = demangled({s[1] for s in found if s[1].startswith("_R")})

    def at(self, address):
        """(name, module) of the function at an address, and whether it starts there."""
        if not address >> 63:
            return ("(user)", ""), False
        i = bisect.bisect_right(self.starts, address) - 1
        if i < 0:
            return (hex(address), ""), False
        start, name, module = self.found[i]
        return (self.pretty.get(name, name), module), start == address

    def group(self, name, module):
        """What a function is about."""
        if name == "(user)":
            return "user"
        if module:
            return "TCP"
        for group, pattern in NAMES:
            if re.search(pattern, name):
                return group
        for group, pattern in OBJECTS:
            if re.search(pattern, self.objects.get(name, "")):
                return group
        return "other"


def objects(kernel):
    """From which object file each function comes."""
    files = [
        f
        for top in ("net", "kernel", "mm", "fs", "lib", "drivers", "arch/x86", "security", "block")
        for f in glob.glob(f"{kernel}/{top}/**/*.o", recursive=True)
        if not f.endswith(("built-in.o", "vmlinux.o"))
    ]
    out = subprocess.run(
        ["nm", "-A", "--defined-only", "--", *files],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    ).stdout
    where = {}
    for line in out.splitlines():
        path, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 3 and words[1] in "tTwW":
            where.setdefault(words[2], os.path.relpath(path, kernel))
    return where


def demangled(names):
    """Rust's names as they are written, without the crate's hash."""
    names = sorted(names)
    tool = next((t for t in ("llvm-cxxfilt-19", "c++filt") if _works(t)), None)
    if not names or not tool:
        return {}
    out = subprocess.run(
        [tool], input="\n".join(names), stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return dict(zip(names, out.splitlines()))


def _works(tool):
    try:
        subprocess.run([tool, "--version"], stdout=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True

// SPDX-License-Identifier: GPL-2.0
//! Which system calls are stopped.

use libc::{
    sock_filter, BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W,
};

/// The only architecture whose calls are stopped (`linux/audit.h`).
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Offsets in struct seccomp_data; of an argument the low half, on a little-endian machine.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: [u32; 3] = [16, 24, 32];

/// The filter's program. With `ipv4_only`, TCP sockets of `AF_INET6` fail with `EAFNOSUPPORT`, so
/// that a program takes `AF_INET`.
pub fn program(ipv4_only: bool) -> Vec<sock_filter> {
    let flags = (libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) as u32;
    let refusal = libc::SECCOMP_RET_ERRNO | libc::EAFNOSUPPORT as u32;
    let ipv6 = if ipv4_only {
        refusal
    } else {
        libc::SECCOMP_RET_ALLOW
    };
    // How far a jump goes depends on what follows: written from the end.
    vec![
        load(ARCH),
        unless_equal(ARCHITECTURE, 12),
        load(NUMBER),
        unless_equal(libc::SYS_socket as u32, 10),
        load(ARGUMENTS[1]),
        statement(BPF_ALU | BPF_AND | BPF_K, !flags),
        unless_equal(libc::SOCK_STREAM as u32, 7),
        load(ARGUMENTS[2]),
        if_equal(0, 1),
        unless_equal(libc::IPPROTO_TCP as u32, 4),
        load(ARGUMENTS[0]),
        if_equal(libc::AF_INET as u32, 3),
        unless_equal(libc::AF_INET6 as u32, 1),
        statement(BPF_RET | BPF_K, ipv6),
        statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW),
        statement(BPF_RET | BPF_K, libc::SECCOMP_RET_USER_NOTIF),
    ]
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

fn load(offset: u32) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, offset)
}

/// Skips so many instructions when equal.
fn if_equal(k: u32, skip: u8) -> sock_filter {
    sock_filter {
        jt: skip,
        ..statement(BPF_JMP | BPF_JEQ | BPF_K, k)
    }
}

/// Skips so many instructions unless equal.
fn unless_equal(k: u32, skip: u8) -> sock_filter {
    sock_filter {
        jf: skip,
        ..statement(BPF_JMP | BPF_JEQ | BPF_K, k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libc::{
        AF_INET, AF_INET6, AF_UNIX, IPPROTO_SCTP, IPPROTO_TCP, SOCK_CLOEXEC, SOCK_DGRAM,
        SOCK_NONBLOCK, SOCK_STREAM,
    };

    const NOTIFY: u32 = libc::SECCOMP_RET_USER_NOTIF;
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EAFNOSUPPORT as u32;

    /// What the kernel would make of a call: the instructions used here, no more.
    fn run(program: &[sock_filter], arch: u32, number: libc::c_long, call: [i32; 3]) -> u32 {
        let mut data = [0u8; 64];
        data[..4].copy_from_slice(&(number as u32).to_le_bytes());
        data[4..8].copy_from_slice(&arch.to_le_bytes());
        for (at, value) in ARGUMENTS.iter().zip(call) {
            let at = *at as usize;
            // Negative numbers come with their sign in the high half.
            data[at..at + 8].copy_from_slice(&i64::from(value).to_le_bytes());
        }
        let (mut pc, mut a) = (0, 0u32);
        loop {
            let step = program[pc];
            pc += 1;
            match u32::from(step.code) {
                code if code == BPF_LD | BPF_W | BPF_ABS => {
                    let at = step.k as usize;
                    a = u32::from_le_bytes(data[at..at + 4].try_into().unwrap());
                }
                code if code == BPF_ALU | BPF_AND | BPF_K => a &= step.k,
                code if code == BPF_JMP | BPF_JEQ | BPF_K => {
                    pc += usize::from(if a == step.k { step.jt } else { step.jf });
                }
                code if code == BPF_RET | BPF_K => return step.k,
                code => panic!("instruction {code}"),
            }
        }
    }

    fn socket(ipv4_only: bool, call: [i32; 3]) -> u32 {
        run(&program(ipv4_only), ARCHITECTURE, libc::SYS_socket, call)
    }

    #[test]
    fn tcp_sockets_are_stopped() {
        for flags in [0, SOCK_NONBLOCK, SOCK_CLOEXEC, SOCK_NONBLOCK | SOCK_CLOEXEC] {
            for protocol in [0, IPPROTO_TCP] {
                let call = [AF_INET, SOCK_STREAM | flags, protocol];
                assert_eq!(socket(false, call), NOTIFY);
                assert_eq!(socket(true, call), NOTIFY);
            }
        }
    }

    #[test]
    fn everything_else_goes_on() {
        for call in [
            [AF_INET, SOCK_DGRAM, 0],
            [AF_INET, SOCK_STREAM, IPPROTO_SCTP],
            [AF_INET, SOCK_STREAM | 0x100, 0],
            [AF_UNIX, SOCK_STREAM, 0],
            [AF_INET6, SOCK_STREAM, 0],
            [AF_INET6, SOCK_DGRAM, 0],
            [25, SOCK_STREAM, 0],
            [-1, -1, -1],
        ] {
            assert_eq!(socket(false, call), ALLOW, "{call:?}");
        }
        let call = [AF_INET, SOCK_STREAM, 0];
        assert_eq!(
            run(&program(false), ARCHITECTURE, libc::SYS_connect, call),
            ALLOW
        );
        assert_eq!(
            run(&program(false), 0x4000_0003, libc::SYS_socket, call),
            ALLOW
        );
    }

    #[test]
    fn ipv6_is_refused_when_asked_for() {
        assert_eq!(socket(true, [AF_INET6, SOCK_STREAM, 0]), REFUSE);
        assert_eq!(socket(true, [AF_INET6, SOCK_DGRAM, 0]), ALLOW);
        assert_eq!(socket(true, [AF_UNIX, SOCK_STREAM, 0]), ALLOW);
    }
}

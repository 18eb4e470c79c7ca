// SPDX-License-Identifier: GPL-2.0

//! `/proc/net/oxtcp`, in the columns of `/proc/net/tcp`, and the counters in
//! `/proc/net/oxtcp_stat`.

use super::bindings as b;
use super::*;
use core::net::SocketAddrV4;
use kernel::ffi::{c_int, c_void};
use kernel::prelude::*;
use kernel::seq_file::SeqFile;
use kernel::{seq_print, str::CStr};

const SOCKETS: &CStr = c"oxtcp";
const COUNTERS: &CStr = c"oxtcp_stat";

type Show = unsafe extern "C" fn(*mut b::seq_file, *mut c_void) -> c_int;

/// A file of a namespace's `/proc/net`; gone when dropped.
struct File {
    name: &'static CStr,
    parent: *mut b::proc_dir_entry,
}

impl File {
    fn create(net: *mut b::net, name: &'static CStr, show: Show) -> Result<Self> {
        // SAFETY: The namespace is alive.
        let parent = unsafe { b::ox_net_proc(net) };
        // SAFETY: As above; the name is static.
        let entry = unsafe {
            b::proc_create_net_single(
                name.as_char_ptr(),
                0o444,
                parent,
                Some(show),
                core::ptr::null_mut(),
            )
        };
        if entry.is_null() {
            return Err(ENOMEM);
        }
        Ok(Self { name, parent })
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: Created by `create`; this waits for readers.
        unsafe { b::remove_proc_entry(self.name.as_char_ptr(), self.parent) }
    }
}

/// The files of a namespace.
pub(super) struct Files {
    _sockets: File,
    _counters: File,
}

impl Files {
    pub(super) fn create<F: Family>(net: *mut b::net) -> Result<Self> {
        Ok(Self {
            _sockets: File::create(net, SOCKETS, sockets::<F>)?,
            _counters: File::create(net, COUNTERS, counters::<F>)?,
        })
    }
}

/// # Safety
///
/// Called by seq_file only, for a file that `File::create` made.
unsafe extern "C" fn sockets<F: Family>(m: *mut b::seq_file, _: *mut c_void) -> c_int {
    // SAFETY: By the function's contract.
    let (m, net) = unsafe { (SeqFile::from_raw(m), netns::of_net::<F>(b::ox_seq_net(m))) };
    seq_print!(
        m,
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  \
         timeout inode synq\n"
    );
    let Some(net) = net else { return 0 };
    let mut line = 0;
    F::dump(&net, [0; 2], &mut |entry, _| {
        row(m, line, entry);
        line += 1;
        true
    });
    0
}

/// An address as `/proc/net/tcp` has it: in host order of the wire's bytes.
fn hex(addr: SocketAddrV4) -> (u32, u16) {
    (addr::to_be32(*addr.ip()), addr.port())
}

fn row<F: Family>(m: &SeqFile, line: u32, entry: &Entry<'_, F>) {
    let (local, local_port) = hex(entry.tuple.local);
    let (remote, remote_port) = hex(entry.tuple.remote);
    let (timer, ms) = entry.timer.parts();
    let (uid, inode) = entry.sock.map_or((0, 0), |sock| (sock.uid(), sock.inode()));
    seq_print!(
        m,
        "{:4}: {:08X}:{:04X} {:08X}:{:04X} {:02X} {:08X}:{:08X} {:02X}:{:08X} {:08X} {:5} {:8} {} {}\n",
        line,
        local,
        local_port,
        remote,
        remote_port,
        entry.state,
        entry.tx_queue,
        entry.rx_queue,
        timer,
        // In clock ticks of user space, of which a second has 100.
        ms / 10,
        entry.retransmits,
        uid,
        0,
        inode,
        entry.syn_queue
    );
}

/// # Safety
///
/// As [`sockets`].
unsafe extern "C" fn counters<F: Family>(m: *mut b::seq_file, _: *mut c_void) -> c_int {
    // SAFETY: By the function's contract.
    let (m, net) = unsafe { (SeqFile::from_raw(m), netns::of_net::<F>(b::ox_seq_net(m))) };
    if let Some(net) = net {
        net.stats()
            .counters(|name, value| seq_print!(m, "{} {}\n", name, value));
        net.stats()
            .drops(|name, value| seq_print!(m, "Drop{} {}\n", name, value));
    }
    0
}

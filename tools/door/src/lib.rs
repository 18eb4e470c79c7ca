// SPDX-License-Identifier: GPL-2.0
//! The door by which programs come to oxtcp that no library can be put under: a seccomp filter
//! stops the calls `socket(AF_INET, SOCK_STREAM, 0 or IPPROTO_TCP)` of a program and its children,
//! and a supervisor answers each with a socket of its own making (`seccomp_unotify(2)`).

mod filter;
mod notify;

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub use notify::{Door, Request};

/// Whether a file gives capabilities to who runs it (`setcap`).
pub fn has_capabilities(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: Both strings end with NUL; with a size of 0 nothing is written.
    let len = unsafe {
        libc::getxattr(
            path.as_ptr(),
            c"security.capability".as_ptr(),
            std::ptr::null_mut(),
            0,
        )
    };
    len > 0
}

/// The last system call's error, when it returned -1.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

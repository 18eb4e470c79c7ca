// SPDX-License-Identifier: GPL-2.0
//! From bare descriptor numbers, which is all that `unsafe` is needed for here.
#![allow(unsafe_code)]

use std::net;
use std::os::fd::{FromRawFd, RawFd};

use crate::{TcpListener, TcpStream};

/// Takes a descriptor that is a listening socket.
impl FromRawFd for TcpListener {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: The caller promises that the descriptor is open and ours.
        unsafe { net::TcpListener::from_raw_fd(fd) }.into()
    }
}

/// Takes a descriptor that is a TCP socket.
impl FromRawFd for TcpStream {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: The caller promises that the descriptor is open and ours.
        unsafe { net::TcpStream::from_raw_fd(fd) }.into()
    }
}

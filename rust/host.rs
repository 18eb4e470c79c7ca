// SPDX-License-Identifier: GPL-2.0

//! The protocol core of oxtcp, built for the host: the same files that the kernel module has.

#![cfg_attr(not(test), no_std)]
#![warn(missing_docs)]

pub mod tcp;

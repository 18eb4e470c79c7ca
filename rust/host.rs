// SPDX-License-Identifier: GPL-2.0

//! The host's wrapper of the protocol core: `crate::tcp` here and in the kernel module are the
//! same files.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

pub mod tcp;

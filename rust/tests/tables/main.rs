// SPDX-License-Identifier: GPL-2.0

//! Tables of cases for the small parts of the core and for the user's calls: a case a test, named
//! for what it shows.

#[path = "../harness/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

/// Makes each line a test.
macro_rules! cases {
    ($($name:ident: $check:expr;)*) => {
        $(#[test] fn $name() { $check; })*
    };
}

mod header;
mod keepalive;
mod options;
mod sequence;
mod syn_received;
mod time_wait;
mod user_calls;
mod window;

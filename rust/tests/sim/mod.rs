// SPDX-License-Identifier: GPL-2.0

//! A deterministic simulator of two hosts: virtual time, a poor network between them, applications
//! on top. A seed gives the same run every time.

pub mod app;
mod host;
mod link;
mod oracle;
pub mod params;
mod trace;
pub mod world;

// SPDX-License-Identifier: GPL-2.0

//! A deterministic simulator of hosts and the network between them: the real core with buffers and
//! applications on top, real packets below, virtual time. A seed gives the same run every time, to
//! the byte.
//!
//! A [`params::Plan`] says what there is: hosts, routers, lines, connections; [`plan`] draws plans
//! of several shapes from seeds. [`world::World`] runs one, while every end is watched by an
//! [`oracle`].

pub mod app;
mod cwnd;
mod endpoint;
mod host;
pub mod link;
mod listener;
pub mod loss;
pub mod oracle;
pub mod packet;
pub mod params;
pub mod pcap;
pub mod plan;
mod schedule;
pub mod stream;
mod trace;
pub mod verdict;
pub mod watched;
pub mod world;

// SPDX-License-Identifier: GPL-2.0

//! From the core's wish to send to segments on their way.

use super::receive_queue::Queues;
use super::send::publish_unsent;
use super::sock_state::{Conn, Life};
use super::{now, statistics, Oxtcp};
use crate::net::route::BackRoute;
use crate::net::{
    trace, Counter, FourTuple, Locked, NetNs, Queued, Reply, RxSkb, Segments, SendBuffer,
    SparePacket, Way,
};
use crate::tcp::ecn::OptionUse;
use crate::tcp::fast_open::Cookie;
use crate::tcp::plain::{Plain, MAX_PLAIN_HEADER_LEN};
use crate::tcp::refused::Taken;
use crate::tcp::segment::{Flags, Transmit, HEADER_LEN, MAX_HEADER_LEN};
use crate::tcp::small_queue::DeviceQueue;
use crate::tcp::tcb::{Tcb, TxLimits, DEFAULT_MSS};
use crate::tcp::time::Instant;
use kernel::prelude::*;

/// Bytes of the IPv4 header without options.
const IP_HEADER_LEN: u32 = 20;

/// Bytes of options and text in a segment that the path carries.
pub(super) fn path_mss(locked: &Locked<'_, Oxtcp>) -> u16 {
    let headers = IP_HEADER_LEN + HEADER_LEN as u32;
    u16::try_from(locked.path_mtu().saturating_sub(headers)).unwrap_or(u16::MAX)
}

/// What of the path the sender has to respect now.
pub(super) fn tx_limits(locked: &Locked<'_, Oxtcp>) -> TxLimits {
    limits_within(locked, path_mss(locked))
}

/// The same, with what [`path_mss`] says.
pub(super) fn limits_within(locked: &Locked<'_, Oxtcp>, path_mss: u16) -> TxLimits {
    let mss = match &locked.conn {
        Conn::Tcb(Life::Open, tcb) => tcb.mss(),
        _ => DEFAULT_MSS,
    };
    TxLimits {
        mss: path_mss,
        max_run: locked.max_gso_bytes(mss),
        queue: DeviceQueue::default(),
    }
}

/// Sends all that the connection may send now, and sets its timer.
pub(super) fn flush(locked: &mut Locked<'_, Oxtcp>) {
    flush_by(locked, path_mss, now);
}

/// As [`flush`], of an event that came at `now`.
#[inline(always)]
pub(super) fn flush_at(locked: &mut Locked<'_, Oxtcp>, now: Instant) {
    flush_by(locked, path_mss, || now);
}

/// As [`flush`], with what [`path_mss`] has just said.
pub(super) fn flush_within(locked: &mut Locked<'_, Oxtcp>, mss: u16) {
    flush_by(locked, |_| mss, now);
}

/// The path and the clock are asked only when there is something to send.
#[inline(always)]
fn flush_by(
    locked: &mut Locked<'_, Oxtcp>,
    mss: impl FnOnce(&Locked<'_, Oxtcp>) -> u16,
    now: impl FnOnce() -> Instant,
) {
    if has_output(locked) {
        let mss = mss(locked);
        send_all(locked, mss, now());
    }
    settle(locked);
}

/// As [`flush_at`], when that is the arrival of `skb`, whose memory an acknowledgment may have.
pub(super) fn flush_answering(locked: &mut Locked<'_, Oxtcp>, now: Instant, skb: RxSkb) {
    if has_output(locked) {
        locked.send_buffer().lend(skb);
        let mss = path_mss(locked);
        send_all(locked, mss, now);
        locked.send_buffer().end_loan();
    }
    settle(locked);
}

/// As [`flush_within`], while the user's call has more text to give: one run only, for what follows
/// may make the next one longer, as in Linux.
pub(super) fn flush_run(locked: &mut Locked<'_, Oxtcp>, mss: u16) {
    if has_output(locked) {
        let now = now();
        if !send_plain(locked, mss, now) {
            send_some(locked, mss, now, (None, Extent::Run));
        }
    }
    settle(locked);
}

/// As [`flush_within`], when there is text to send.
pub(super) fn flush_text(locked: &mut Locked<'_, Oxtcp>, mss: u16) {
    send_all(locked, mss, now());
    settle(locked);
}

/// As [`flush`], when an acknowledgment is due.
pub(super) fn flush_ack(locked: &mut Locked<'_, Oxtcp>) {
    let now = now();
    if !send_plain_ack(locked, now) {
        let mss = path_mss(locked);
        send_any(locked, mss, now, None);
    }
    settle(locked);
}

/// As [`flush`], with a Fast Open cookie in the SYN-ACK.
pub(super) fn flush_offering(locked: &mut Locked<'_, Oxtcp>, offer: Option<Cookie>) {
    if has_output(locked) {
        let mss = path_mss(locked);
        send_any(locked, mss, now(), offer);
    }
    settle(locked);
}

/// What there was to send is sent.
fn settle(locked: &mut Locked<'_, Oxtcp>) {
    set_timer(locked);
    publish_unsent(locked);
}

/// Whether there may be something to send: mostly there is not, and then nothing need be asked.
fn has_output(locked: &Locked<'_, Oxtcp>) -> bool {
    match &locked.conn {
        Conn::Tcb(Life::Open, tcb) => tcb.has_output(),
        _ => false,
    }
}

/// Sets the timer of a connection for its next deadline.
#[inline]
fn set_timer(locked: &mut Locked<'_, Oxtcp>) {
    if let Conn::Tcb(Life::Open, tcb) = &locked.conn {
        let deadline = tcb.deadline();
        locked.set_deadline(deadline.map(|at| at.us()));
    }
}

fn send_all(locked: &mut Locked<'_, Oxtcp>, mss: u16, now: Instant) {
    if !send_plain(locked, mss, now) {
        send_any(locked, mss, now, None);
    }
}

/// Sends all if that is one plain segment. Returns whether it was.
fn send_plain(locked: &mut Locked<'_, Oxtcp>, mss: u16, now: Instant) -> bool {
    let (net, sock) = (locked.net(), locked.sock());
    let pacing = locked.pacing();
    let (state, mut send, recv) = locked.parts();
    if !state.sends_plainly() {
        return false;
    }
    let records = &mut state.records;
    let Conn::Tcb(Life::Open, tcb) = &mut state.conn else {
        return false;
    };
    pacing.apply(&mut state.config);
    let held = send.queued();
    let most = if held > 0 {
        send.queue_limit()
    } else {
        u32::MAX
    };
    let limits = TxLimits {
        mss,
        // Of runs nothing is asked, and the shorter they are the sooner the device is busy.
        max_run: 0,
        queue: DeviceQueue { held, most },
    };
    let mut queues = Queues { recv, records };
    let Some(out) = tcb.poll_plain(&state.config, &mut queues, &limits, now) else {
        return false;
    };
    let sent = hand_over(net, &mut send, (sock.tuple(), tcb), &out);
    let rate = tcb.pacing_rate(&state.config);
    drop((send, queues));
    if sent != Ok(Queued::Taken) {
        hand_over_otherwise(locked, Transmit::from(&out), out.offset, sent, now);
    }
    locked.set_pacing_rate(rate);
    true
}

/// Sends the acknowledgment that is due, if that is all there is to send, and plain.
fn send_plain_ack(locked: &mut Locked<'_, Oxtcp>, now: Instant) -> bool {
    let (net, sock) = (locked.net(), locked.sock());
    let (state, mut send, recv) = locked.parts();
    if !state.sends_plainly() {
        return false;
    }
    let records = &mut state.records;
    let Conn::Tcb(Life::Open, tcb) = &mut state.conn else {
        return false;
    };
    let mut queues = Queues { recv, records };
    let Some(out) = tcb.poll_plain_ack(&state.config, &mut queues, now) else {
        return false;
    };
    let sent = hand_over(net, &mut send, (sock.tuple(), tcb), &out);
    drop((send, queues));
    if sent != Ok(Queued::Taken) {
        hand_over_otherwise(locked, Transmit::from(&out), out.offset, sent, now);
    }
    true
}

/// Hands a plain segment to the device.
#[inline(always)]
fn hand_over(
    net: &NetNs<Oxtcp>,
    send: &mut SendBuffer<'_, Oxtcp>,
    (tuple, tcb): (FourTuple, &mut Tcb),
    out: &Plain,
) -> Result<Queued> {
    net.count(Counter::OutSegs);
    if tcb.has_statistics() {
        statistics::count(net, tcb.take_statistics());
    }
    let mut buf = [0; MAX_PLAIN_HEADER_LEN];
    let len = out.header(tuple.local.port(), tuple.remote.port(), &mut buf);
    send.send_plain(out.offset, out.len, buf.get(..len).unwrap_or(&[]))
}

/// Hands a segment to IP that [`hand_over`] could not, or tells the core that it was not taken.
#[cold]
#[inline(never)]
fn hand_over_otherwise(
    locked: &mut Locked<'_, Oxtcp>,
    out: Transmit,
    offset: u32,
    sent: Result<Queued>,
    now: Instant,
) {
    let tuple = locked.sock().tuple();
    let (state, mut send, recv) = locked.parts();
    let taken = match sent {
        Err(EAGAIN) => transmit(&mut send, &tuple, &out, offset, 0),
        sent => taken(sent.map(|queued| (out.len, queued)), 0, out.len),
    };
    let records = &mut state.records;
    if let Conn::Tcb(Life::Open, tcb) = &mut state.conn {
        let mut queues = Queues { recv, records };
        tcb.on_taken(&state.config, &mut queues, (&out, taken), now);
    }
}

/// What became of a run of `len` bytes, when that is `result` for the part behind the first `sent`.
/// What cannot be sent for want of memory or a route is as good as lost on the way.
#[cold]
fn taken(result: Result<(u32, Queued)>, sent: u32, len: u32) -> Taken {
    match result {
        Ok((_, Queued::Refused)) => Taken::Part(sent),
        Ok((more, Queued::Crowded)) if sent.saturating_add(more) < len => {
            Taken::Part(sent.saturating_add(more))
        }
        Ok((_, Queued::Crowded)) => Taken::Crowded,
        Ok((_, Queued::Taken)) | Err(_) => Taken::All,
    }
}

/// How much of what may go is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// All of it.
    All,
    /// Up to one run with text.
    Run,
}

fn send_any(locked: &mut Locked<'_, Oxtcp>, mss: u16, now: Instant, offer: Option<Cookie>) {
    send_some(locked, mss, now, (offer, Extent::All));
}

#[inline(never)]
fn send_some(
    locked: &mut Locked<'_, Oxtcp>,
    mss: u16,
    now: Instant,
    (offer, extent): (Option<Cookie>, Extent),
) {
    if locked.fast_open.as_ref().is_some_and(|f| f.deferred) {
        return;
    }
    let net = locked.net();
    let tuple = locked.sock().tuple();
    let mut limits = limits_within(locked, mss);
    let pacing = locked.pacing();
    let (state, mut send, recv) = locked.parts();
    pacing.apply(&mut state.config);
    let records = &mut state.records;
    let Conn::Tcb(Life::Open, tcb) = &mut state.conn else {
        return;
    };
    tcb.set_ecn_option(|| OptionUse::from_number(net.settings().ecn_option()));
    let mut queues = Queues { recv, records };
    limits.queue.most = send.queue_limit();
    while tcb.has_output() {
        limits.queue.held = send.queued();
        let Some(mut out) = tcb.poll_transmit(&state.config, &mut queues, &limits, now) else {
            if tcb.waits_for_device(&state.config, &limits) && send.throttle() {
                continue;
            }
            break;
        };
        if let Some(cookie) = offer.filter(|_| out.flags.has(Flags::SYN)) {
            out.options.add_fast_open(cookie);
        }
        let segments = out.segments().into();
        if out.retransmission {
            net.count_by(Counter::RetransSegs, segments);
            let len = out.len.saturating_add(out.flags.has(Flags::FIN).into());
            trace::retransmit(net, &tuple, tcb.state().number(), out.seq.0, len);
        } else {
            net.count_by(Counter::OutSegs, segments);
        }
        let offset = tcb.text_offset(out.seq);
        let taken = transmit(&mut send, &tuple, &out, offset, state.chosen.tx_delay);
        if taken != Taken::All {
            tcb.on_taken(&state.config, &mut queues, (&out, taken), now);
        }
        if tcb.has_statistics() {
            statistics::count(net, tcb.take_statistics());
        }
        if matches!(taken, Taken::Part(_)) || (extent == Extent::Run && out.len > 0) {
            break;
        }
    }
    let rate = tcb.pacing_rate(&state.config);
    drop((send, queues));
    locked.set_pacing_rate(rate);
}

/// Sends the SYN of a Fast Open, and sets the timer.
pub(super) fn send_opening(locked: &mut Locked<'_, Oxtcp>, syn: Transmit) {
    let net = locked.net();
    let tuple = locked.sock().tuple();
    net.count(Counter::OutSegs);
    let delay = locked.chosen.tx_delay;
    let _ = transmit(&mut locked.send_buffer(), &tuple, &syn, 0, delay);
    set_timer(locked);
}

/// Hands a run of segments to IP, in as many skbs as its text needs, `delay` µs late. Returns what
/// became of it.
fn transmit(
    send: &mut SendBuffer<'_, Oxtcp>,
    tuple: &FourTuple,
    out: &Transmit,
    offset: u32,
    delay: u32,
) -> Taken {
    match transmit_some(send, tuple, out, offset, delay) {
        Ok((sent, Queued::Taken)) if sent >= out.len => Taken::All,
        Ok((sent, Queued::Taken)) => transmit_rest(send, tuple, out, offset, sent, delay),
        other => taken(other, 0, out.len),
    }
}

fn transmit_some(
    send: &mut SendBuffer<'_, Oxtcp>,
    tuple: &FourTuple,
    out: &Transmit,
    offset: u32,
    delay: u32,
) -> Result<(u32, Queued)> {
    let mut buf = [0; MAX_HEADER_LEN];
    let len = out.header(tuple.local.port(), tuple.remote.port(), &mut buf);
    send.transmit(&Segments {
        header: buf.get(..len).unwrap_or(&[]),
        offset,
        len: out.len,
        mss: out.mss,
        ecn: out.ecn.bits(),
        accurate_ecn: out.accurate_ecn,
        delay,
    })
}

#[cold]
fn transmit_rest(
    send: &mut SendBuffer<'_, Oxtcp>,
    tuple: &FourTuple,
    whole: &Transmit,
    mut offset: u32,
    sent: u32,
    delay: u32,
) -> Taken {
    let mut out = *whole;
    let (mut step, mut sent) = (sent, sent);
    loop {
        out.seq += step;
        out.len = out.len.saturating_sub(step);
        // Counted from the number of the segment.
        out.urg = out
            .urg
            .saturating_sub(u16::try_from(step).unwrap_or(u16::MAX));
        if !out.accurate_ecn {
            out.flags = out.flags.without(Flags::CWR);
        }
        offset = offset.saturating_add(step);
        match transmit_some(send, tuple, &out, offset, delay) {
            Ok((more, Queued::Taken)) if more >= out.len => return Taken::All,
            Ok((more, Queued::Taken)) => step = more,
            other => return taken(other, sent, whole.len),
        }
        sent = sent.saturating_add(step);
    }
}

/// Sends a segment that is not part of the stream, by the socket's route.
pub(super) fn send_bare(locked: &mut Locked<'_, Oxtcp>, out: &Transmit) {
    let net = locked.net();
    count_bare(net, out);
    let tuple = locked.sock().tuple();
    let delay = locked.chosen.tx_delay;
    let out = Transmit { len: 0, ..*out };
    let _ = transmit(&mut locked.send_buffer(), &tuple, &out, 0, delay);
}

/// Sends a segment for which there is no socket, back to where `skb` came from.
pub(super) fn reply(net: &NetNs<Oxtcp>, skb: &RxSkb, out: &Transmit) {
    reply_by(net, skb, Way::default(), out);
}

/// The same by the way that a listener's options say, but for the TOS, which is that of `skb`, as
/// in Linux.
pub(super) fn reply_by(net: &NetNs<Oxtcp>, skb: &RxSkb, way: Way, out: &Transmit) {
    let tos = skb.tos();
    reply_to(net, &skb.tuple(), Way { tos, ..way }, None, out, None);
}

/// Sends a segment for which there is no socket, by `route` if that is known, and in the memory of
/// the one that it answers, if that is done with.
pub(super) fn reply_to(
    net: &NetNs<Oxtcp>,
    tuple: &FourTuple,
    way: Way,
    route: Option<&BackRoute>,
    out: &Transmit,
    answered: Option<RxSkb>,
) {
    reply_in(net, tuple, way, route, out, (answered, &mut None));
}

/// As [`reply_to`], with memory to take if that of the answered does not serve.
pub(super) fn reply_in(
    net: &NetNs<Oxtcp>,
    tuple: &FourTuple,
    way: Way,
    route: Option<&BackRoute>,
    out: &Transmit,
    (answered, spare): (Option<RxSkb>, &mut Option<SparePacket>),
) {
    count_bare(net, out);
    let mut buf = [0; MAX_HEADER_LEN];
    let len = out.header(tuple.local.port(), tuple.remote.port(), &mut buf);
    let header = buf.get(..len).unwrap_or(&[]);
    // A reply that cannot be sent is lost, as any segment may be.
    let _ = Reply {
        tuple: *tuple,
        header,
        way: Way {
            tos: way.tos & !0x3 | out.ecn.bits(),
            ..way
        },
        route,
    }
    .send(net, answered, spare);
}

fn count_bare(net: &NetNs<Oxtcp>, out: &Transmit) {
    let counter = match out.flags {
        f if f.has(Flags::RST) => Counter::OutRsts,
        f if f.has(Flags::SYN) && out.retransmission => Counter::SynAckRetrans,
        _ => Counter::OutSegs,
    };
    net.count(counter);
}

// SPDX-License-Identifier: GPL-2.0

//! A header: any bytes are read or refused, what is written is read again, and a segment for which
//! there is no connection is judged without harm.

use oxtcp_core::tcp::config::{Config, Identity};
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit, HEADER_LEN, MAX_HEADER_LEN};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::syn_received::{on_listen, ListenVerdict, SynReceived, Verdict};
use oxtcp_core::tcp::time::Instant;

pub fn segment(data: &[u8]) {
    let Some((len, header)) = data.split_first_chunk() else {
        return;
    };
    let len = u32::from(u16::from_be_bytes(*len));
    let Ok(seg) = Segment::parse(header, len) else {
        return;
    };
    assert!(header.len() >= HEADER_LEN);
    assert_eq!(
        seg.seq_len(),
        len + u32::from(seg.has_syn()) + u32::from(seg.has_fin())
    );
    assert_eq!(seg.seq_end(), seg.seq + seg.seq_len());

    round_trip(&seg);
    no_connection(&seg);
    at_entry(&seg);
}

fn as_segment(out: &Transmit) -> Option<Segment> {
    let mut buf = [0; MAX_HEADER_LEN];
    let len = out.header(1, 2, &mut buf);
    Segment::parse(&buf[..len], out.len).ok()
}

fn round_trip(seg: &Segment) {
    let mut out = Transmit::bare(seg.seq, seg.ack, seg.flags, seg.wnd);
    out.options = seg.options;
    let again = as_segment(&out).expect("what is written is a header");
    assert_eq!((again.seq, again.flags), (seg.seq, seg.flags));
    assert_eq!(again.wnd, seg.wnd);
    assert!(!seg.has_ack() || again.ack == seg.ack);
    assert_eq!(again.options.timestamps, seg.options.timestamps);
    assert_eq!(again.options.mss, seg.options.mss);
}

/// RSTs do not answer RSTs, and what answers belongs to what came (RFC 9293 3.10.7.1).
fn no_connection(seg: &Segment) {
    let reset = Transmit::reset_for(seg);
    assert_eq!(reset.is_none(), seg.has_rst());
    if let Some(reset) = &reset {
        assert!(reset.flags.has(Flags::RST) && reset.len == 0);
        let echo = as_segment(reset).expect("a header");
        assert!(Transmit::reset_for(&echo).is_none());
    }
    match on_listen(seg) {
        ListenVerdict::Open => assert!(seg.has_syn() && !seg.has_ack() && !seg.has_rst()),
        ListenVerdict::Reset(out) => assert!(out.flags.has(Flags::RST) && seg.has_ack()),
        ListenVerdict::Ignore => {}
    }
}

/// A segment at an entry that a SYN with its options began: completed by what acknowledges the
/// SYN-ACK, removed by nothing but an exact RST.
fn at_entry(seg: &Segment) {
    let config = Config::default();
    let now = Instant::from_us(5_000_000);
    let irs = seg.seq - 1;
    let ids = Identity {
        iss: seg.ack - 1,
        ts_offset: 0,
    };
    let syn = Segment {
        seq: irs,
        flags: Flags::SYN,
        options: seg.options,
        ..Segment::default()
    };
    let entry = SynReceived::new(&config, &syn, ids, now);
    let syn_ack = entry.syn_ack(&config, now);
    assert!(as_segment(&syn_ack).is_some_and(|s| s.has_syn() && s.has_ack()));
    match entry.on_segment(&config, seg, now) {
        Verdict::Complete => {
            assert!(seg.has_ack() && !seg.has_syn() && !seg.has_rst());
            let tcb = entry.into_tcb(&config, seg, now);
            assert_eq!(tcb.snd_una(), seg.ack);
            assert_eq!(tcb.rcv_nxt(), SeqNumber(seg.seq.0));
        }
        Verdict::Remove => assert!(seg.has_rst()),
        Verdict::Ignore | Verdict::SynAck | Verdict::Reply(_) => {}
    }
    let other = Segment {
        seq: seg.seq + 1,
        ..*seg
    };
    let verdict = entry.on_segment(&config, &other, now);
    assert!(
        !matches!(verdict, Verdict::Remove),
        "a RST that is not exact"
    );
}

// SPDX-License-Identifier: GPL-2.0

//! Why a segment was dropped: traced by `oxtcp:oxtcp_drop`, counted in `/proc/net/oxtcp_stat`.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident => $kernel:ident,)*) => {
        /// Why a segment was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[$doc])* $name,)*
        }

        /// Name of each reason, in order.
        pub(super) const NAMES: &[&str] = &[$(stringify!($name),)*];

        impl DropReason {
            /// Its name, for C.
            pub(super) fn c_name(self) -> *const u8 {
                match self {
                    $(Self::$name => concat!(stringify!($name), "\0").as_ptr(),)*
                }
            }

            /// The kernel's `SKB_DROP_REASON_*` that comes nearest.
            pub(super) fn kernel(self) -> super::bindings::skb_drop_reason {
                match self {
                    $(Self::$name => super::bindings::$kernel,)*
                }
            }
        }
    };
}

reasons! {
    /// The header is not one: too short, or a data offset that is wrong.
    BadHeader => skb_drop_reason_SKB_DROP_REASON_PKT_TOO_SMALL,
    /// The checksum is wrong.
    BadChecksum => skb_drop_reason_SKB_DROP_REASON_TCP_CSUM,
    /// No connection, no listener.
    NoSocket => skb_drop_reason_SKB_DROP_REASON_NO_SOCKET,
    /// Flags that make no sense in the state.
    BadFlags => skb_drop_reason_SKB_DROP_REASON_TCP_FLAGS,
    /// Sequence number outside the window.
    OutOfWindow => skb_drop_reason_SKB_DROP_REASON_TCP_INVALID_SEQUENCE,
    /// All its text was received before.
    OldData => skb_drop_reason_SKB_DROP_REASON_TCP_OLD_DATA,
    /// Text beyond the window offered.
    BeyondWindow => skb_drop_reason_SKB_DROP_REASON_TCP_OVERWINDOW,
    /// Text while the window offered is closed.
    ZeroWindow => skb_drop_reason_SKB_DROP_REASON_TCP_ZEROWINDOW,
    /// Timestamp older than the last (PAWS).
    Paws => skb_drop_reason_SKB_DROP_REASON_TCP_RFC7323_PAWS,
    /// ACK of something never sent.
    BadAck => skb_drop_reason_SKB_DROP_REASON_TCP_ACK_UNSENT_DATA,
    /// ACK too old (RFC 5961).
    OldAck => skb_drop_reason_SKB_DROP_REASON_TCP_TOO_OLD_ACK,
    /// A SYN in a synchronized state.
    UnexpectedSyn => skb_drop_reason_SKB_DROP_REASON_TCP_INVALID_SYN,
    /// The connection was reset by it.
    Reset => skb_drop_reason_SKB_DROP_REASON_TCP_RESET,
    /// Text for a connection nobody reads any more.
    Closed => skb_drop_reason_SKB_DROP_REASON_TCP_CLOSE,
    /// The accept queue is full.
    AcceptQueueFull => skb_drop_reason_SKB_DROP_REASON_TCP_LISTEN_OVERFLOW,
    /// The SYN queue is full.
    SynQueueFull => skb_drop_reason_SKB_DROP_REASON_TCP_LISTEN_OVERFLOW,
    /// The backlog of a socket in use is full.
    BacklogFull => skb_drop_reason_SKB_DROP_REASON_SOCKET_BACKLOG,
    /// The receive buffer is full.
    RcvbufFull => skb_drop_reason_SKB_DROP_REASON_SOCKET_RCVBUFF,
    /// The receive buffer has no room for text that came before its turn.
    OfoFull => skb_drop_reason_SKB_DROP_REASON_PROTO_MEM,
    /// The out-of-order queue had to make room.
    OfoPrune => skb_drop_reason_SKB_DROP_REASON_TCP_OFO_QUEUE_PRUNE,
    /// Kernel memory ran out.
    NoMemory => skb_drop_reason_SKB_DROP_REASON_NOMEM,
    /// A socket filter (SO_ATTACH_FILTER) or the least TTL (IP_MINTTL) said no.
    SocketFilter => skb_drop_reason_SKB_DROP_REASON_SOCKET_FILTER,
    /// An IPsec policy said no.
    Policy => skb_drop_reason_SKB_DROP_REASON_XFRM_POLICY,
    /// The firewall's connection tracking said no.
    Netfilter => skb_drop_reason_SKB_DROP_REASON_NETFILTER_DROP,
    /// The namespace is dying.
    Dying => skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED,
}

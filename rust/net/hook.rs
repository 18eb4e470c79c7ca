// SPDX-License-Identifier: GPL-2.0

//! Where segments come in: netfilter's LOCAL_IN, behind the firewall, and PRE_ROUTING for the early
//! demux, which takes them where nobody else looks at them on the way to LOCAL_IN.
//!
//! All other packets of the machine pass here too, so the first test is one bit for the port.

use super::bindings as b;
use super::*;
use core::marker::PhantomData;
use kernel::alloc::KBox;
use kernel::error::to_result;
use kernel::ffi::{c_uint, c_void};
use kernel::prelude::*;
use kernel::sync::Arc;

/// Behind everything, next to conntrack's confirm, behind which there is no place.
const LOCAL_IN_PRIORITY: i32 = i32::MAX;
/// Behind everything, too: what it takes is seen by no hook after it.
const PRE_ROUTING_PRIORITY: i32 = i32::MAX;

const MIN_TCP_HEADER: usize = 20;

/// The hooks of a namespace, until [`Hooks::unregister`] takes them away.
pub(super) struct Hooks<F: Family> {
    ops: KBox<[b::nf_hook_ops; 2]>,
    net: *mut b::net,
    // The hooks have a pointer to it.
    _netns: Arc<NetNs<F>>,
    _family: PhantomData<fn() -> F>,
}

impl<F: Family> Hooks<F> {
    pub(super) fn register(net: *mut b::net, netns: &Arc<NetNs<F>>) -> Result<Self> {
        let pointer = (&raw const **netns).cast_mut().cast::<c_void>();
        let hook = |hook: b::nf_hookfn, hooknum, priority| b::nf_hook_ops {
            hook,
            priv_: pointer,
            pf: b::NFPROTO_IPV4 as u8,
            hooknum,
            priority,
            ..pin_init::zeroed()
        };
        let ops = KBox::new(
            [
                hook(
                    Some(local_in::<F>),
                    b::nf_inet_hooks_NF_INET_LOCAL_IN,
                    LOCAL_IN_PRIORITY,
                ),
                hook(
                    Some(pre_routing::<F>),
                    b::nf_inet_hooks_NF_INET_PRE_ROUTING,
                    PRE_ROUTING_PRIORITY,
                ),
            ],
            GFP_KERNEL,
        )?;
        // SAFETY: The table lives until the hooks are unregistered.
        to_result(unsafe { b::nf_register_net_hooks(net, ops.as_ptr(), ops.len() as u32) })?;
        Ok(Self {
            ops,
            net,
            _netns: netns.clone(),
            _family: PhantomData,
        })
    }

    /// Takes them away, once, without waiting for packets under way. They are to be dropped when
    /// those are through, and who looks through netfilter's lists under RCU (nfnetlink_hook). May
    /// sleep.
    pub(super) fn unregister(&self) {
        let [local_in, pre_routing] = &*self.ops;
        // SAFETY: Registered by `register`; the namespace's exit keeps what the hooks use until
        // packets under way are through.
        unsafe {
            b::nf_unregister_net_hooks(self.net, pre_routing, 1);
            // What carries a socket from there must find LOCAL_IN still: behind that it would be
            // taken for one of AF_INET.
            b::synchronize_net();
            b::nf_unregister_net_hooks(self.net, local_in, 1);
        }
    }
}

/// The start of an IPv4 packet, as far as the tests need it.
struct Packet {
    skb: *mut b::sk_buff,
    ihl: usize,
}

impl Packet {
    /// # Safety
    ///
    /// `skb` is an IPv4 packet whose data begins with its header, whole in the linear part.
    unsafe fn new(skb: *mut b::sk_buff) -> Self {
        // SAFETY: By the function's contract.
        let first = unsafe { *(*skb).data };
        Self {
            skb,
            ihl: usize::from(first & 0xf) * 4,
        }
    }

    /// A byte that is in the linear part.
    fn byte(&self, at: usize) -> u8 {
        debug_assert!(at < self.linear());
        // SAFETY: The packet is valid, and our callers have looked at `linear`.
        unsafe { *(*self.skb).data.add(at) }
    }

    fn linear(&self) -> usize {
        // SAFETY: The packet is valid.
        unsafe { (*self.skb).len as usize - (*self.skb).data_len as usize }
    }

    fn protocol(&self) -> u32 {
        self.byte(9).into()
    }

    fn pull(&self, len: usize) -> bool {
        // SAFETY: The packet is valid and may be changed.
        len <= self.linear() || unsafe { b::ox_pskb_may_pull(self.skb, len as u32) }
    }

    /// Destination port, when there is room for a TCP header.
    fn dport(&self) -> Option<u16> {
        self.pull(self.ihl + MIN_TCP_HEADER)
            .then(|| u16::from_be_bytes([self.byte(self.ihl + 2), self.byte(self.ihl + 3)]))
    }

    /// Length of the TCP header, once there is room for the least one.
    fn tcp_header_len(&self) -> usize {
        usize::from(self.byte(self.ihl + 12) >> 4) * 4
    }
}

/// # Safety
///
/// Called by netfilter only, with the pointer that `register` gave, under RCU.
unsafe extern "C" fn local_in<F: Family>(
    private: *mut c_void,
    skb: *mut b::sk_buff,
    state: *const b::nf_hook_state,
) -> c_uint {
    // SAFETY: By the function's contract; IP has looked at its header.
    let (net, packet) = unsafe { (&*private.cast::<NetNs<F>>(), Packet::new(skb)) };
    match packet.protocol() {
        b::IPPROTO_TCP => {
            let ours = packet
                .dport()
                .is_some_and(|port| net.ports().contains(port));
            let verdict = if ours {
                take(net, packet)
            } else {
                b::NF_ACCEPT
            };
            // SAFETY: The state is netfilter's, with the namespace of the packet, which is ours as
            // long as it is not stolen.
            unsafe {
                match verdict {
                    b::NF_STOLEN => b::ox_count_delivered((*state).net),
                    // Its connection may have ended, and given its port back, since PRE_ROUTING.
                    _ => b::ox_skb_disown(skb, family::number()),
                }
            }
            verdict
        }
        b::IPPROTO_ICMP => {
            // SAFETY: The packet is ours to look at.
            unsafe { icmp::receive(net, skb, packet.ihl) };
            b::NF_ACCEPT
        }
        _ => b::NF_ACCEPT,
    }
}

/// A packet to one of our ports: makes sure that it is what it says, and gives it to the family.
fn take<F: Family>(net: &NetNs<F>, packet: Packet) -> c_uint {
    // A verdict of user space brings a packet here outside of softirq, under RCU all the same.
    let _bh = lock::BhOff::new();
    let skb = packet.skb;
    let stolen = |reason: DropReason| {
        net.count_drop(reason);
        net.count(Counter::InSegs);
        net.count(Counter::InErrs);
        // SAFETY: The packet is ours, and gone after this.
        unsafe { b::ox_kfree_skb_reason(skb, reason.kernel()) };
        b::NF_STOLEN
    };
    let len = packet.tcp_header_len();
    if len < MIN_TCP_HEADER || !packet.pull(packet.ihl + len) {
        // SAFETY: The packet is ours.
        return if unsafe { b::ox_skb_is_host(skb) } {
            stolen(DropReason::BadHeader)
        } else {
            b::NF_ACCEPT
        };
    }
    // SAFETY: The packet is ours, and we are under RCU.
    match unsafe { b::ox_skb_admit(skb, packet.ihl as u32) } {
        b::ox_admission_OX_ADMITTED => (),
        b::ox_admission_OX_NOT_HOST => return b::NF_ACCEPT,
        b::ox_admission_OX_NO_MEMORY => return stolen(DropReason::NoMemory),
        b::ox_admission_OX_POLICY => return stolen(DropReason::Policy),
        b::ox_admission_OX_NETFILTER => return stolen(DropReason::Netfilter),
        _ => {
            net.count(Counter::InCsumErrors);
            return stolen(DropReason::BadChecksum);
        }
    }
    // SAFETY: The header is whole, as pulled above.
    match F::segment(net, unsafe { RxSkb::from_raw(skb) }) {
        Verdict::Taken => b::NF_STOLEN,
        Verdict::Pass(skb) => {
            // SAFETY: The same skb, back to where the next hook expects it.
            unsafe { b::ox_skb_unset_tcp_header(skb.into_raw(), packet.ihl as u32) };
            b::NF_ACCEPT
        }
    }
}

/// Gives a segment of a known connection the route of the last one, so that IP does not look it up,
/// and the socket; or takes it at once, if nothing would be done with it on its way to LOCAL_IN.
///
/// # Safety
///
/// As [`local_in`].
unsafe extern "C" fn pre_routing<F: Family>(
    private: *mut c_void,
    skb: *mut b::sk_buff,
    _state: *const b::nf_hook_state,
) -> c_uint {
    // SAFETY: By the function's contract.
    let net = unsafe { &*private.cast::<NetNs<F>>() };
    // SAFETY: The packet is ours, IP has looked at its header, and we are under RCU.
    match unsafe { net.early(skb, private) } {
        netns::Early::No => b::NF_ACCEPT,
        netns::Early::Carried => {
            net.count(Counter::EarlyDemux);
            b::NF_ACCEPT
        }
        netns::Early::Taken(sock, skb) => {
            net.count(Counter::EarlyDemux);
            F::segment_of(net, &sock, skb);
            b::NF_STOLEN
        }
    }
}

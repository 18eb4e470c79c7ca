// SPDX-License-Identifier: GPL-2.0

//! `TCP_SAVE_SYN` and `TCP_SAVED_SYN`: a listener keeps the headers of each SYN for the server that
//! accepts the connection.

use super::sock_state::SaveSyn;
use super::Oxtcp;
use crate::net::{Locked, OptWriter, RxSkb};
use kernel::prelude::*;

/// Headers of a SYN, as they came.
pub(super) type Headers = KBox<KVec<u8>>;

/// What `TCP_SAVE_SYN` was set to. Errors: `EINVAL`.
pub(super) fn choice(value: i32) -> Result<SaveSyn> {
    match value {
        0 => Ok(SaveSyn::No),
        1 => Ok(SaveSyn::Network),
        2 => Ok(SaveSyn::Link),
        _ => Err(EINVAL),
    }
}

/// The headers of `skb` that the listener wants kept. Without memory for them there are none, as in
/// Linux.
pub(super) fn of(listener: &Locked<'_, Oxtcp>, skb: &RxSkb) -> Option<Headers> {
    let link = match listener.chosen.save_syn {
        SaveSyn::No => return None,
        SaveSyn::Network => false,
        SaveSyn::Link => true,
    };
    let headers = skb.headers(link).ok()?;
    KBox::new(headers, GFP_ATOMIC).ok()
}

/// Answers with the headers, which are then forgotten. Errors: `EINVAL`, with the length that is
/// needed, when there is not room for all.
pub(super) fn get(mut locked: Locked<'_, Oxtcp>, mut out: OptWriter<'_>) -> Result {
    let len = locked.saved_syn.as_ref().map_or(0, |s| s.len());
    if out.room() < len {
        out.tell_len(len)?;
        return Err(EINVAL);
    }
    let bytes = locked.saved_syn.as_ref().map_or(&[][..], |s| s.as_slice());
    out.bytes(bytes)?;
    locked.saved_syn = None;
    Ok(())
}

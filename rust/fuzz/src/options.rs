// SPDX-License-Identifier: GPL-2.0

//! The option space of a header: any bytes are read, and what is written of that is read again.

use oxtcp_core::tcp::fast_open::Cookie;
use oxtcp_core::tcp::options::{Options, MAX_WINDOW_SCALE};

/// Bytes that the longest header has for options.
const SPACE: usize = 40;

/// Bytes that all but blocks and cookie take, in fours; and whether the end of the Accurate ECN option
/// still has no place in the padding of another.
fn len_of_others(options: &Options) -> (usize, bool) {
    let alone = options.timestamps.is_none() && options.sack_permitted;
    let scale = options.window_scale.is_some();
    let (accecn, rest) = match options.accecn.map(|option| option.len()) {
        None => (0, false),
        Some(0) => (0, !alone),
        Some(1) => (4, !alone && !scale),
        Some(fields) => (4 * usize::from(fields), false),
    };
    let stamps = if options.timestamps.is_some() { 12 } else { 0 };
    let fours = [options.mss.is_some(), scale, alone].map(|has| 4 * usize::from(has));
    (fours.iter().sum::<usize>() + stamps + accecn, rest)
}

fn len_of(cookie: &Cookie) -> usize {
    let head = if cookie.is_experimental() { 4 } else { 2 };
    (head + cookie.as_slice().len()).next_multiple_of(4)
}

pub fn options(data: &[u8]) {
    let read = Options::parse(data);
    assert!(read.window_scale.unwrap_or(0) <= MAX_WINDOW_SCALE);
    assert!(read.mss != Some(0));
    assert!(read.sack.as_slice().len() <= 4);

    let mut buf = [0; SPACE];
    let len = read.write(&mut buf);
    assert!(len <= SPACE && len % 4 == 0);
    let again = Options::parse(&buf[..len]);
    assert_eq!(again.mss, read.mss);
    assert_eq!(again.window_scale, read.window_scale);
    assert_eq!(again.sack_permitted, read.sack_permitted);
    assert_eq!(again.timestamps, read.timestamps);
    assert_eq!(again.accecn, read.accecn);
    // Blocks that do not fit are left out, the last first, and a cookie that does not.
    let (others, rest) = len_of_others(&read);
    let mut left = SPACE - others;
    let fitting = (left.saturating_sub(4) / 8).min(read.sack.as_slice().len());
    assert_eq!(again.sack.as_slice(), &read.sack.as_slice()[..fitting]);
    left -= match fitting {
        0 if rest => 4,
        0 => 0,
        blocks => 4 + 8 * blocks,
    };
    let cookie = read.fast_open.filter(|cookie| left >= len_of(cookie));
    let shown = |cookie: &Cookie| (*cookie, cookie.is_experimental());
    assert_eq!(
        again.fast_open.as_ref().map(shown),
        cookie.as_ref().map(shown)
    );

    let mut twice = [0; SPACE];
    let len_again = again.write(&mut twice);
    assert_eq!(buf[..len], twice[..len_again]);

    for space in 0..SPACE {
        let mut small = vec![0; space];
        assert!(read.write(&mut small) <= space);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The option space of a header: any bytes are read, and what is written of that is read again.

use oxtcp_core::tcp::options::{Options, MAX_WINDOW_SCALE};

/// Bytes that the longest header has for options.
const SPACE: usize = 40;

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
    // Blocks that do not fit are left out, the last first.
    assert!(read.sack.as_slice().starts_with(again.sack.as_slice()));

    let mut twice = [0; SPACE];
    let len_again = again.write(&mut twice);
    assert_eq!(buf[..len], twice[..len_again]);

    for space in 0..SPACE {
        let mut small = vec![0; space];
        assert!(read.write(&mut small) <= space);
    }
}

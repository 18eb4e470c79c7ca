// SPDX-License-Identifier: GPL-2.0

//! The corpus in the tree, and what once was found, replayed: no fuzzer is needed for that. And
//! bytes at random, so that a change that breaks a target is seen before the fuzzer runs.

use std::fs;
use std::path::Path;

/// Inputs at random for each target.
const RANDOM: u64 = 3000;

fn replay(name: &str, target: fn(&[u8])) -> usize {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let mut files: Vec<_> = fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    for file in &files {
        let data = fs::read(file).expect("a file of the corpus");
        println!("{}", file.display());
        target(&data);
    }
    files.len()
}

fn random(target: fn(&[u8])) {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..RANDOM {
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let len = next() % 600;
        let data: Vec<u8> = (0..len).map(|_| (next() >> 32) as u8).collect();
        target(&data);
    }
}

macro_rules! targets {
    ($($target:ident)*) => {$(
        mod $target {
            #[test]
            fn the_corpus_holds() {
                let count = super::replay(stringify!($target), oxtcp_fuzz::$target);
                assert!(count > 0, "an empty corpus");
            }

            #[test]
            fn bytes_at_random_hold() {
                super::random(oxtcp_fuzz::$target);
            }
        }
    )*};
}

targets!(options segment storm pair);

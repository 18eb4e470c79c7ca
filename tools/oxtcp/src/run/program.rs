// SPDX-License-Identifier: GPL-2.0
//! What kind of program a file is, for what can be put under it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// More than any program has before its first section.
const HEAD: u64 = 16 << 10;
/// Interpreters of scripts, one after the other, that Linux follows.
const INTERPRETERS: u32 = 5;

/// Why no library can be put under a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// It is linked statically: nothing loads a library.
    Static,
    /// It is written in Go: it calls the kernel, not the C library.
    Go,
    /// It gains privileges when it is run: the loader passes over `LD_PRELOAD`.
    Privileged,
}

/// The file that `exec` would take for `program`.
pub fn find(program: &OsString) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return Some(path.to_owned());
    }
    let dirs = std::env::var_os("PATH")?;
    std::env::split_paths(&dirs)
        .map(|dir| dir.join(path))
        .find(|path| path.is_file())
}

/// Follows the `#!` lines of scripts to the program that is run.
pub fn interpreter_of(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..INTERPRETERS {
        match script_interpreter(&head_of(&path)) {
            Some(next) => path = next,
            None => break,
        }
    }
    path
}

/// The obstacle, if there is one. What cannot be read has none.
pub fn obstacle(path: &Path) -> Option<Obstacle> {
    if gains_privileges(path) {
        return Some(Obstacle::Privileged);
    }
    match linkage(&head_of(path)) {
        Some(Linkage { go: true, .. }) => Some(Obstacle::Go),
        Some(Linkage {
            interpreter: false, ..
        }) => Some(Obstacle::Static),
        _ => None,
    }
}

/// Whether running the file changes what its user may do.
pub fn gains_privileges(path: &Path) -> bool {
    const SETUID: u32 = 0o4000;
    const SETGID: u32 = 0o2010;
    let Ok(metadata) = fs::metadata(path) else {
        return false;
    };
    let (user, group) = (nix::unistd::getuid(), nix::unistd::getgid());
    let mode = metadata.mode();
    let setuid = mode & SETUID != 0 && metadata.uid() != user.as_raw();
    // Without the group's right to run it, the bit means something else.
    let setgid = mode & SETGID == SETGID && metadata.gid() != group.as_raw();
    setuid || setgid || (!user.is_root() && oxtcp_door::has_capabilities(path))
}

fn head_of(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    // What cannot be read is no program that we know anything of.
    let _ = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    head
}

fn script_interpreter(head: &[u8]) -> Option<PathBuf> {
    let line = head.strip_prefix(b"#!")?.split(|&b| b == b'\n').next()?;
    let mut words = line
        .split(|b| b" \t".contains(b))
        .filter(|word| !word.is_empty())
        .map(OsStr::from_bytes);
    let interpreter = Path::new(words.next()?);
    if interpreter.file_name() != Some(OsStr::new("env")) {
        return Some(interpreter.to_owned());
    }
    let is_program = |word: &&OsStr| {
        let bytes = word.as_bytes();
        !bytes.starts_with(b"-") && !bytes.contains(&b'=')
    };
    find(&words.find(is_program)?.to_owned())
}

/// How an ELF program is put together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Linkage {
    /// Whether a loader is named, which loads libraries.
    interpreter: bool,
    /// Whether Go's linker has signed it.
    go: bool,
}

/// Reads the program headers of a 64-bit little-endian ELF image's head; `None` when it is
/// something else.
fn linkage(head: &[u8]) -> Option<Linkage> {
    const PT_INTERP: u32 = 3;
    const PT_NOTE: u32 = 4;
    let u16_at = |at: usize| Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let u64_at = |at: usize| {
        let bytes = head.get(at..at.checked_add(8)?)?;
        usize::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    if head.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = u64_at(32)?;
    let (size, count) = (usize::from(u16_at(54)?), usize::from(u16_at(56)?));
    let mut linkage = Linkage {
        interpreter: false,
        go: false,
    };
    for entry in 0..count {
        let at = table.checked_add(entry * size)?;
        if at > head.len() {
            return None;
        }
        match u32_at(at)? {
            PT_INTERP => linkage.interpreter = true,
            PT_NOTE => {
                let (offset, length) = (u64_at(at + 8)?, u64_at(at + 32)?);
                let end = offset.checked_add(length)?;
                linkage.go |= head.get(offset..end).is_some_and(has_go_note);
            }
            _ => {}
        }
    }
    Some(linkage)
}

/// Whether a note's owner is Go.
fn has_go_note(mut notes: &[u8]) -> bool {
    while let (Some(header), Some(rest)) = (notes.get(..12), notes.get(12..)) {
        let word = |at: usize| {
            let bytes = header[at..at + 4].try_into().unwrap_or_default();
            u32::from_le_bytes(bytes) as usize
        };
        let (name, body) = (word(0), word(4));
        if rest
            .get(..name)
            .is_some_and(|name| name.starts_with(b"Go\0"))
        {
            return true;
        }
        let length = name.saturating_add(3) / 4 * 4;
        let length = length.saturating_add(body.saturating_add(3) / 4 * 4);
        match rest.get(length..) {
            Some(more) => notes = more,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF head with one program header of a type, followed by a note.
    fn elf(kind: u32, note: &[u8]) -> Vec<u8> {
        let mut head = vec![0; 64];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[32..40].copy_from_slice(&64u64.to_le_bytes());
        head[54..56].copy_from_slice(&56u16.to_le_bytes());
        head[56..58].copy_from_slice(&1u16.to_le_bytes());
        head.extend(kind.to_le_bytes());
        head.resize(64 + 56, 0);
        head[72..80].copy_from_slice(&120u64.to_le_bytes());
        head[96..104].copy_from_slice(&(note.len() as u64).to_le_bytes());
        head.extend(note);
        head
    }

    fn note(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut note = 4u32.to_le_bytes().to_vec();
        note.extend((body.len() as u32).to_le_bytes());
        note.extend(4u32.to_le_bytes());
        note.extend(name);
        note.extend(body);
        note.resize(note.len().next_multiple_of(4), 0);
        note
    }

    #[test]
    fn an_interpreter_is_found() {
        let interpreter = |head: &[u8]| linkage(head).map(|linkage| linkage.interpreter);
        assert_eq!(interpreter(&elf(3, b"")), Some(true));
        assert_eq!(interpreter(&elf(1, b"")), Some(false));
        assert_eq!(interpreter(b"#!/bin/sh\n"), None);
    }

    #[test]
    fn go_is_found_among_notes() {
        let go = |note: &[u8]| linkage(&elf(4, note)).unwrap().go;
        assert!(go(&note(b"Go\0\0", b"build id")));
        assert!(go(&[note(b"GNU\0", b"abc"), note(b"Go\0\0", b"")].concat()));
        assert!(!go(&note(b"GNU\0", b"build id")));
        assert!(!go(b""));
    }

    #[test]
    fn any_head_is_read_without_panic() {
        let whole = elf(4, &note(b"GNU\0", b"0123456789abcdef"));
        for len in 0..whole.len() {
            let _ = linkage(&whole[..len]);
        }
        let mut far = elf(1, b"");
        far[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(linkage(&far), None);
        assert!(!has_go_note(&[0xff; 40]));
    }

    #[test]
    fn scripts_lead_to_their_interpreter() {
        let interpreter = |text: &str| script_interpreter(text.as_bytes());
        assert_eq!(interpreter("#!/bin/sh\necho"), Some("/bin/sh".into()));
        assert_eq!(interpreter("#! /bin/sh -e\n"), Some("/bin/sh".into()));
        assert_eq!(interpreter("#!/usr/bin/env sh\n"), find(&"sh".into()));
        let with_options = interpreter("#!/usr/bin/env -S LANG=C sh -e\n");
        assert_eq!(with_options, find(&"sh".into()));
        assert_eq!(interpreter("#!\n"), None);
        assert_eq!(interpreter("\x7fELF"), None);
    }

    #[test]
    fn ordinary_programs_have_no_obstacle() {
        let shell = find(&"sh".into()).unwrap();
        assert_eq!(obstacle(&shell), None);
        assert_eq!(obstacle(Path::new("/nonexistent")), None);
    }
}

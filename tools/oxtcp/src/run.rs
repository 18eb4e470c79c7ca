// SPDX-License-Identifier: GPL-2.0
//! `oxtcp run`: an unmodified program with its TCP sockets moved to oxtcp.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{anyhow, bail, Context, Result};

use crate::family::{require, FamilyArg};

const LIBRARY: &str = "liboxtcp_preload.so";

/// Options of `oxtcp run`.
#[derive(clap::Args)]
pub struct Args {
    /// The program and its arguments
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true,
        value_name = "CMD"
    )]
    command: Vec<OsString>,
    #[command(flatten)]
    family: FamilyArg,
}

/// Becomes the program; returns only when that fails.
pub fn main(args: &Args) -> Result<()> {
    let family = args.family.get();
    require(family)?;
    let library = find_library()?;
    let (program, arguments) = args.command.split_first().context("no program is named")?;
    if let Some(path) = find_program(program) {
        if is_static(&path) {
            bail!(
                "{} is linked statically: no library can be put under it",
                path.display()
            );
        }
    }

    let mut preload = library.into_os_string();
    if let Some(others) = std::env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
        preload.push(":");
        preload.push(others);
    }
    let error = Command::new(program)
        .args(arguments)
        .env("LD_PRELOAD", preload)
        .env("OXTCP_FAMILY", family.number().to_string())
        .exec();
    Err(anyhow!(error).context(format!("cannot run {}", program.to_string_lossy())))
}

/// The library beside this program, where it was built, or where it was installed.
fn find_library() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("cannot tell where this program is")?;
    let dir = exe.parent().unwrap_or(Path::new("/"));
    let places = ["", "../release", "../lib", "../lib/oxtcp"];
    places
        .iter()
        .map(|place| dir.join(place).join(LIBRARY))
        .find(|path| path.exists())
        .and_then(|path| path.canonicalize().ok())
        .with_context(|| {
            format!(
                "{LIBRARY} is not beside {}: build it (cargo build --release -p oxtcp-preload)",
                exe.display()
            )
        })
}

/// The file that `exec` would take for `program`.
fn find_program(program: &OsString) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return Some(path.to_owned());
    }
    let dirs = std::env::var_os("PATH")?;
    std::env::split_paths(&dirs)
        .map(|dir| dir.join(path))
        .find(|path| path.is_file())
}

/// Whether the file is an ELF program without an interpreter: nothing loads a library for it.
/// `false` for what cannot be read.
fn is_static(path: &Path) -> bool {
    let mut head = Vec::new();
    // The program headers follow the ELF header; this is far more than any program has of them.
    let Ok(_) = File::open(path).and_then(|file| file.take(16 << 10).read_to_end(&mut head)) else {
        return false;
    };
    has_interpreter(&head) == Some(false)
}

/// Looks for `PT_INTERP` in a 64-bit little-endian ELF image's head; `None` when it is something
/// else.
fn has_interpreter(head: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let u16_at = |at: usize| Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    if head.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(head.get(32..40)?.try_into().ok()?)).ok()?;
    let (size, count) = (usize::from(u16_at(54)?), usize::from(u16_at(56)?));
    for entry in 0..count {
        let at = table.checked_add(entry * size)?;
        if at > head.len() {
            return None;
        }
        if u32_at(at)? == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF head with one program header of a type.
    fn elf(kind: u32) -> Vec<u8> {
        let mut head = vec![0; 64];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[32..40].copy_from_slice(&64u64.to_le_bytes());
        head[54..56].copy_from_slice(&56u16.to_le_bytes());
        head[56..58].copy_from_slice(&1u16.to_le_bytes());
        head.extend(kind.to_le_bytes());
        head.resize(64 + 56, 0);
        head
    }

    #[test]
    fn an_interpreter_is_found() {
        assert_eq!(has_interpreter(&elf(3)), Some(true));
        assert_eq!(has_interpreter(&elf(1)), Some(false));
        assert_eq!(has_interpreter(b"#!/bin/sh\n"), None);
    }

    #[test]
    fn any_head_is_read_without_panic() {
        let whole = elf(1);
        for len in 0..64 {
            assert_ne!(has_interpreter(&whole[..len]), Some(true));
        }
        let mut far = elf(1);
        far[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(has_interpreter(&far), None);
    }

    #[test]
    fn ordinary_programs_are_not_static() {
        let shell = find_program(&"sh".into()).unwrap();
        assert!(!is_static(&shell));
        assert!(!is_static(Path::new("/nonexistent")));
    }
}

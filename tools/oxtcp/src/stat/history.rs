// SPDX-License-Identifier: GPL-2.0
//! What was read the last time.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::fcntl::OFlag;
use serde_json::{json, Map, Value};

use super::{history_path, Reading};

/// A file of one user's.
pub struct History {
    path: PathBuf,
    /// Whose counters: boot and network namespace.
    whose: String,
}

impl History {
    /// That of the user who runs this program, for the network namespace it is in.
    pub fn of_this_user() -> Result<History> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = fs::metadata("/proc/thread-self/ns/net")
            .context("cannot tell the network namespace")?
            .ino();
        Ok(History {
            path: history_path(nix::unistd::geteuid().as_raw()),
            whose: format!("{} {namespace}", boot.trim()),
        })
    }

    /// The last reading; `None` when there is none, or none of this boot and namespace.
    pub fn load(&self) -> Option<Reading> {
        let mut text = String::new();
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&self.path)
            .ok()?;
        // In a folder that is everybody's, the file could be anybody's.
        if file.metadata().ok()?.uid() != nix::unistd::geteuid().as_raw() {
            return None;
        }
        file.read_to_string(&mut text).ok()?;
        let value: Value = serde_json::from_str(&text).ok()?;
        let reading = value.get(&self.whose)?;
        let counter = |(name, value): (&String, &Value)| Some((name.clone(), value.as_u64()?));
        Some(Reading {
            at: Duration::from_secs_f64(reading.get("at")?.as_f64()?),
            counters: reading
                .get("counters")?
                .as_object()?
                .iter()
                .filter_map(counter)
                .collect(),
        })
    }

    /// Remembers a reading.
    pub fn save(&self, reading: &Reading) -> Result<()> {
        let counters: Map<String, Value> = reading
            .counters
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let text = json!({
            (self.whose.as_str()): { "at": reading.at.as_secs_f64(), "counters": counters }
        });
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&self.path)
            .and_then(|mut file| file.write_all(text.to_string().as_bytes()));
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(name: &str, whose: &str) -> History {
        let name = format!("oxtcp-history-{name}-{}", std::process::id());
        History {
            path: std::env::temp_dir().join(name),
            whose: whose.to_owned(),
        }
    }

    fn reading() -> Reading {
        Reading {
            at: Duration::from_millis(1500),
            counters: vec![("InSegs".into(), u64::MAX), ("OutSegs".into(), 2)],
        }
    }

    #[test]
    fn a_reading_is_kept() {
        let history = history("kept", "boot 1");
        assert_eq!(history.load(), None);
        history.save(&reading()).unwrap();
        let loaded = history.load();
        fs::remove_file(&history.path).unwrap();
        assert_eq!(loaded, Some(reading()));
    }

    #[test]
    fn that_of_another_boot_or_namespace_does_not_count() {
        let ours = history("other", "boot 1");
        ours.save(&reading()).unwrap();
        let loaded = history("other", "boot 2").load();
        fs::remove_file(&ours.path).unwrap();
        assert_eq!(loaded, None);
    }

    #[test]
    fn a_link_is_not_followed() {
        let history = history("link", "boot 1");
        let target = history.path.with_extension("target");
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &history.path).unwrap();
        let saved = history.save(&reading());
        let (loaded, text) = (history.load(), fs::read_to_string(&target).unwrap());
        fs::remove_file(&history.path).unwrap();
        fs::remove_file(&target).unwrap();
        assert!(saved.is_err());
        assert_eq!(loaded, None);
        assert_eq!(text, "precious");
    }

    #[test]
    fn any_file_is_read_without_panic() {
        let history = history("broken", "boot 1");
        for text in [
            "",
            "{",
            "[]",
            "{\"boot 1\": 3}",
            "{\"boot 1\": {\"at\": 1}}",
        ] {
            fs::write(&history.path, text).unwrap();
            assert_eq!(history.load(), None);
        }
        fs::remove_file(&history.path).unwrap();
    }
}

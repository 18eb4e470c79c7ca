// SPDX-License-Identifier: GPL-2.0
//! Who holds which socket.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Processes by the inode of the sockets that they hold.
pub struct Processes(HashMap<u32, Vec<String>>);

impl Processes {
    /// Looks through `/proc`. What may not be looked at is left out.
    pub fn scan() -> Processes {
        let mut holders: HashMap<u32, Vec<String>> = HashMap::new();
        for process in entries(Path::new("/proc")) {
            let Some(pid) = number(&process) else {
                continue;
            };
            let mut command = None;
            for descriptor in entries(&process.join("fd")) {
                let Some(fd) = number(&descriptor) else {
                    continue;
                };
                let Ok(target) = fs::read_link(&descriptor) else {
                    continue;
                };
                let Some(inode) = target.to_str().and_then(socket_inode) else {
                    continue;
                };
                let command = command.get_or_insert_with(|| {
                    fs::read_to_string(process.join("comm"))
                        .unwrap_or_default()
                        .trim()
                        .to_owned()
                });
                holders
                    .entry(inode)
                    .or_default()
                    .push(format!("(\"{command}\",pid={pid},fd={fd})"));
            }
        }
        Processes(holders)
    }

    /// The holders in the words of `ss`, or nothing.
    pub fn describe(&self, inode: u32) -> String {
        match self.0.get(&inode) {
            Some(holders) if inode != 0 => format!("users:({})", holders.join(",")),
            _ => String::new(),
        }
    }
}

fn entries(dir: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

fn number(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

/// The inode in `socket:[4711]`.
fn socket_inode(target: &str) -> Option<u32> {
    target
        .strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::linux::fs::MetadataExt;

    #[test]
    fn only_sockets_have_a_socket_inode() {
        assert_eq!(socket_inode("socket:[4711]"), Some(4711));
        assert_eq!(socket_inode("pipe:[4711]"), None);
        assert_eq!(socket_inode("/tmp/socket:[1]"), None);
    }

    #[test]
    fn a_socket_of_ours_is_found() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = socket.as_raw_fd();
        let inode = fs::metadata(format!("/proc/self/fd/{fd}"))
            .unwrap()
            .st_ino();
        let found = Processes::scan().describe(inode as u32);
        assert!(
            found.contains(&format!("pid={},fd={fd})", std::process::id())),
            "{found}"
        );
    }

    #[test]
    fn a_socket_without_inode_has_no_holder() {
        assert_eq!(
            Processes(HashMap::from([(0, vec!["x".into()])])).describe(0),
            ""
        );
    }
}

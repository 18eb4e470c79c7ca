// SPDX-License-Identifier: GPL-2.0
//! Names of control groups.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const ROOT: &str = "/sys/fs/cgroup";

/// Paths of the cgroups, by their inodes.
pub struct Cgroups(HashMap<u64, String>);

impl Cgroups {
    /// Looks through the cgroup file system; nothing has a name where there is none.
    pub fn scan() -> Cgroups {
        Cgroups::scan_from(Path::new(ROOT))
    }

    fn scan_from(root: &Path) -> Cgroups {
        let mut names = HashMap::new();
        if let Ok(metadata) = root.metadata() {
            names.insert(metadata.ino(), "/".to_owned());
        }
        let mut waiting = vec![root.to_owned()];
        while let Some(dir) = waiting.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                // A link would lead elsewhere, and round in a circle.
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                let path = entry.path();
                if let Ok(name) = path.strip_prefix(root) {
                    names.insert(entry.ino(), format!("/{}", name.display()));
                }
                waiting.push(path);
            }
        }
        Cgroups(names)
    }

    /// The path of a cgroup under the root of all, or that it has none here.
    pub fn name(&self, inode: u64) -> String {
        self.0
            .get(&inode)
            .cloned()
            .unwrap_or_else(|| format!("unreachable:{inode:x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_have_their_paths() {
        let root = std::env::temp_dir().join(format!("oxtcp-cgroups-{}", std::process::id()));
        fs::create_dir_all(root.join("a/b")).unwrap();
        let inode = root.join("a/b").metadata().unwrap().ino();
        let top = root.metadata().unwrap().ino();
        let cgroups = Cgroups::scan_from(&root);
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(cgroups.name(inode), "/a/b");
        assert_eq!(cgroups.name(top), "/");
        assert_eq!(cgroups.name(0), "unreachable:0");
    }
}

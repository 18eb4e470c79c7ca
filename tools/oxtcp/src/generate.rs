// SPDX-License-Identifier: GPL-2.0
//! Man pages and shell completions, from the command line's own definition. Hidden: `make install`
//! calls it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::Cli;

/// Options of `oxtcp generate`.
#[derive(clap::Args)]
pub struct Args {
    /// Where man1/ and completions/ are made
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes the files.
pub fn main(args: &Args) -> Result<()> {
    let man = args.folder.join("man1");
    let completions = args.folder.join("completions");
    for folder in [&man, &completions] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    write_page(&man, &command, "oxtcp")?;
    for sub in command.get_subcommands().filter(|sub| is_shown(sub)) {
        let name = format!("oxtcp-{}", sub.get_name());
        // In a usage line it stands as it is typed.
        let page = sub.clone().bin_name(format!("oxtcp {}", sub.get_name()));
        write_page(&man, &page.display_name(name.clone()), &name)?;
    }
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut visible(), "oxtcp", &completions)
            .with_context(|| format!("cannot write to {}", completions.display()))?;
    }
    Ok(())
}

fn is_shown(command: &Command) -> bool {
    !command.is_hide_set()
}

/// The commands that are offered to a person.
fn visible() -> Command {
    let all = Cli::command();
    let shown: Vec<Command> = all
        .get_subcommands()
        .filter(|c| is_shown(c))
        .cloned()
        .collect();
    Command::new("oxtcp")
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .subcommands(shown)
}

fn write_page(folder: &Path, command: &Command, name: &str) -> Result<()> {
    let path = folder.join(format!("{name}.1"));
    let mut page = Vec::new();
    let man = Man::new(command.clone().version(env!("CARGO_PKG_VERSION")))
        .title(name)
        .section("1")
        .manual("oxtcp")
        .source(format!("oxtcp {}", env!("CARGO_PKG_VERSION")));
    man.render(&mut page)
        .and_then(|()| fs::write(&path, finished(&page, name)))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The text behind a command's options keeps its lines; then what else there is to read.
fn finished(page: &[u8], name: &str) -> String {
    let mut text = String::new();
    let mut kept = false;
    for line in String::from_utf8_lossy(page).lines() {
        if kept && line.starts_with(".SH ") {
            kept = false;
            text += ".fi\n";
        }
        if line == ".SH EXTRA" {
            kept = true;
            text += ".SH NOTES\n.nf\n";
        } else if !(kept && line == ".PP") {
            text += line;
            text += "\n";
        }
    }
    let others = match name {
        "oxtcp-ss" => ", ss(8)",
        "oxtcp-stat" => ", nstat(8)",
        _ => "",
    };
    if kept {
        text += ".fi\n";
    }
    text + &format!(".SH \"SEE ALSO\"\noxtcp(1), oxtcp(7){others}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_shells_know_it() {
        let folder = std::env::temp_dir().join(format!("oxtcp-generate-{}", std::process::id()));
        main(&Args {
            folder: folder.clone(),
        })
        .unwrap();
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let pages = [
            "ss", "stat", "trace", "monitor", "listen", "connect", "run", "demo",
        ]
        .map(|name| read(&format!("man1/oxtcp-{name}.1")));
        let (top, bash) = (read("man1/oxtcp.1"), read("completions/oxtcp.bash"));
        let hidden = folder.join("man1/oxtcp-supervise.1").exists();
        fs::remove_dir_all(&folder).unwrap();
        assert!(pages.iter().all(|page| page.contains(".SH OPTIONS")));
        assert!(pages[0].contains("state STATE"), "{}", pages[0]);
        assert!(!pages[0].contains("EXTRA"));
        assert_eq!(
            pages[0].matches(".nf").count(),
            pages[0].matches(".fi").count()
        );
        assert!(top.contains("monitor") && !top.contains("supervise"));
        assert!(!top.contains("help(1)"));
        assert!(bash.contains("monitor") && !bash.contains("supervise"));
        assert!(!hidden);
    }
}

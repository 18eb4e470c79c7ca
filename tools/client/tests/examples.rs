// SPDX-License-Identifier: GPL-2.0
//! The examples run. With `OXTCP_FAMILY` set they run on that family, else on `AF_INET`.

use std::path::Path;
use std::process::Command;

/// What an example, run to its end, has said of what came back.
fn answer_of(command: &mut Command) -> String {
    if std::env::var_os("OXTCP_FAMILY").is_none() {
        command.env("OXTCP_FAMILY", "2");
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_once(": ").unwrap().1.to_owned()
}

/// An example, which cargo builds beside the tests.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().and_then(Path::parent).unwrap();
    Command::new(target.join("examples").join(name))
}

#[test]
fn echo_under_tokio() {
    assert_eq!(answer_of(&mut example("tokio_echo")), "there and back\n");
}

#[test]
fn echo_under_mio() {
    assert_eq!(answer_of(&mut example("mio_echo")), "there and back\n");
}

#[test]
fn echo_in_python() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/echo.py");
    let mut python = Command::new("python3");
    assert_eq!(answer_of(python.arg(script)), "there and back\n");
}

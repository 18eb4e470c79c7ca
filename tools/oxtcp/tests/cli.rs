// SPDX-License-Identifier: GPL-2.0
//! The program as a user calls it, with `AF_INET` so that it also runs where the module is not
//! loaded.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

fn oxtcp(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oxtcp"));
    command.args(args).env_remove("OXTCP_FAMILY");
    command
}

fn output(args: &[&str]) -> Output {
    oxtcp(args).stdin(Stdio::null()).output().unwrap()
}

/// Ends the program with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a listener on a free port; its second value is the address it tells.
fn listen(options: &[&str], stdin: Stdio) -> (Running, String) {
    let args = [
        &["listen", "--family", "inet", "-v", "127.0.0.1", "0"],
        options,
    ]
    .concat();
    let mut command = oxtcp(&args);
    command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = Running(command.spawn().unwrap());
    let mut line = String::new();
    let mut stderr = BufReader::new(child.0.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    // Nobody reads it from here on; it must not be a broken pipe.
    std::thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
    let address = line.split_whitespace().nth(3).unwrap().to_owned();
    (child, address)
}

#[test]
fn listen_and_connect_join_their_streams() {
    let (mut server, address) = listen(&[], Stdio::piped());
    let mut client = Running(
        oxtcp(&["connect", "--family", "inet", &address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let sent: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    let (mut to_server, mut to_client) = (
        client.0.stdin.take().unwrap(),
        server.0.stdin.take().unwrap(),
    );
    let (copy, back) = (sent.clone(), b"answer".to_vec());
    let writing = std::thread::spawn(move || {
        to_client.write_all(&back).unwrap();
        to_server.write_all(&copy).unwrap();
    });
    let (mut at_server, mut at_client) = (Vec::new(), Vec::new());
    server
        .0
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut at_server)
        .unwrap();
    client
        .0
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut at_client)
        .unwrap();
    writing.join().unwrap();
    assert!(at_server == sent);
    assert_eq!(at_client, b"answer");
    assert!(server.0.wait().unwrap().success());
    assert!(client.0.wait().unwrap().success());
}

#[test]
fn echo_serves_many_at_once() {
    let (_server, address) = listen(&["-k", "--echo"], Stdio::null());
    let mut clients: Vec<_> = (0..3)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    for (n, client) in clients.iter_mut().enumerate().rev() {
        client.write_all(&[n as u8; 100]).unwrap();
        let mut back = [0; 100];
        client.read_exact(&mut back).unwrap();
        assert_eq!(back, [n as u8; 100]);
    }
}

#[test]
fn ss_shows_a_listener_with_its_queues_and_holder() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let _waiting = TcpStream::connect(&address).unwrap();
    let shown = output(&["ss", "--family", "inet", "-lnp", "--syn-queue"]);
    assert!(shown.status.success());
    let text = String::from_utf8(shown.stdout).unwrap();
    let row = text.lines().find(|line| line.contains(&address)).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    // One to accept; the length that std asks for, or the system's limit; none half-open.
    assert_eq!((cells[0], cells[1], cells[3]), ("LISTEN", "1", "0"));
    assert!(
        row.contains(&format!("pid={}", std::process::id())),
        "{row}"
    );
}

#[test]
fn ss_shows_a_connection_and_what_tcp_knows() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let address = client.local_addr().unwrap().to_string();
    let shown = output(&["ss", "--family", "inet", "-niH"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    let mut lines = text.lines().skip_while(|line| !line.contains(&address));
    assert!(lines.next().unwrap().starts_with("ESTAB"));
    assert!(lines.next().unwrap().contains("cwnd:"));
}

/// Words of the lines that a command prints; `None` where there is no such command.
fn words(command: &mut Command) -> Option<Vec<String>> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.split_whitespace().map(str::to_owned).collect())
}

#[test]
fn ss_prints_what_the_systems_own_does() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (&client).write_all(b"unread").unwrap();
    server.peek(&mut [0; 6]).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let port = listener.local_addr().unwrap().port();
    for filter in [
        format!("sport = :{port}"),
        format!("state close-wait ( sport = :{port} or dport = :{port} )"),
        format!("exclude listening src 127.0.0.0/8:{port}"),
    ] {
        for options in ["-tanpoe", "-tanOm"] {
            let filter: Vec<&str> = filter.split(' ').collect();
            let Some(theirs) = words(Command::new("ss").arg(options).args(&filter)) else {
                return;
            };
            let ours = words(oxtcp(&["ss", "--family", "inet", options]).args(&filter)).unwrap();
            assert_eq!(ours, theirs, "{options} {filter:?}");
        }
    }
}

#[test]
fn monitor_prints_a_view() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let once = [
        "monitor",
        "--family",
        "inet",
        "--once",
        "--interval",
        "0.05",
    ];
    let shown = output(&once);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success());
    assert!(
        text.contains(&client.local_addr().unwrap().to_string()),
        "{text}"
    );
}

#[test]
fn run_by_seccomp_is_the_program_itself() {
    let run = ["run", "--seccomp", "--family", "inet"];
    let child = oxtcp(&[&run[..], &["sh", "-c", "echo $$; exit 7"]].concat())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id().to_string();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), id);
}

#[test]
fn run_by_seccomp_gives_sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connects = format!(
        "import socket; s = socket.create_connection(('127.0.0.1', {port})); s.sendall(b'hello')"
    );
    let run = ["run", "--seccomp", "--family", "inet", "python3", "-c"];
    let mut child = Running(oxtcp(&[&run[..], &[&connects]].concat()).spawn().unwrap());
    let mut got = String::new();
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_to_string(&mut got).unwrap();
    assert_eq!(got, "hello");
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn run_refuses_ipv6_where_ipv4_alone_is_asked_for() {
    let run = [
        "run",
        "--seccomp",
        "-4",
        "--family",
        "inet",
        "python3",
        "-c",
    ];
    let asks = "import socket; socket.socket(socket.AF_INET6)";
    let failed = output(&[&run[..], &[asks]].concat());
    let text = String::from_utf8(failed.stderr).unwrap();
    assert!(text.contains("Address family not supported"), "{text}");
}

#[test]
fn a_missing_module_is_said() {
    for args in [
        &["listen", "--family", "255", "0"][..],
        &["connect", "--family", "255", "127.0.0.1", "1"],
        &["run", "--family", "255", "true"],
    ] {
        let failed = output(args);
        let text = String::from_utf8(failed.stderr).unwrap();
        assert!(!failed.status.success());
        assert!(text.contains("module is not loaded"), "{text}");
    }
    let failed = output(&["ss", "--family", "45"]);
    assert!(!failed.status.success());
    assert!(String::from_utf8(failed.stderr)
        .unwrap()
        .contains("is the module loaded?"));
    if !std::path::Path::new("/proc/net/oxtcp_stat").exists() {
        let failed = output(&["stat"]);
        assert!(!failed.status.success());
        assert!(String::from_utf8(failed.stderr)
            .unwrap()
            .contains("is the module loaded?"));
    }
}

#[test]
fn wrong_use_is_status_2() {
    for args in [
        &["listen"][..],
        &["ss", "--family", "x"],
        &["frobnicate"],
        &["stat", "[", "-p"],
        &["monitor", "--interval", "0"],
        &["trace", "--json", "--diagram"],
        &[],
    ] {
        assert_eq!(output(args).status.code(), Some(2), "{args:?}");
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What the command `oxtcp` shows of sockets, and does to them. It is taken from PATH.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use crate::runner::Test;
use crate::sockets::{listen, pair, Stack, COMBINATIONS};

/// All tests, by name.
pub const TESTS: &[Test] = &[
    ("tool_ss_shows_a_connection", ss_shows_a_connection),
    ("tool_ss_filters", ss_filters),
    ("tool_ss_kills", ss_kills),
    (
        "tool_ss_kills_what_is_no_socket",
        ss_kills_what_is_no_socket,
    ),
    (
        "tool_stat_tells_what_came_since",
        stat_tells_what_came_since,
    ),
    ("tool_trace_tells_states_and_segments", trace_tells_states),
    ("tool_trace_draws", trace_draws),
    ("tool_trace_leaves_no_buffer", trace_leaves_no_buffer),
    (
        "tool_monitor_shows_a_connection",
        monitor_shows_a_connection,
    ),
    ("tool_run_preloads", run_preloads),
    ("tool_run_tells_what_cannot_be_moved", run_tells),
    ("tool_run_seccomp_moves_static_programs", run_seccomp_moves),
    (
        "tool_run_seccomp_is_the_program",
        run_seccomp_is_the_program,
    ),
];

fn oxtcp<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("oxtcp");
    command.args(arguments).stdin(Stdio::null());
    // The family under test, whatever its number.
    if let Ok(family) = std::env::var("SELFTEST_FAMILY") {
        command.env("OXTCP_FAMILY", family);
    }
    command
}

fn output(arguments: &[&str]) -> Output {
    oxtcp(arguments).output().expect("oxtcp")
}

/// What it prints; it must succeed.
fn text(arguments: &[&str]) -> String {
    let output = output(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A file in memory, gone with this.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let name = format!("oxtcp-selftest-{name}-{}", std::process::id());
        Scratch(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ss_shows_a_connection() {
    let (mut server, client) = pair(Stack::Own, Stack::Own);
    (&client).write_all(b"unread").unwrap();
    server.peek(&mut [0; 6]).unwrap();
    let local = server.local_addr().unwrap();
    let shown = text(&["ss", "-tanpieomOH", &format!("sport = :{}", local.port())]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 1, "{shown}");
    let cells: Vec<&str> = lines[0].split_whitespace().collect();
    let peer = server.peer_addr().unwrap();
    assert_eq!(
        cells[..5],
        ["ESTAB", "6", "0", &local.to_string(), &peer.to_string()]
    );
    let holder = format!("pid={}", std::process::id());
    for part in [
        &holder,
        "ino:",
        " sk:",
        "<->",
        "skmem:(r",
        "cwnd:",
        "rtt:",
        "bytes_received:6",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    server.read_exact(&mut [0; 6]).unwrap();
}

fn ss_filters() {
    let (server, _client) = pair(Stack::Own, Stack::Own);
    let port = server.local_addr().unwrap().port();
    let count = |filter: &str| text(&["ss", "-anH", filter]).lines().count();
    assert_eq!(count(&format!("sport = :{port}")), 1);
    assert_eq!(count(&format!("sport = :{port} or dport = :{port}")), 2);
    assert_eq!(count(&format!("state established sport = :{port}")), 1);
    assert_eq!(count(&format!("exclude established sport = :{port}")), 0);
    assert_eq!(count("dst 127.0.0.0/8 and not src 10.0.0.0/8"), 2);
    assert_eq!(count("state listening"), 0);
    let _listener = listen(Stack::Own);
    assert_eq!(count("state listening"), 1);
    assert_eq!(text(&["ss", "-lnH"]).lines().count(), 1);
    let wrong = output(&["ss", "sport", "=", ":nowhere"]);
    assert!(!wrong.status.success());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("no service"));
}

fn ss_kills() {
    for (server, client) in COMBINATIONS {
        let (mut server, mut client) = pair(server, client);
        let port = server.local_addr().unwrap().port();
        let filter = format!("sport = :{port} or dport = :{port}");
        let ended = text(&["ss", "-nHK", &filter]);
        // Of the end that is AF_INET's it knows nothing.
        assert!((1..=2).contains(&ended.lines().count()), "{ended}");
        let ends = [&mut server, &mut client].map(|end| end.read(&mut [0]));
        assert!(ends.iter().all(Result::is_err), "{ends:?}");
        assert_eq!(text(&["ss", "-anH", &filter]), "");
    }
    let nothing = output(&["ss", "-K", "sport = :1"]);
    assert!(!nothing.status.success());
}

/// A listener that waits for data, and a client that sends none.
const HALF_OPEN: &str = "import os, socket, sys
made = socket.socket(int(os.environ['OXTCP_FAMILY']), socket.SOCK_STREAM)
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=made.detach())
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
listener.bind(('127.0.0.1', 0))
listener.listen()
client = socket.create_connection(listener.getsockname())
print('ready', flush=True)
sys.stdin.read()";

fn ss_kills_what_is_no_socket() {
    let (mut server, client) = pair(Stack::Own, Stack::Inet);
    server.shutdown(Shutdown::Write).unwrap();
    drop(client);
    server.read_exact(&mut [0]).unwrap_err();
    drop(server);
    while !text(&["ss", "-anH"]).starts_with("TIME-WAIT") {}
    assert_eq!(
        text(&["ss", "-KnH", "state", "time-wait"]).lines().count(),
        1
    );
    assert_eq!(text(&["ss", "-anH"]), "");

    let family = std::env::var("SELFTEST_FAMILY").unwrap_or("25".into());
    let mut python = Command::new("python3");
    python.args(["-c", HALF_OPEN]).env("OXTCP_FAMILY", family);
    python.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = Running(python.spawn().expect("python3"));
    let mut ready = [0; 6];
    let out = python.0.stdout.as_mut().unwrap();
    out.read_exact(&mut ready).expect("a half-open connection");
    assert_eq!(
        text(&["ss", "-KnH", "state", "syn-recv"]).lines().count(),
        1
    );
    assert_eq!(text(&["ss", "-anH", "state", "syn-recv"]), "");
    drop(python.0.stdin.take());
    assert!(python.0.wait().unwrap().success());
}

fn stat_tells_what_came_since() {
    let history = Scratch::new("stat");
    let stat = |arguments: &[&str]| {
        let mut command = oxtcp([&["stat"], arguments].concat());
        command.env("OXTCP_STAT_HISTORY", &history.0);
        String::from_utf8(command.output().expect("oxtcp").stdout).unwrap()
    };
    stat(&["-n"]);
    drop(pair(Stack::Own, Stack::Inet));
    let lines = stat(&["-z", "*opens"]);
    let value = |name: &str| {
        let line = lines.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(value("PassiveOpens"), "1");
    assert_eq!(value("ActiveOpens"), "0");
    assert!(!stat(&["-j", "*opens"]).contains("PassiveOpens"));
    assert!(stat(&["-j", "-a", "*opens"]).contains("\"PassiveOpens\":1"));
    assert!(stat(&["-z", "-d"]).contains("DropPaws "));
}

/// Runs a trace of a connection to `to`, made by `oxtcp connect` while it runs.
fn trace(options: &[&str], to: SocketAddr) -> String {
    let to = to.to_string();
    text(&[&["trace"], options, &["--", "oxtcp", "connect", &to]].concat())
}

/// A server of one connection, which it ends at once.
fn brief_server(stack: Stack) -> (SocketAddr, std::thread::JoinHandle<()>) {
    let listener = listen(stack);
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        listener.accept().expect("accept");
    });
    (address, serving)
}

fn trace_tells_states() {
    let (address, serving) = brief_server(Stack::Own);
    let shown = trace(&["--json", "-S"], address);
    serving.join().unwrap();
    let has = |parts: &[&str]| {
        shown
            .lines()
            .any(|line| parts.iter().all(|part| line.contains(part)))
    };
    let peer = format!("\"peer\":\"{address}\"");
    let local = format!("\"local\":\"{address}\"");
    assert!(has(&["\"new\":\"SYN-SENT\"", &peer]), "{shown}");
    assert!(
        has(&["\"new\":\"SYN-RECEIVED\"", "\"of\":\"entry\"", &local]),
        "{shown}"
    );
    assert!(has(&["\"new\":\"ESTABLISHED\"", &peer]), "{shown}");
    assert!(has(&["\"new\":\"ESTABLISHED\"", &local]), "{shown}");
    assert!(has(&["\"event\":\"segment\"", "[\"SYN\"]"]), "{shown}");
    assert!(
        has(&["\"event\":\"segment\"", "[\"SYN\",\"ACK\"]"]),
        "{shown}"
    );
}

fn trace_draws() {
    let drawing = Scratch::new("svg");
    let (address, serving) = brief_server(Stack::Own);
    let file = drawing.0.to_str().unwrap();
    let filter = format!("dport = :{0} or sport = :{0}", address.port());
    let shown = trace(&["-d", "--svg", file, &filter], address);
    serving.join().unwrap();
    // Each segment once, in the order in which they went.
    let syn = shown.find("- SYN seq=0").expect("a SYN");
    let answer = shown.find("<- SYN,ACK seq=0 ack=1").expect("its answer");
    assert!(syn < answer, "{shown}");
    assert_eq!(shown.matches("SYN seq=0").count(), 1, "{shown}");
    for state in [
        "SYN-SENT |",
        "| SYN-RECEIVED",
        "ESTABLISHED |",
        "| ESTABLISHED",
        "FIN-WAIT-1",
    ] {
        assert!(shown.contains(state), "{state}: {shown}");
    }
    let svg = std::fs::read_to_string(&drawing.0).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(svg.contains(&format!(">{address}</text>")), "{svg}");
    assert!(svg.contains("SYN,ACK seq=0 ack=1"), "{svg}");
}

fn trace_leaves_no_buffer() {
    text(&["trace", "--time", "0"]);
    let failed = output(&["trace", "--", "sh", "-c", "exit 3"]);
    assert!(!failed.status.success());
    let left = std::fs::read_dir("/sys/kernel/tracing/instances").unwrap();
    let left: Vec<_> = left.flatten().map(|entry| entry.file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn monitor_shows_a_connection() {
    let (mut server, mut client) = pair(Stack::Own, Stack::Inet);
    let peer = server.peer_addr().unwrap().to_string();
    let monitor = Running(
        oxtcp(["monitor", "--once", "--interval", "0.5", "--size", "130x20"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("oxtcp"),
    );
    let mut monitor = monitor;
    let mut shown = String::new();
    let mut out = monitor.0.stdout.take().unwrap();
    let reading = std::thread::spawn(move || {
        out.read_to_string(&mut shown).unwrap();
        shown
    });
    // Something moves for as long as it looks.
    while !reading.is_finished() {
        client.write_all(&[1; 1000]).unwrap();
        server.read_exact(&mut [0; 1000]).unwrap();
    }
    let shown = reading.join().unwrap();
    let row = shown
        .lines()
        .find(|line| line.contains(&peer))
        .expect("a row");
    assert!(row.starts_with("ESTAB"), "{row}");
    assert!(row.contains("bps"), "{row}");
    assert!(shown.contains("1 connections"), "{shown}");
    assert!(!shown.contains("in 0bps"), "{shown}");
}

/// What `program`, under `oxtcp run` with options, has as its connection to a listener of ours.
fn connection_of(options: &[&str], program: &[&str]) -> (TcpStream, Running, String) {
    let listener = listen(Stack::Inet);
    let port = listener.local_addr().unwrap().port().to_string();
    let arguments = [&["run"], options, program, &["127.0.0.1", &port]].concat();
    let running = Running(
        oxtcp(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("oxtcp"),
    );
    let (stream, _) = listener.accept().expect("accept");
    let listed = text(&["ss", "-tnHp", &format!("dport = :{port}")]);
    (stream, running, listed)
}

/// A client in Python, which is linked to the C library as most programs are.
const PYTHON: &str = "import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as s: s.recv(1)";

fn run_preloads() {
    let (stream, mut running, listed) = connection_of(&[], &["python3", "-c", PYTHON]);
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(listed.contains("\"python3\""), "{listed}");
    drop(stream);
    assert!(running.0.wait().unwrap().success());
    // What it runs is moved as well.
    let shell = ["sh", "-c", "python3 -c \"$0\" \"$@\"; exit $?", PYTHON];
    let (stream, mut running, listed) = connection_of(&[], &shell);
    assert_eq!(listed.lines().count(), 1, "{listed}");
    drop(stream);
    assert!(running.0.wait().unwrap().success());
}

fn run_tells() {
    let refused = output(&["run", "busybox", "true"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success());
    assert!(said.contains("linked statically"), "{said}");
    assert!(said.contains("--seccomp"), "{said}");
    let missing = output(&["run", "/nonexistent"]);
    let said = String::from_utf8_lossy(&missing.stderr);
    assert!(said.contains("cannot run /nonexistent"), "{said}");
}

fn run_seccomp_moves() {
    let (mut stream, mut running, listed) = connection_of(&["--seccomp"], &["busybox", "nc"]);
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(listed.contains("\"busybox\""), "{listed}");
    let mut stdin = running.0.stdin.take().unwrap();
    stdin.write_all(b"hello").unwrap();
    let mut got = [0; 5];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
    drop(stream);
    assert!(running.0.wait().unwrap().success());
}

/// Same process, no child that it does not know of, its own exit status.
fn run_seccomp_is_the_program() {
    let arguments = ["run", "--seccomp", "sh", "-c", "echo $$; exit 7"];
    let running = oxtcp(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("oxtcp");
    let id = running.id();
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        id.to_string()
    );
    let waits = "import os\ntry: os.wait()\nexcept ChildProcessError: print('none')";
    assert_eq!(
        text(&["run", "--seccomp", "python3", "-c", waits]),
        "none\n"
    );
}

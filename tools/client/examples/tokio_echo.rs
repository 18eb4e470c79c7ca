// SPDX-License-Identifier: GPL-2.0
//! An echo server and its client under tokio, over oxtcp's sockets.
//!
//! `cargo run --example tokio_echo`; with `OXTCP_FAMILY=2` over the kernel's own TCP.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A listener of oxtcp as one of tokio.
fn listen(addr: &str) -> io::Result<TcpListener> {
    let listener = oxtcp::TcpListener::bind(addr)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener.into_std())
}

/// A connection of oxtcp as one of tokio. Making it waits; what comes after does not.
async fn connect(addr: std::net::SocketAddr) -> io::Result<TcpStream> {
    let connecting = tokio::task::spawn_blocking(move || oxtcp::TcpStream::connect(addr));
    let stream = connecting.await.map_err(io::Error::other)??;
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream.into_std())
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let listener = listen("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let serving = tokio::spawn(async move {
        let (stream, _peer) = listener.accept().await?;
        echo(stream).await
    });

    let mut client = connect(addr).await?;
    client.write_all(b"there and back").await?;
    client.shutdown().await?;
    let mut text = String::new();
    client.read_to_string(&mut text).await?;
    serving.await.map_err(io::Error::other)??;
    println!("{addr}: {text}");
    Ok(())
}

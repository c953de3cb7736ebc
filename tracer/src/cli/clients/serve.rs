//! `clients --metrics`: the sums over HTTP, for those who collect them.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rmapscope::Error;
use rmapscope::clients::{CONTENT_TYPE, Looks, Metrics, Tracker};
use rmapscope::session::endings::{Endings, cannot_wait};
use tokio::net::TcpListener;

use super::super::live::runtime;
use super::Clients;

/// Most bytes of a request, and how long one may take.
const MOST_REQUEST: usize = 8 << 10;
const PATIENCE: Duration = Duration::from_secs(2);

/// An address, or a port of this machine's own.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| "expected a port, or IP:PORT".to_owned())
}

/// Answers until a signal. A request makes a look when the last one is older than the interval.
pub fn run(clients: &Clients<'_>, address: SocketAddr) -> Result<u8, Error> {
    runtime()?.block_on(serve(clients, address))
}

async fn serve(clients: &Clients<'_>, address: SocketAddr) -> Result<u8, Error> {
    let mut endings = Endings::listen().map_err(cannot_wait)?;
    let bound = TcpListener::bind(address).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) = bound.map_err(|error| {
        Error::failure(format!("cannot listen on {address}: {error}"), "choose another port")
    })?;
    let (looks, tracker, metrics) = (Looks::default(), Tracker::default(), Metrics::default());
    let mut server = Server { clients, looks, tracker, metrics, looked: None };
    // What cannot be looked at at all is said now, not to whoever asks.
    server.look()?;
    clients.status.note(&format!("metrics at http://{address}/metrics"));
    if !address.ip().is_loopback() {
        clients.status.note("anybody who can reach this address can read them");
    }
    loop {
        let accepted = tokio::select! {
            biased;
            _ = endings.next() => return Ok(0),
            accepted = listener.accept() => accepted,
        };
        // One that fails concerns its sender alone.
        let answered =
            accepted.and_then(|(stream, _)| stream.into_std()).and_then(|stream| server.answer(stream));
        if let Err(error) = answered {
            clients.status.detail(&format!("a request failed: {error}"));
        }
    }
}

struct Server<'a> {
    clients: &'a Clients<'a>,
    looks: Looks,
    tracker: Tracker,
    metrics: Metrics,
    looked: Option<Instant>,
}

impl Server<'_> {
    fn look(&mut self) -> Result<(), Error> {
        if self.looked.is_some_and(|looked| looked.elapsed() < self.clients.args.interval) {
            return Ok(());
        }
        let look = self.clients.look(&mut self.looks)?;
        if self.looked.replace(Instant::now()).is_none() {
            self.clients.introduce(&look);
        }
        self.metrics.add(&self.tracker.next(look));
        Ok(())
    }

    fn answer(&mut self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let request = read(&mut stream)?;
        let mut words = request.split(' ');
        let (status, kind, body) = match (words.next(), words.next()) {
            (Some("GET"), Some("/metrics")) => match self.look() {
                Ok(()) => ("200 OK", CONTENT_TYPE, self.metrics.text().map_err(io::Error::other)?),
                Err(error) => ("500 Internal Server Error", PLAIN, format!("{error}\n")),
            },
            (Some("GET"), _) => ("404 Not Found", PLAIN, "see /metrics\n".to_owned()),
            _ => ("405 Method Not Allowed", PLAIN, "only GET\n".to_owned()),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// The first line of a request, when all of its head is there.
fn read(stream: &mut TcpStream) -> io::Result<String> {
    let began = Instant::now();
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let left = PATIENCE.checked_sub(began.elapsed()).filter(|left| !left.is_zero());
        let left = left.ok_or(io::ErrorKind::TimedOut)?;
        stream.set_read_timeout(Some(left))?;
        let length = stream.read(&mut part)?;
        if length == 0 || head.len() > MOST_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.extend_from_slice(&part[..length]);
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_this_machines_own() {
        assert_eq!(address("9100"), Ok("127.0.0.1:9100".parse().unwrap()));
        assert_eq!(address("[::1]:9100"), Ok("[::1]:9100".parse().unwrap()));
        assert!(address("0.0.0.0:80").is_ok_and(|address| !address.ip().is_loopback()));
        for text in ["", "localhost:80", "127.0.0.1", "65536"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}

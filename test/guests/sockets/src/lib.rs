//! The guest that talks to the world by the standard library's sockets, as client and as server, over
//! TCP and UDP. One path each; the address comes in the query, `?at=host:port`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct Sockets;
wasip2::http::proxy::export!(Sockets);

impl wasip2::exports::http::incoming_handler::Guest for Sockets {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let at = query.split_once('=').map_or("", |(_, value)| value);
        let answered = match path {
            "/ask" => ask(at),
            "/serve" => serve(at),
            "/pump" => pump(at),
            "/ask-udp" => ask_udp(at),
            "/serve-udp" => serve_udp(at),
            "/resolve" => resolve(at),
            "/connect" => TcpStream::connect(at).map(|_| "connected".into()),
            "/leak" => leak(at),
            "/last-words" => last_words(at),
            _ => Ok("no such path".into()),
        };
        respond(out, answered.unwrap_or_else(|error| format!("{:?}", error.kind())).as_bytes());
    }
}

/// Asks, says that that was all, and hears the answer out.
fn ask(at: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(at)?;
    let (here, there) = (stream.local_addr()?, stream.peer_addr()?);
    assert!(here.port() != 0 && here != there);
    stream.set_nodelay(true)?;
    stream.write_all(b"a question")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Tells on standard output where it can be reached, and answers one connection in capitals.
fn serve(at: &str) -> io::Result<String> {
    let listener = TcpListener::bind(at)?;
    println!("listening on {}", listener.local_addr()?);
    let (mut stream, peer) = listener.accept()?;
    let mut question = String::new();
    stream.read_to_string(&mut question)?;
    stream.write_all(question.to_uppercase().as_bytes())?;
    Ok(format!("served {}", peer.ip()))
}

/// Megabytes out and back through an echo, in pieces of odd sizes.
fn pump(at: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(at)?;
    let content: Vec<u8> = (0..3_000_000u32).map(|index| (index % 251) as u8).collect();
    let mut back = Vec::new();
    for piece in content.chunks(77_777) {
        stream.write_all(piece)?;
        let mut echoed = vec![0; piece.len()];
        stream.read_exact(&mut echoed)?;
        back.extend(echoed);
    }
    stream.shutdown(Shutdown::Write)?;
    Ok(format!("{} {}", back == content, stream.read(&mut [0; 10])?))
}

fn ask_udp(at: &str) -> io::Result<String> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.send_to(b"a question", at)?;
    let mut buffer = [0; 1500];
    let (length, from) = socket.recv_from(&mut buffer)?;
    socket.connect(from)?;
    socket.send(b"thanks")?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into())
}

fn serve_udp(at: &str) -> io::Result<String> {
    let socket = UdpSocket::bind(at)?;
    println!("listening on {}", socket.local_addr()?);
    let mut buffer = [0; 1500];
    let (length, from) = socket.recv_from(&mut buffer)?;
    let answer = String::from_utf8_lossy(&buffer[..length]).to_uppercase();
    socket.send_to(answer.as_bytes(), from)?;
    Ok(format!("served {length}"))
}

fn resolve(at: &str) -> io::Result<String> {
    let mut found: Vec<String> = at.to_socket_addrs()?.map(|address| address.to_string()).collect();
    found.sort();
    found.dedup();
    Ok(found.join(" "))
}

/// Keeps a connection open when the call is over.
fn leak(at: &str) -> io::Result<String> {
    std::mem::forget(TcpStream::connect(at)?);
    Ok("leaked".into())
}

/// Everything that was written arrives, although nobody waits for it.
fn last_words(at: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(at)?;
    stream.write_all(&vec![b'x'; 1_000_000])?;
    Ok("written".into())
}

fn respond(out: ResponseOutparam, content: &[u8]) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let mut stream = body.write().unwrap();
    stream.write_all(content).unwrap();
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}

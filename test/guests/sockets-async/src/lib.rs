//! The guest that uses the sockets of WASI 0.3 themselves: a command whose arguments say what to do,
//! and which says on standard output how it went.

use futures::join;
use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket, UdpSocket,
};
use wasip3::wit_stream;

struct Sockets;
wasip3::cli::command::export!(Sockets);

impl wasip3::exports::cli::run::Guest for Sockets {
    async fn run() -> Result<(), ()> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let number = |at: usize| arguments.get(at).map_or(0, |text| text.parse().unwrap());
        let done = match arguments[0].as_str() {
            "echo" => echo(number(1)).await,
            "ask" => ask(number(1) as u16).await,
            "wait" => wait(number(1) as u16).await,
            "udp" => udp().await,
            "resolve" => resolve(&arguments[1]).await,
            _ => panic!("no such act"),
        };
        println!("{}", done.unwrap_or_else(|code| format!("{code:?}")));
        Ok(())
    }
}

fn local(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) })
}

fn port_of(address: IpSocketAddress) -> u16 {
    match address {
        IpSocketAddress::Ipv4(address) => address.port,
        IpSocketAddress::Ipv6(address) => address.port,
    }
}

/// Gives so many connections, all at a time, back what they send: the stream that comes in goes out.
async fn echo(connections: u64) -> Result<String, ErrorCode> {
    let listener = TcpSocket::create(IpAddressFamily::Ipv4)?;
    listener.bind(local(0))?;
    let mut incoming = listener.listen()?;
    println!("listening on 127.0.0.1:{}", port_of(listener.get_local_address()?));
    let mut echoes = Vec::new();
    for _ in 0..connections {
        let socket = incoming.next().await.unwrap();
        let (bytes, ended) = socket.receive();
        let sent = socket.send(bytes);
        echoes.push(async move { (sent.await, ended.await) });
    }
    for outcome in futures::future::join_all(echoes).await {
        outcome.0?;
        outcome.1?;
    }
    Ok("echoed".into())
}

async fn ask(port: u16) -> Result<String, ErrorCode> {
    let socket = TcpSocket::create(IpAddressFamily::Ipv4)?;
    socket.connect(local(port)).await?;
    let (mut question, bytes) = wit_stream::new();
    let (answer, ended) = socket.receive();
    let (sent, _, answer) = join!(
        async { socket.send(bytes).await },
        async {
            question.write_all(b"a question".to_vec()).await;
            drop(question);
        },
        answer.collect(),
    );
    sent?;
    ended.await?;
    Ok(String::from_utf8(answer).unwrap())
}

/// Waits for a peer that says nothing.
async fn wait(port: u16) -> Result<String, ErrorCode> {
    let socket = TcpSocket::create(IpAddressFamily::Ipv4)?;
    socket.connect(local(port)).await?;
    let (bytes, ended) = socket.receive();
    let received = bytes.collect().await;
    ended.await?;
    Ok(format!("{} bytes", received.len()))
}

async fn udp() -> Result<String, ErrorCode> {
    let (server, client) = (UdpSocket::create(IpAddressFamily::Ipv4)?, UdpSocket::create(IpAddressFamily::Ipv4)?);
    server.bind(local(0))?;
    client.connect(server.get_local_address()?)?;
    let (received, sent) = join!(server.receive(), client.send(b"hello".to_vec(), None));
    sent?;
    let (data, from) = received?;
    let (answered, answer) = join!(server.send(data, Some(from)), client.receive());
    answered?;
    Ok(String::from_utf8(answer?.0).unwrap())
}

async fn resolve(name: &str) -> Result<String, ErrorCode> {
    let found = match resolve_addresses(name.into()).await {
        Ok(found) => found,
        Err(code) => return Ok(format!("{code:?}")),
    };
    let loopback = |address: &IpAddress| match address {
        IpAddress::Ipv4((127, 0, 0, 1)) | IpAddress::Ipv6((0, 0, 0, 0, 0, 0, 0, 1)) => true,
        _ => false,
    };
    Ok(format!("{}", found.iter().all(loopback)))
}

//! The guest that uses the standard library for what it asks of its host: files, sockets, standard
//! input and output, environment. One path each; parameters come in the query, `?name=value`.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct System;
wasip2::http::proxy::export!(System);

impl wasip2::exports::http::incoming_handler::Guest for System {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let parameter = query.split_once('=').map_or("", |(_, value)| value);
        let content = match path {
            "/program" => program(parameter).unwrap_or_else(|error| format!("{error}")),
            "/read" => format!("{:?}", fs::read_to_string(parameter).map_err(|error| error.kind())),
            "/write" => format!("{:?}", fs::write(parameter, "written").map_err(|error| error.kind())),
            "/fill" => format!("{:?}", fill(parameter).map_err(|error| error.kind())),
            "/socket" => format!("{:?}", std::net::TcpStream::connect(parameter).map_err(|error| error.kind())),
            "/log" => log(),
            "/env" => format!("{:?} {:?}", std::env::vars().collect::<Vec<_>>(), std::env::args().collect::<Vec<_>>()),
            "/stdin" => format!("{:?}", std::io::stdin().read_to_string(&mut String::new()).map_err(|error| error.kind())),
            "/exit" => std::process::exit(3),
            "/panic" => panic!("on purpose"),
            _ => "no such path".into(),
        };
        respond(out, content.as_bytes());
    }
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

/// What real programs do with a directory.
fn program(folder: &str) -> std::io::Result<String> {
    let at = |name: &str| format!("{folder}/made{name}");
    let mut lines = String::new();
    fs::create_dir(at(""))?;
    fs::write(at("/one.txt"), "one")?;
    fs::OpenOptions::new().append(true).open(at("/one.txt"))?.write_all(b" and more")?;
    writeln!(lines, "{}", fs::read_to_string(at("/one.txt"))?).unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(at("/one.txt"))?;
    file.set_len(3)?;
    file.sync_all()?;
    file.sync_data()?;
    let metadata = file.metadata()?;
    let fresh = metadata.modified()?.elapsed().unwrap().as_secs() < 60;
    writeln!(lines, "{} {} {fresh}", metadata.len(), metadata.is_file()).unwrap();
    fs::rename(at("/one.txt"), at("/two.txt"))?;
    let mut names = Vec::new();
    for entry in fs::read_dir(at(""))? {
        names.push(entry?.file_name());
    }
    names.sort();
    writeln!(lines, "{names:?} {}", fs::exists(at("/one.txt"))?).unwrap();
    writeln!(lines, "{:?}", fs::remove_dir(at("")).map_err(|error| error.kind())).unwrap();
    writeln!(lines, "{:?}", fs::create_dir(at("")).map_err(|error| error.kind())).unwrap();
    fs::remove_file(at("/two.txt"))?;
    fs::remove_dir(at(""))?;
    Ok(lines)
}

/// A file larger than one write, read back.
fn fill(path: &str) -> std::io::Result<bool> {
    let content: Vec<u8> = (0..3_000_000u32).map(|index| (index % 251) as u8).collect();
    fs::write(path, &content)?;
    Ok(fs::read(path)? == content)
}

fn log() -> String {
    println!("one\ntwo");
    print!("no newline");
    std::io::stdout().flush().unwrap();
    eprintln!("an error");
    "logged".into()
}

//! A command that does what its first argument says: the same in Rust, C and Go.

use std::io::{IsTerminal, Read, Write, stdin, stdout};
use std::time::{Duration, Instant};
use std::{env, fs, process};

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let argument = args.get(1).map_or("", String::as_str);
    match args.first().map(String::as_str) {
        Some("args") => print!("{}", args[1..].join("|")),
        Some("env") => print!("{}", env::var(argument).unwrap_or_else(|_| "none".into())),
        Some("upper") => upper(),
        Some("fill") => fill(argument.parse().unwrap()),
        Some("files") => files(argument),
        Some("sleep") => sleep(argument.parse().unwrap()),
        Some("terminal") => print!("{} {}", stdin().is_terminal(), stdout().is_terminal()),
        Some("trap") => unreachable(),
        Some("exit") => {
            eprint!("leaving");
            process::exit(argument.parse().unwrap())
        }
        _ => process::exit(64),
    }
}

/// Each piece as it comes.
fn upper() {
    let mut piece = [0; 4096];
    loop {
        let length = stdin().read(&mut piece).unwrap();
        if length == 0 {
            return;
        }
        piece.make_ascii_uppercase();
        stdout().write_all(&piece[..length]).unwrap();
        stdout().flush().unwrap();
    }
}

fn fill(bytes: usize) {
    stdout().write_all(&vec![b'x'; bytes]).unwrap();
}

/// Writes, appends, reads, lists, renames and removes below a directory.
fn files(directory: &str) {
    let [first, second] = ["first", "second"].map(|name| format!("{directory}/{name}"));
    fs::write(&first, "one").unwrap();
    fs::OpenOptions::new().append(true).open(&first).unwrap().write_all(b" two").unwrap();
    fs::rename(&first, &second).unwrap();
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    print!("{} in {}", fs::read_to_string(&second).unwrap(), names.join(","));
    fs::remove_file(&second).unwrap();
}

fn sleep(ms: u64) {
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(ms));
    print!("{}", start.elapsed().as_millis() >= ms.into());
}

fn unreachable() {
    process::abort();
}

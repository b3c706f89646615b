//! How fast a tunnel is, beside the same transfer without one.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Instant,
};

use crate::support::Setup;

/// Serves each request as many bytes as its path says, from a thread.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head = read_head(&mut stream);
            let size = head.split([' ', '/']).nth(2).unwrap();
            let mut left: usize = size.parse().unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            let block = vec![b'x'; 256 * 1024];
            while left > 0 {
                let length = left.min(block.len());
                stream.write_all(&block[..length]).unwrap();
                left -= length;
            }
        }
    });
    address
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

fn dial(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).unwrap()
}

/// GiB/s of a download.
fn download(stream: &mut TcpStream, target: &str, size: usize) -> f64 {
    let start = Instant::now();
    let request = format!("GET {target} HTTP/1.1\r\nHost: ok.test\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    assert!(read_head(stream).starts_with("HTTP/1.1 200"));
    let mut block = vec![0; 256 * 1024];
    let mut left = size;
    while left > 0 {
        let length = stream.read(&mut block).unwrap();
        assert_ne!(length, 0, "{left} bytes are missing");
        left -= length;
    }
    let size = f64::from(u32::try_from(size / 1024).unwrap()) / f64::from(1 << 20);
    size / start.elapsed().as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[test]
fn a_tunnel_beside_no_proxy() {
    let origin = origin();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let proxy = runtime.block_on(Setup::allowing(&["ok.test"]).start());
    let http = proxy.http;
    thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    let (size, rounds) = if cfg!(debug_assertions) {
        (64 << 20, 3)
    } else {
        (1 << 30, 7)
    };
    let authority = format!("ok.test:{}", origin.port());
    let path = format!("/{size}");
    let mut figures = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        figures[0].push(download(&mut dial(origin), &path, size));
        let mut tunnel = dial(http);
        let request = format!("CONNECT {authority} HTTP/1.1\r\n\r\n");
        tunnel.write_all(request.as_bytes()).unwrap();
        assert!(read_head(&mut tunnel).starts_with("HTTP/1.1 200"));
        figures[1].push(download(&mut tunnel, &path, size));
        let target = format!("http://{authority}{path}");
        figures[2].push(download(&mut dial(http), &target, size));
    }
    let [direct, tunnel, forwarded] = figures.map(median);
    println!(
        "direct {direct:.2} GiB/s, tunnel {tunnel:.2} ({:.2}), forwarded {forwarded:.2} ({:.2})",
        tunnel / direct,
        forwarded / direct
    );
    // The machine may be busy with other tests: this finds only what is broken.
    assert!(tunnel > direct / 10.0);
}

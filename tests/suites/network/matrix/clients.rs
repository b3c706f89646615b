//! The clients of the matrix: how each is run, and what it speaks.

/// One program, or one way of using it.
pub(super) struct Client {
    pub(super) name: &'static str,
    /// What the origin speaks.
    pub(super) origin: &'static str,
    pub(super) way: Way,
    /// Programs it needs.
    pub(super) needs: &'static [&'static str],
    /// Whether `cargo xtask` installs them, or every Debian has them.
    pub(super) expected: bool,
    /// Whether it takes nothing but IPv6.
    pub(super) only_v6: bool,
    /// What it prints of an answer, where that is not the origin's token.
    pub(super) proof: Option<&'static str>,
}

/// How a client meets its targets.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// A line of bash for each, with the host in `$H`, for URLs in `$U`, and the port in `$P`.
    Each(&'static str),
    /// A line of bash for all: column, host and port of each in `$@`. It prints `== ` and the
    /// column in front of each answer.
    Once(&'static str),
}

const fn client(
    name: &'static str,
    origin: &'static str,
    needs: &'static [&'static str],
    line: &'static str,
) -> Client {
    Client {
        name,
        origin,
        way: Way::Each(line),
        needs,
        expected: true,
        only_v6: false,
        proof: None,
    }
}

const fn optional(client: Client) -> Client {
    Client {
        expected: false,
        ..client
    }
}

const fn only_v6(client: Client) -> Client {
    Client {
        only_v6: true,
        ..client
    }
}

/// Java: one virtual machine for all columns.
const fn java(name: &'static str, line: &'static str) -> Client {
    Client {
        way: Way::Once(line),
        ..optional(client(name, "http", &["java", "javac"], ""))
    }
}

/// Every client, one row each.
pub(super) const CLIENTS: &[Client] = &[
    client(
        "curl with proxy variables",
        "http",
        &["curl"],
        "curl -sS -m 10 http://$U:$P/",
    ),
    client(
        "curl without proxies",
        "http",
        &["curl"],
        "curl -sS -m 10 --noproxy '*' http://$U:$P/",
    ),
    client(
        "curl -4",
        "http",
        &["curl"],
        "curl -4 -sS -m 10 --noproxy '*' http://$U:$P/",
    ),
    only_v6(client(
        "curl -6",
        "http",
        &["curl"],
        "curl -6 -sS -m 10 --noproxy '*' http://$U:$P/",
    )),
    client(
        "curl through CONNECT",
        "http",
        &["curl"],
        "curl -p -sS -m 10 http://$U:$P/",
    ),
    client(
        "curl through SOCKS5, name at the proxy",
        "http",
        &["curl"],
        "curl -sS -m 10 --socks5-hostname 127.0.0.1:1080 http://$U:$P/",
    ),
    client(
        "curl through SOCKS5, name at the client",
        "http",
        &["curl"],
        "curl -sS -m 10 --socks5 127.0.0.1:1080 http://$U:$P/",
    ),
    client(
        "curl, TLS through CONNECT",
        "tls",
        &["curl", "openssl"],
        "curl -k -sS -m 10 https://$U:$P/",
    ),
    client(
        "curl, TLS without proxies",
        "tls",
        &["curl", "openssl"],
        "curl -k -sS -m 10 --noproxy '*' https://$U:$P/",
    ),
    client(
        "curl, HTTP/2",
        "http2",
        &["curl"],
        "curl --http2-prior-knowledge -sS -m 10 --noproxy '*' http://$U:$P/",
    ),
    client(
        "curl, HTTP/2 through CONNECT",
        "http2",
        &["curl"],
        "curl --http2-prior-knowledge -p -sS -m 10 http://$U:$P/",
    ),
    client(
        "wget with proxy variables",
        "http",
        &["wget"],
        "wget -t 1 -T 8 -q -O - http://$U:$P/",
    ),
    client(
        "wget --no-proxy",
        "http",
        &["wget"],
        "wget --no-proxy -t 1 -T 8 -q -O - http://$U:$P/",
    ),
    client(
        "python urllib",
        "http",
        &[],
        "$PYTHON -ES client.py urllib_any $H $P",
    ),
    client(
        "python urllib without proxies",
        "http",
        &[],
        "$PYTHON -ES client.py urllib_direct $H $P",
    ),
    client(
        "python http.client",
        "http",
        &[],
        "$PYTHON -ES client.py http_client $H $P",
    ),
    client(
        "python socket",
        "http",
        &[],
        "$PYTHON -ES client.py create_connection $H $P",
    ),
    client(
        "python socket that does not block",
        "http",
        &[],
        "$PYTHON -ES client.py non_blocking $H $P",
    ),
    only_v6(client(
        "python socket of IPv6",
        "http",
        &[],
        "$PYTHON -ES client.py family_six $H $P",
    )),
    client(
        "python asyncio",
        "http",
        &[],
        "$PYTHON -ES client.py asyncio_streams $H $P",
    ),
    client(
        "python ssl",
        "tls",
        &["openssl"],
        "$PYTHON -ES client.py tls $H $P",
    ),
    client(
        "node fetch",
        "http",
        &["node"],
        "node client.js fetch $H $P",
    ),
    client("node http", "http", &["node"], "node client.js http $H $P"),
    client(
        "node https",
        "tls",
        &["node", "openssl"],
        "node client.js https $H $P",
    ),
    client("node net", "greet", &["node"], "node client.js net $H $P"),
    client(
        "node http2",
        "http2",
        &["node"],
        "node client.js http2 $H $P",
    ),
    client(
        "nc",
        "http",
        &["nc"],
        r"printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 8 $H $P",
    ),
    client(
        "bash",
        "http",
        &["bash"],
        r"exec 3<>/dev/tcp/$H/$P && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && cat <&3",
    ),
    client(
        "perl IO::Socket::INET",
        "http",
        &["perl"],
        "perl client.pl inet $H $P",
    ),
    client(
        "perl HTTP::Tiny",
        "http",
        &["perl"],
        "perl client.pl tiny $H $P",
    ),
    client(
        "perl HTTP::Tiny without proxies",
        "http",
        &["perl"],
        "perl client.pl direct $H $P",
    ),
    client(
        "git over HTTP",
        "http",
        &["git"],
        "git ls-remote http://$U:$P/repository",
    ),
    client(
        "git over HTTP without proxies",
        "http",
        &["git"],
        "git -c http.proxy= ls-remote http://$U:$P/repository",
    ),
    client(
        "git's own protocol",
        "git",
        &["git"],
        "git ls-remote git://$U:$P/repository",
    ),
    client(
        "ssh-keyscan",
        "ssh",
        &["ssh-keyscan"],
        "ssh-keyscan -T 8 -p $P $H",
    ),
    client(
        "ssh",
        "ssh",
        &["ssh"],
        "ssh -v -F none -o BatchMode=yes -o ConnectTimeout=8 -o StrictHostKeyChecking=no \
         -o UserKnownHostsFile=/dev/null -p $P nobody@$H",
    ),
    client(
        "openssl s_client",
        "tls",
        &["openssl"],
        r"printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -quiet -connect $U:$P",
    ),
    client(
        "psql",
        "postgres",
        &["psql"],
        "psql \"host=$H port=$P sslmode=disable gssencmode=disable connect_timeout=8 user=nobody dbname=none\"",
    ),
    client("C library", "http", &["gcc"], "./client libc $H $P"),
    client(
        "static program with its own resolver",
        "http",
        &["gcc"],
        "./client-static own $H $P",
    ),
    client(
        "rsync",
        "rsync",
        &["rsync"],
        "rsync --contimeout=8 --timeout=8 rsync://$U:$P/",
    ),
    client(
        "socat",
        "http",
        &["socat"],
        r"printf 'GET / HTTP/1.0\r\n\r\n' | socat -t 8 - TCP:$U:$P",
    ),
    optional(client(
        "busybox wget",
        "http",
        &["busybox"],
        "busybox wget -q -O - http://$U:$P/",
    )),
    optional(client(
        "busybox nc",
        "http",
        &["busybox"],
        r"printf 'GET / HTTP/1.0\r\n\r\n' | busybox nc -w 8 $H $P",
    )),
    optional(client(
        "telnet",
        "greet",
        &["telnet"],
        "telnet $H $P < <(sleep 12)",
    )),
    optional(client(
        "tcl socket",
        "greet",
        &["tclsh"],
        "tclsh client.tcl $H $P",
    )),
    java("java HttpURLConnection", "java -cp . Client url \"$@\""),
    java(
        "java HttpURLConnection without proxies",
        "java -cp . Client direct \"$@\"",
    ),
    java("java Socket", "java -cp . Client socket \"$@\""),
    optional(client(
        "npm",
        "http",
        &["npm"],
        "npm ping --json --fetch-retries=0 --fetch-timeout=8000 --cache=/tmp/npm --registry=http://$U:$P/",
    )),
    Client {
        proof: Some("Found link http"),
        ..optional(client(
            "pip",
            "http",
            &["pip3"],
            "$PYTHON -m pip download -vvv --no-deps --no-cache-dir --retries 0 --timeout 8 \
             --disable-pip-version-check --index-url http://$U:$P/simple/ --trusted-host $U origin-$P",
        ))
    },
];

//! Uninvited guests at a fit on real processes: they change nothing, and each kind is told once.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nlsq_worker::handshake::{self, Credentials, Purpose, RunId};
use nlsq_worker::secret::Secret;
use nlsq_worker::wire::{Mode, Wire};
use serde_json::Value;

use crate::support::{Run, decay_csv, folder, program};

const MODEL: &str = "a*exp(-b*t)+c";

/// A fit that ends at a fixed pass and not by converging, so that every bit of the way counts.
fn arguments(data: &Path, passes: usize) -> Vec<String> {
    let tolerances = ["--xtol", "0", "--ftol", "0", "--gtol", "0"];
    let fixed =
        ["--x", "t", "--y", "y", "--sigma", "err", "--model", MODEL, "--p0", "a=1,b=1,c=0", "--tile-points", "2048"];
    let mut all: Vec<String> = fixed.iter().chain(&tolerances).map(|word| (*word).to_string()).collect();
    all.extend(["--max-passes".into(), passes.to_string(), "--data".into(), data.display().to_string()]);
    all
}

fn embedded(folder: &Path, data: &Path, passes: usize) -> Run {
    let all = arguments(data, passes);
    Run::fit(folder.join("embedded"), &all.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The worker's program stands beside the coordinator's.
fn worker(coordinator: SocketAddr, token: &Path) -> Command {
    let mut worker = Command::new(Path::new(env!("CARGO_BIN_EXE_nlsq-coordinator")).with_file_name("nlsq-worker"));
    worker.args(["--coordinator", &coordinator.to_string(), "--token-file"]).arg(token).args(["--threads", "1"]);
    worker.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    worker
}

/// A coordinator that waits for two workers.
struct Listening {
    process: Child,
    address: SocketAddr,
    token: PathBuf,
    dir: PathBuf,
    stderr: BufReader<ChildStderr>,
    told: String,
}

impl Listening {
    fn start(folder: &Path, data: &Path, passes: usize, more: &[&str]) -> Self {
        let (token, dir) = (folder.join("token"), folder.join("cluster"));
        let mut fit = program();
        fit.arg("fit").args(arguments(data, passes)).args(["--progress", "plain", "--out"]).arg(&dir);
        fit.args(["--workers", "2", "--listen", "127.0.0.1:0", "--token-file"]).arg(&token).args(more);
        let mut process = fit.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let stderr = BufReader::new(process.stderr.take().expect("piped"));
        let (address, told) = (SocketAddr::from(([127, 0, 0, 1], 0)), String::new());
        let mut listening = Self { process, address, token, dir, stderr, told };
        let line = listening.wait_for("listening on ");
        let address = line.split_whitespace().nth(2).expect("an address");
        listening.address = address.parse().expect("an address");
        listening
    }

    /// Reads what it tells until a line begins with this.
    fn wait_for(&mut self, beginning: &str) -> String {
        loop {
            let mut line = String::new();
            let n = self.stderr.read_line(&mut line).expect("text");
            assert_ne!(n, 0, "it ended before it said \"{beginning}\": {}", self.told);
            self.told += &line;
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    fn secret(&self) -> Secret {
        Secret::read(&self.token).expect("the coordinator made it")
    }

    /// Waits for its end: its result and all that it told.
    fn end(mut self) -> (Value, String) {
        self.stderr.read_to_string(&mut self.told).expect("text");
        let status = self.process.wait().expect("it ends");
        assert_eq!(status.code(), Some(3), "ended by the number of passes: {}", self.told);
        let text = fs::read_to_string(self.dir.join("result.json")).expect("a result");
        (serde_json::from_str(&text).expect("JSON"), self.told)
    }
}

/// What must be the same whoever computes: every number of the result, and the covariance.
fn assert_same_bits(embedded: &Run, dir: &Path, result: &Value) {
    for key in ["parameters", "cost", "rss", "passes", "gradient_norm", "reduced_chi2", "status", "reason"] {
        assert_eq!(embedded.result[key], result[key], "{key}");
    }
    assert_eq!(embedded.covariance(), fs::read(dir.join("covariance.npy")).expect("a run leaves covariance.npy"));
}

/// A listener that passes on what it hears to `upstream` and keeps both directions.
struct Proxy {
    address: SocketAddr,
    heard: Arc<Mutex<[Vec<u8>; 2]>>,
}

impl Proxy {
    fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let heard: Arc<Mutex<[Vec<u8>; 2]>> = Arc::default();
        let kept = Arc::clone(&heard);
        std::thread::spawn(move || {
            let (down, _) = listener.accept().expect("one worker comes");
            let up = TcpStream::connect(upstream).expect("the coordinator listens");
            let ends = [(down.try_clone(), up.try_clone()), (Ok(up), Ok(down))];
            for (side, (from, to)) in ends.into_iter().enumerate() {
                let (mut from, mut to, kept) = (from.expect("a handle"), to.expect("a handle"), Arc::clone(&kept));
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(n @ 1..) = from.read(&mut buffer) {
                        kept.lock().unwrap()[side].extend_from_slice(&buffer[..n]);
                        if to.write_all(&buffer[..n]).is_err() {
                            break;
                        }
                    }
                    // The other side learns of the end, if it is still there.
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        });
        Self { address, heard }
    }

    /// What the side that dialled has said.
    fn dialled(&self) -> Vec<u8> {
        self.heard.lock().unwrap()[0].clone()
    }

    fn all(&self) -> Vec<u8> {
        self.heard.lock().unwrap().concat()
    }
}

/// Waits until the coordinator closes a connection.
fn assert_closed(mut socket: TcpStream, who: &str) {
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let mut rest = Vec::new();
    let end = socket.read_to_end(&mut rest).map_err(|error| error.kind());
    assert!(!matches!(end, Err(std::io::ErrorKind::WouldBlock)), "{who} is still connected after 30 s");
}

fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).expect("the coordinator listens")
}

/// Everybody who may come to a door uninvited, at once; those who wait in silence are given back.
fn strangers(fit: &Listening, folder: &Path, recorded: &[u8]) -> Vec<TcpStream> {
    let mut silent: Vec<TcpStream> = (0..1000).map(|_| connect(fit.address)).collect();
    let mut slow = connect(fit.address);
    slow.write_all(b"n").expect("it listens");
    silent.push(slow);
    for garbage in [&b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"[..], &[0xa5; 5000]] {
        let mut socket = connect(fit.address);
        // It may have closed before all was said.
        let _ = socket.write_all(&[garbage, &[0; 200]].concat());
        assert_closed(socket, "garbage");
    }
    let mut replayed = connect(fit.address);
    let _ = replayed.write_all(recorded);
    assert_closed(replayed, "a recorded conversation");
    let other = folder.join("other");
    Secret::read_or_create(&other).expect("a fresh secret");
    let refused = worker(fit.address, &other).output().expect("the worker starts");
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    // One with the right secret that comes for something else, and one that then says something else than that it joins.
    let credentials = Credentials { secret: fit.secret(), wire: Mode::Plain };
    let mut lost = connect(fit.address);
    let purpose = Purpose::Data { run: RunId([0; 16]), generation: 1, from: 1, to: 0 };
    handshake::dial(&mut lost, &credentials, purpose).expect_err("there is no such connection here");
    let mut unruly = connect(fit.address);
    let agreed = handshake::dial(&mut unruly, &credentials, Purpose::Control).expect("it knows the secret");
    let mut unruly = Wire::new(unruly, agreed.keys);
    unruly.write_all(&u32::MAX.to_le_bytes()).expect("a frame of 4 GB is announced");
    assert_closed(unruly.socket().try_clone().expect("a handle"), "one that breaks the rules");
    silent
}

#[test]
fn strangers_change_nothing_and_are_told_once() {
    let folder = folder();
    let data = folder.path().join("decay.csv");
    decay_csv(&data, 100_000);
    const PASSES: usize = 600;
    let undisturbed = embedded(folder.path(), &data, PASSES);
    let mut fit = Listening::start(folder.path(), &data, PASSES, &[]);

    let proxy = Proxy::start(fit.address);
    let first = worker(proxy.address, &fit.token).spawn().expect("the worker starts");
    let silent = strangers(&fit, folder.path(), b"nlsq\x00\x00\x00\x02 and so on");
    // With a thousand and one at the door a second worker comes in.
    let second = worker(fit.address, &fit.token).spawn().expect("the worker starts");
    fit.wait_for("pass");
    let recorded = proxy.dialled();
    assert!(recorded.len() > handshake::HELLO + handshake::RESPONSE);
    let more = strangers(&fit, folder.path(), &recorded);
    let dir = fit.dir.clone();
    let (result, told) = fit.end();
    drop((silent, more));

    assert_same_bits(&undisturbed, &dir, &result);
    for mut worker in [first, second] {
        assert!(worker.wait().expect("it ends").success());
    }
    let log = fs::read_to_string(dir.join("log.jsonl")).expect("a run leaves log.jsonl");
    for (place, text) in [("stderr", &told), ("log.jsonl", &log)] {
        for kind in [
            "spoke another protocol, or another version of this one (told once)",
            "tried to join without the secret of this cluster (told once)",
            "came for another run or a generation that is over (told once)",
            "did not join as a worker does (told once)",
            "had to make room for others (told once)",
        ] {
            assert_eq!(text.matches(kind).count(), 1, "{place}: {kind}\n{text}");
        }
        let lines = text.lines().filter(|line| line.contains("somebody at")).count();
        assert!(lines <= 12, "{lines} lines about strangers in {place}:\n{text}");
        assert!(text.contains("times in all"), "{place} gives no count:\n{text}");
    }
}

/// Processes whose command line names this file.
fn processes_naming(token: &Path) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("this system has /proc").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let name = token.to_str().expect("a plain path");
    ids.filter(|id| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(name)
    })
    .collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Everything below a folder but the token file.
fn files_below(folder: &Path, token: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path, token));
        } else if path != token {
            found.push(path);
        }
    }
    found
}

#[test]
fn both_wires_give_the_same_bits_and_the_secret_is_nowhere() {
    let folder = folder();
    let data = folder.path().join("decay.csv");
    decay_csv(&data, 30_000);
    const PASSES: usize = 300;
    let undisturbed = embedded(folder.path(), &data, PASSES);
    for mode in ["plain", "encrypted"] {
        let folder = folder.path().join(mode);
        fs::create_dir(&folder).expect("a fresh folder");
        let mut fit = Listening::start(&folder, &data, PASSES, &["--wire", mode]);
        let secret = fs::read_to_string(&fit.token).expect("the coordinator made it");
        let secret = secret.trim();
        let proxy = Proxy::start(fit.address);
        let workers =
            [proxy.address, fit.address].map(|address| worker(address, &fit.token).spawn().expect("it starts"));
        fit.wait_for("pass");
        let processes = processes_naming(&fit.token);
        assert_eq!(processes.len(), 3, "a coordinator and two workers");
        for process in processes {
            for file in ["cmdline", "environ"] {
                let text = fs::read(format!("/proc/{process}/{file}")).expect("it is running");
                assert!(!contains(&text, secret.as_bytes()), "/proc/{process}/{file} shows the secret");
            }
        }
        let (token, dir) = (fit.token.clone(), fit.dir.clone());
        let (result, told) = fit.end();
        assert_same_bits(&undisturbed, &dir, &result);
        let mut said = told;
        for worker in workers {
            let output = worker.wait_with_output().expect("it ends");
            said += &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
        }
        assert!(!said.contains(secret), "the secret was told: {said}");
        for file in files_below(&folder, &token) {
            let text = fs::read(&file).expect("a file of the run");
            assert!(!contains(&text, secret.as_bytes()), "{} holds the secret", file.display());
        }
        // Who listens on the way sees the model where the wire is plain, which shows that the test can see, and nothing of it
        // where it is encrypted.
        assert_eq!(contains(&proxy.all(), MODEL.as_bytes()), mode == "plain", "{mode}");
    }
}

#[test]
fn a_worker_may_insist_on_encryption() {
    let folder = folder();
    let data = folder.path().join("decay.csv");
    decay_csv(&data, 10_000);
    let fit = Listening::start(folder.path(), &data, 20, &["--wire", "plain"]);
    let proxy = Proxy::start(fit.address);
    let mut insisting = worker(proxy.address, &fit.token);
    let workers = [insisting.args(["--wire", "encrypted"]).spawn(), worker(fit.address, &fit.token).spawn()];
    fit.end();
    for worker in workers {
        assert!(worker.expect("it starts").wait().expect("it ends").success());
    }
    let heard = proxy.all();
    assert!(heard.len() > 500, "{} bytes passed the proxy", heard.len());
    assert!(!contains(&heard, MODEL.as_bytes()), "the model was seen");
}

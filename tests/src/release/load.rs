//! Customers of a service: a few connections that ask again and again, and what they were answered.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::Duration,
};

/// How long a customer waits for an answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
/// Between an answer and the next request of a customer.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks a service again and again over a few connections, until it is dropped.
pub struct Load {
    over: Arc<AtomicBool>,
    statuses: Arc<Mutex<Vec<u16>>>,
    asking: Vec<JoinHandle<()>>,
}

impl Load {
    /// So many customers of the service at this address, each with a connection of its own.
    pub fn on(address: &str, customers: u32) -> Self {
        let (over, statuses) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let customer = |_| {
            let (over, statuses, address) = (over.clone(), statuses.clone(), address.to_owned());
            std::thread::spawn(move || ask(&address, &over, &statuses))
        };
        let asking = (0..customers).map(customer).collect();
        Load { over, statuses, asking }
    }

    /// How many requests there were since the last time, and the statuses of those that failed; 0 stands for one that was not
    /// answered at all.
    pub fn counts(&self) -> (usize, Vec<u16>) {
        let all = std::mem::take(&mut *locked(&self.statuses));
        (all.len(), all.into_iter().filter(|status| *status != 200).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.asking.drain(..).for_each(|asking| drop(asking.join()));
    }
}

fn locked(statuses: &Mutex<Vec<u16>>) -> MutexGuard<'_, Vec<u16>> {
    statuses.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ask(address: &str, over: &AtomicBool, statuses: &Mutex<Vec<u16>>) {
    let (_nobody, pace) = mpsc::channel::<()>();
    let mut connection = None;
    while !over.load(Ordering::SeqCst) {
        let status = once(address, &mut connection);
        if status.is_err() {
            connection = None;
        }
        locked(statuses).push(status.unwrap_or(0));
        // Nobody sends on it.
        let _ = pace.recv_timeout(PAUSE);
    }
}

/// One request over a connection that is kept, and the status of its answer.
fn once(address: &str, connection: &mut Option<(TcpStream, BufReader<TcpStream>)>) -> std::io::Result<u16> {
    let (writer, reader) = match connection {
        Some(open) => open,
        None => {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
            connection.insert((stream.try_clone()?, BufReader::new(stream)))
        }
    };
    writer.write_all(b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n")?;
    let (mut status, mut length, mut line) = (0, 0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let lower = line.to_ascii_lowercase();
        let number = |text: &str| text.trim().parse().map_err(std::io::Error::other);
        if let Some(rest) = lower.strip_prefix("http/1.1 ") {
            status = number(rest.get(..3).unwrap_or_default())?;
        } else if let Some(rest) = lower.strip_prefix("content-length:") {
            length = number(rest)?;
        } else if lower.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; usize::from(length)])?;
    Ok(status)
}

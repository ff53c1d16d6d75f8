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

/// How a customer asks.
#[derive(Clone, Copy)]
struct Habit {
    /// The first line, without the version of HTTP.
    request: &'static str,
    /// With a connection of its own for each request.
    is_new_each_time: bool,
}

/// Whom there is. What is posted may not be sent twice, so that nothing hides that it was cut off; what takes long is under
/// way when a release has to go.
const HABITS: [Habit; 4] = [
    Habit { request: "GET /", is_new_each_time: false },
    Habit { request: "POST /", is_new_each_time: false },
    Habit { request: "POST /slow", is_new_each_time: false },
    Habit { request: "POST /", is_new_each_time: true },
];

/// Customers who ask a service again and again, until this is dropped.
pub struct Load {
    over: Arc<AtomicBool>,
    statuses: Arc<Mutex<Vec<u16>>>,
    asking: Vec<JoinHandle<()>>,
}

impl Load {
    /// Customers of the service at this address: some keep their connections, some post, some ask for what takes long.
    pub fn on(address: &str) -> Self {
        let (over, statuses) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let customer = |habit| {
            let (over, statuses, address) = (over.clone(), statuses.clone(), address.to_owned());
            std::thread::spawn(move || ask(&address, habit, &over, &statuses))
        };
        let asking = HABITS.into_iter().map(customer).collect();
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

fn ask(address: &str, habit: Habit, over: &AtomicBool, statuses: &Mutex<Vec<u16>>) {
    let (_nobody, pace) = mpsc::channel::<()>();
    let mut connection = None;
    while !over.load(Ordering::SeqCst) {
        let status = once(address, habit.request, &mut connection);
        if status.is_err() || habit.is_new_each_time {
            connection = None;
        }
        locked(statuses).push(status.unwrap_or(0));
        // Nobody sends on it.
        let _ = pace.recv_timeout(PAUSE);
    }
}

/// One request over the connection that was kept, and the status of its answer.
fn once(
    address: &str,
    request: &str,
    connection: &mut Option<(TcpStream, BufReader<TcpStream>)>,
) -> std::io::Result<u16> {
    let (writer, reader) = match connection {
        Some(open) => open,
        None => {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
            connection.insert((stream.try_clone()?, BufReader::new(stream)))
        }
    };
    let request = format!("{request} HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n");
    writer.write_all(request.as_bytes())?;
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

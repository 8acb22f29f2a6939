//! The queue of log lines: whoever logs puts a line into a queue and goes on, and a thread of its own writes to the
//! stream. A stream that nobody reads blocks only that thread. If the queue is full, lines are dropped and counted,
//! and the count is logged once the stream is read again.
//!
//! tracing-appender does not fit: its guard prints to stdout if the queue is full at the end, and that may be the
//! pipe that nobody reads.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::count;

/// The bytes of a line beside its text.
const LINE_BYTES: usize = 64;
/// The pause before a retry on a non-blocking stream that is full.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// The queue. Clones share it.
#[derive(Debug, Clone)]
pub struct LogQueue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    /// The bytes of the lines in the queue and of the line being written.
    bytes: usize,
    /// Lines dropped because the queue was full. While this is not 0, no line is accepted.
    dropped: u64,
    /// The thread is working.
    is_busy: bool,
}

/// The next task of the thread.
enum LogTask {
    Write(Vec<u8>),
    Tell(u64),
}

impl LogQueue {
    /// Starts writing to a stream. At most `max_bytes` wait, except for a single line of any length. Once there is
    /// room again, `tell` is called with the number of dropped lines.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        stream: impl Write + Send + 'static,
        max_bytes: usize,
        tell: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { queue, changed, max_bytes });
        let lines = Self { shared: Arc::clone(&shared) };
        std::thread::Builder::new().name("log".into()).spawn(move || shared.work(stream, tell))?;
        Ok(lines)
    }

    /// Queues a line, which ends with its line break. Never waits for the stream.
    pub fn push(&self, line: &[u8]) {
        let mut queue = self.shared.queue();
        let bytes = queue.bytes.saturating_add(line.len() + LINE_BYTES);
        if queue.dropped > 0 || (bytes > self.shared.max_bytes && queue.bytes > 0) {
            queue.dropped += 1;
            drop(queue);
            count::log_line_dropped();
            return;
        }
        queue.bytes = bytes;
        queue.lines.push_back(line.to_vec());
        drop(queue);
        self.shared.changed.notify_all();
    }

    /// Waits until everything is written, at most this long. Returns whether it is.
    pub fn flush(&self, patience: Duration) -> bool {
        let is_pending = |queue: &mut Queue| queue.bytes > 0 || queue.dropped > 0 || queue.is_busy;
        let waited =
            self.shared.changed.wait_timeout_while(self.shared.queue(), patience, is_pending);
        let (_queue, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        !waited.timed_out()
    }
}

impl Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn work(&self, mut stream: impl Write, tell: impl Fn(u64)) {
        loop {
            match self.next() {
                LogTask::Write(line) => {
                    // A closed stream accepts no line, and its reader wants none.
                    let _closed = write(&mut stream, &line);
                    let mut queue = self.queue();
                    queue.bytes = queue.bytes.saturating_sub(line.len() + LINE_BYTES);
                }
                // `tell` queues a line itself, so the lock is not held.
                LogTask::Tell(dropped) => tell(dropped),
            }
        }
    }

    fn next(&self) -> LogTask {
        let mut queue = self.queue();
        loop {
            // Only once half is free, so that a slow reader gets no notice with every other line.
            if queue.dropped > 0 && queue.bytes <= self.max_bytes / 2 {
                queue.is_busy = true;
                return LogTask::Tell(std::mem::take(&mut queue.dropped));
            }
            if let Some(line) = queue.lines.pop_front() {
                queue.is_busy = true;
                return LogTask::Write(line);
            }
            queue.is_busy = false;
            self.changed.notify_all();
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    // A panic of another thread cannot leave a partial change.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a whole line, even to a non-blocking stream.
fn write(stream: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match stream.write(line) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => line = line.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(FULL_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    stream.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

    use super::*;

    /// Long enough for a busy machine.
    const PATIENCE: Duration = Duration::from_mins(1);

    /// A pipe that holds a fixed number of writes.
    struct Pipe(SyncSender<String>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            self.0.send(text).map_err(|_closed| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A queue with room for `fit` lines, the reading end of its pipe, and the reported counts of dropped lines.
    fn lines(fit: usize, pipe: usize) -> (LogQueue, Receiver<String>, Receiver<u64>) {
        let (stream, written) = sync_channel(pipe);
        let (told, tells): (Sender<u64>, _) = channel();
        let tell = move |dropped| told.send(dropped).unwrap();
        let lines = LogQueue::start(Pipe(stream), fit * (LINE_BYTES + 4), tell).unwrap();
        (lines, written, tells)
    }

    fn push(lines: &LogQueue, numbers: std::ops::Range<u32>) {
        numbers.for_each(|number| lines.push(format!("{number:03}\n").as_bytes()));
    }

    #[test]
    fn lines_are_written_in_order_before_a_flush_ends() {
        let (lines, written, tells) = lines(1_000, 1_000);
        push(&lines, 0..500);
        assert!(lines.flush(PATIENCE));
        let expected: Vec<String> = (0..500).map(|number| format!("{number:03}\n")).collect();
        assert_eq!(written.try_iter().collect::<Vec<_>>(), expected);
        assert!(tells.try_recv().is_err(), "nothing was dropped");
    }

    #[test]
    fn a_stream_that_is_not_read_holds_up_neither_who_logs_nor_the_end() {
        let (lines, written, tells) = lines(10, 0);
        push(&lines, 0..100);
        assert!(!lines.flush(Duration::from_millis(50)), "nothing was read");
        let mut read: Vec<String> = Vec::new();
        while read.len() < 10 {
            read.push(written.recv_timeout(PATIENCE).unwrap());
        }
        let expected: Vec<String> = (0..10).map(|number| format!("{number:03}\n")).collect();
        assert_eq!(read, expected, "what was there first stays");
        assert_eq!(tells.recv_timeout(PATIENCE).unwrap(), 90, "told once");
        assert!(lines.flush(PATIENCE));
        push(&lines, 100..101);
        assert_eq!(written.recv_timeout(PATIENCE).unwrap(), "100\n");
        assert!(tells.try_recv().is_err());
    }

    #[test]
    fn a_line_that_is_longer_than_the_queue_is_written_all_the_same() {
        let (lines, written, _tells) = lines(1, 1);
        lines.push(&[b'x'; 1_000]);
        assert_eq!(written.recv_timeout(PATIENCE).unwrap().len(), 1_000);
    }

    #[test]
    fn a_stream_that_is_closed_costs_its_lines_alone() {
        let (lines, written, _tells) = lines(10, 10);
        drop(written);
        for at in 0..100 {
            push(&lines, at..at + 1);
            assert!(lines.flush(PATIENCE));
        }
    }

    #[test]
    fn a_stream_that_does_not_block_gets_every_byte() {
        /// Takes one byte at every second try.
        struct Slow(Vec<u8>, bool);
        impl Write for Slow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                self.0.extend(bytes.first());
                Ok(1)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut slow = Slow(Vec::new(), false);
        write(&mut slow, b"line\n").unwrap();
        assert_eq!(slow.0, b"line\n");
    }
}

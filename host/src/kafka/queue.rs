//! Reads many messages at a time, by calls of librdkafka that `rdkafka` does not wrap.
//!
//! One queue gathers the messages of every assigned partition. It is read by `rd_kafka_consume_batch_queue`,
//! at about two thirds of the cost of polling message by message. For backpressure it is not read, while the
//! consumer itself is still polled.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka_sys as sys;

use crate::flow::record::TopicPartition;

/// The queue that partitions forward their messages to.
pub struct DataQueue<C: ConsumerContext + 'static> {
    queue: NonNull<sys::rd_kafka_queue_t>,
    messages: Vec<*mut sys::rd_kafka_message_t>,
    /// Messages that were read but not taken yet, in order. librdkafka counts them as handed out.
    waiting: VecDeque<OwnedMessage>,
    /// Keeps the client alive as long as its queue.
    consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: librdkafka's queues and messages may be used from any thread; whoever looks at a message or
// destroys one has `&mut self`, and nobody else has its pointer.
unsafe impl<C: ConsumerContext + 'static> Send for DataQueue<C> {}

impl<C: ConsumerContext + 'static> DataQueue<C> {
    /// A new queue of this consumer that reads at most `max_messages` at a time.
    pub fn new(consumer: &Arc<BaseConsumer<C>>, max_messages: usize) -> Option<Self> {
        // SAFETY: the client pointer is valid while `consumer` lives, and this struct keeps it.
        let queue = unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) };
        Some(Self {
            queue: NonNull::new(queue)?,
            messages: vec![std::ptr::null_mut(); max_messages.max(1)],
            waiting: VecDeque::new(),
            consumer: Arc::clone(consumer),
        })
    }

    /// Forwards a partition's messages to this queue, before its assignment takes effect.
    pub fn forward(&self, partition: &TopicPartition) {
        self.redirect(partition, self.queue.as_ptr());
    }

    /// Ends [`DataQueue::forward`]: a partition left forwarded stays undeliverable.
    pub fn release(&self, partition: &TopicPartition) {
        self.redirect(partition, std::ptr::null_mut());
    }

    fn redirect(&self, partition: &TopicPartition, to: *mut sys::rd_kafka_queue_t) {
        // A topic name comes from the broker and holds no NUL; one that does has no queue.
        let Ok(topic) = CString::new(&*partition.topic) else { return };
        // SAFETY: the client is alive (see `consumer`); the partition's queue handle is our own
        // reference, used once and destroyed; `to` is null or our own live queue.
        unsafe {
            let from = sys::rd_kafka_queue_get_partition(
                self.consumer.client().native_ptr(),
                topic.as_ptr(),
                partition.partition,
            );
            if !from.is_null() {
                sys::rd_kafka_queue_forward(from, to);
                sys::rd_kafka_queue_destroy(from);
            }
        }
    }

    /// Commits offsets without waiting. The answer comes through the consumer's own queue, so that polling
    /// the consumer calls `commit_callback`; an asynchronous `BaseConsumer::commit` asks librdkafka for no
    /// answer.
    ///
    /// # Errors
    /// What librdkafka refuses at once, for example while the client closes.
    pub fn commit(&self, list: &TopicPartitionList) -> KafkaResult<()> {
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client is alive (see `consumer`); the call copies the list, which is borrowed
        // until then; the queue handle is our own and destroyed once; no callback is given.
        let code = unsafe {
            let answers = sys::rd_kafka_queue_get_consumer(client);
            let code =
                sys::rd_kafka_commit_queue(client, list.ptr(), answers, None, std::ptr::null_mut());
            if !answers.is_null() {
                sys::rd_kafka_queue_destroy(answers);
            }
            code
        };
        if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            Ok(())
        } else {
            Err(KafkaError::ConsumerCommit(code.into()))
        }
    }

    /// Passes each message to `take`, which returns whether it takes another now. The others wait and come
    /// first the next time. If none waits, reads at most `max` messages, and waits at most `timeout` for
    /// them. Returns how many were taken.
    pub fn consume(
        &mut self,
        timeout: Duration,
        max: usize,
        mut take: impl FnMut(&Message<'_>) -> bool,
    ) -> usize {
        if self.waiting.is_empty() {
            self.fill(timeout, max);
        }
        let mut count = 0;
        while let Some(message) = self.waiting.pop_front() {
            count += 1;
            if !take(&message.get()) {
                break;
            }
        }
        count
    }

    fn fill(&mut self, timeout: Duration, max: usize) {
        let max = max.clamp(1, self.messages.len());
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is live and `messages` has room for `max` pointers.
        let count = unsafe {
            sys::rd_kafka_consume_batch_queue(
                self.queue.as_ptr(),
                timeout_ms,
                self.messages.as_mut_ptr(),
                max,
            )
        };
        let read = self.messages.iter().take(usize::try_from(count).unwrap_or(0));
        self.waiting.extend(read.filter_map(|message| NonNull::new(*message).map(OwnedMessage)));
    }

    /// Reads until this many messages wait.
    #[cfg(test)]
    pub fn fill_up_to(&mut self, messages: usize) {
        while self.waiting.len() < messages {
            self.fill(Duration::from_secs(1), self.messages.len());
        }
    }

    /// Whether messages of a partition wait.
    pub fn holds(&self, partition: &TopicPartition) -> bool {
        self.waiting.iter().any(|message| message.get().is_of(partition))
    }

    /// Drops a partition's waiting messages, as librdkafka drops those in its queue when the partition is
    /// revoked or moved. They have to be read again.
    pub fn forget(&mut self, partition: &TopicPartition) {
        self.waiting.retain(|message| !message.get().is_of(partition));
    }
}

impl<C: ConsumerContext + 'static> Drop for DataQueue<C> {
    fn drop(&mut self) {
        self.waiting.clear();
        // SAFETY: ours, and destroyed once; the client is still alive since `consumer` is a field.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// A message that is destroyed when it is dropped.
struct OwnedMessage(NonNull<sys::rd_kafka_message_t>);

impl OwnedMessage {
    fn get(&self) -> Message<'_> {
        Message { raw: self.0, life: PhantomData }
    }
}

impl Drop for OwnedMessage {
    fn drop(&mut self) {
        // SAFETY: handed to us by consume_batch_queue, and destroyed once.
        unsafe { sys::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

/// A message, valid only inside the callback.
pub struct Message<'a> {
    raw: NonNull<sys::rd_kafka_message_t>,
    life: PhantomData<&'a ()>,
}

impl Message<'_> {
    fn get(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: live until its `OwnedMessage` is dropped, which is borrowed for as long.
        unsafe { self.raw.as_ref() }
    }

    /// librdkafka's error in the place of a message, e.g. an offset out of range.
    pub fn error(&self) -> Option<(RDKafkaErrorCode, String)> {
        let err = self.get().err;
        if err == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // SAFETY: the message is live; the text is NUL-terminated and lives as long as it.
        let text = unsafe {
            let text = sys::rd_kafka_message_errstr(self.raw.as_ptr());
            if text.is_null() { String::new() } else { owned_text(text) }
        };
        Some((err.into(), text))
    }

    /// Identifies the topic within this client for as long as the client lives.
    pub fn topic_handle(&self) -> usize {
        self.get().rkt as usize
    }

    /// The topic's name.
    pub fn topic(&self) -> String {
        let topic = self.get().rkt;
        if topic.is_null() {
            return String::new();
        }
        // SAFETY: a message keeps its topic alive; the name is NUL-terminated.
        unsafe { owned_text(sys::rd_kafka_topic_name(topic)) }
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.get().partition
    }

    /// The topic and partition.
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition { topic: self.topic().into(), partition: self.partition() }
    }

    fn is_of(&self, partition: &TopicPartition) -> bool {
        self.partition() == partition.partition && *self.topic() == *partition.topic
    }

    /// Inclusive offset.
    pub fn offset(&self) -> i64 {
        self.get().offset
    }

    /// The payload; `None` is a tombstone.
    pub fn payload(&self) -> Option<&[u8]> {
        // SAFETY: `payload` and `len` describe bytes that live as long as the message.
        unsafe { bytes(self.get().payload, self.get().len) }
    }

    /// The key, if any.
    pub fn key(&self) -> Option<&[u8]> {
        // SAFETY: `key` and `key_len` describe bytes that live as long as the message.
        unsafe { bytes(self.get().key, self.get().key_len) }
    }

    /// Milliseconds since 1970, if the broker stored a timestamp.
    pub fn timestamp_ms(&self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is live and `kind` is a valid place to write to.
        let timestamp =
            unsafe { sys::rd_kafka_message_timestamp(self.raw.as_ptr(), &raw mut kind) };
        (kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && timestamp >= 0)
            .then_some(timestamp)
    }

    /// Passes each header's name and value to `take`, in order. Returns whether all were read: librdkafka
    /// reads none if there are more than 100,000.
    #[must_use]
    pub fn headers(&self, take: impl FnMut(&[u8], Option<&[u8]>)) -> bool {
        let mut headers = std::ptr::null_mut();
        // SAFETY: the message is live; the headers it gives out live as long as it.
        let found = unsafe { sys::rd_kafka_message_headers(self.raw.as_ptr(), &raw mut headers) };
        if found == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && !headers.is_null() {
            // SAFETY: the list is live, and only this thread has the message.
            unsafe { crate::kafka::headers::each_of(headers, take) }
            return true;
        }
        found == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__NOENT
    }
}

/// The metadata of each element of a list, in order, with invalid UTF-8 replaced. `rdkafka` panics at it, and
/// anybody who may commit for the group can write it.
pub fn metadata(list: &TopicPartitionList) -> Vec<String> {
    // SAFETY: `elems` are `cnt` live elements for as long as the list is borrowed; each one's metadata
    // is null or the start of `metadata_size` bytes that live as long.
    unsafe {
        let list = &*list.ptr();
        let count = usize::try_from(list.cnt).unwrap_or(0);
        let elements =
            if list.elems.is_null() { &[] } else { std::slice::from_raw_parts(list.elems, count) };
        let text = |element: &sys::rd_kafka_topic_partition_t| {
            let bytes = bytes(element.metadata, element.metadata_size).unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        elements.iter().map(text).collect()
    }
}

/// # Safety
/// `start` is null, or the start of `len` bytes that outlive `'a`.
unsafe fn bytes<'a>(start: *const std::ffi::c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: by this function's own contract.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast(), len) })
}

/// # Safety
/// `text` points to a NUL-terminated string.
unsafe fn owned_text(text: *const std::ffi::c_char) -> String {
    // SAFETY: by this function's own contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

//! What brokers answer about topics, mainly their ids, and about a user's rights: a call of librdkafka that
//! `rdkafka` does not wrap. It does not wait, since the consumer has to be served meanwhile.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::metadata::{Metadata, MetadataBroker};
use rdkafka_sys as sys;

/// A broker's answer about a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicAnswer {
    /// It exists.
    There {
        /// Its id, which it keeps until it is deleted; `None` from brokers before Kafka 2.8.
        id: Option<u128>,
    },
    /// It does not exist.
    Missing,
    /// This user may not know of it.
    Denied,
    /// Unknown for this reason, which may pass.
    NotKnown(String),
}

/// A question sent to a broker.
pub struct TopicQuestion {
    queue: OwnedHandle<sys::rd_kafka_queue_t>,
}

impl TopicQuestion {
    /// Asks a broker about these topics, without duplicates. Any broker can answer; librdkafka itself would
    /// wait for the controller, which a mock cluster lacks.
    ///
    /// # Errors
    /// A name that no topic can have.
    pub fn ask<C: ClientContext>(
        client: &Client<C>,
        topics: &[String],
        broker: i32,
        timeout: Duration,
    ) -> Result<Self, String> {
        Self::ask_with(client, topics, broker, timeout, false)
    }

    /// The same, optionally with this user's rights on each topic.
    fn ask_with<C: ClientContext>(
        client: &Client<C>,
        topics: &[String],
        broker: i32,
        timeout: Duration,
        with_rights: bool,
    ) -> Result<Self, String> {
        let names: Result<Vec<CString>, _> =
            topics.iter().map(|name| CString::new(&**name)).collect();
        let names = names.map_err(|_| "a topic's name holds a NUL".to_owned())?;
        let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        let client = client.native_ptr();
        // SAFETY: the client is alive for as long as it is borrowed; queue, options and collection
        // are our own, made here and destroyed once by `OwnedHandle`; the call copies options and names, which
        // outlive it; a null error text asks for none.
        unsafe {
            let queue =
                OwnedHandle::new(sys::rd_kafka_queue_new(client), sys::rd_kafka_queue_destroy)?;
            let op = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
            let options = sys::rd_kafka_AdminOptions_new(client, op);
            let options = OwnedHandle::new(options, sys::rd_kafka_AdminOptions_destroy)?;
            let no_text = (std::ptr::null_mut(), 0);
            sys::rd_kafka_AdminOptions_set_request_timeout(
                options.get(),
                milliseconds(timeout),
                no_text.0,
                no_text.1,
            );
            sys::rd_kafka_AdminOptions_set_broker(options.get(), broker, no_text.0, no_text.1);
            if with_rights {
                let error =
                    sys::rd_kafka_AdminOptions_set_include_authorized_operations(options.get(), 1);
                if !error.is_null() {
                    sys::rd_kafka_error_destroy(error);
                }
            }
            let collection =
                sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            let collection = OwnedHandle::new(collection, sys::rd_kafka_TopicCollection_destroy)?;
            sys::rd_kafka_DescribeTopics(client, collection.get(), options.get(), queue.get());
            Ok(Self { queue })
        }
    }

    /// The answer, if it comes in time.
    ///
    /// # Errors
    /// An error of librdkafka or the broker about the whole question.
    pub fn answer(&self, wait: Duration) -> Result<Option<HashMap<String, TopicAnswer>>, String> {
        // SAFETY: `told_of` is given live descriptions alone.
        self.read(wait, |topic| unsafe { told_of(topic) })
    }

    /// Applies `read` to each topic's description, if the answer comes in time.
    fn read<T>(
        &self,
        wait: Duration,
        read: impl Fn(*const sys::rd_kafka_TopicDescription_t) -> T,
    ) -> Result<Option<HashMap<String, T>>, String> {
        // SAFETY: the queue is live; the event is our own, and destroyed once by `OwnedHandle`.
        let event = unsafe { sys::rd_kafka_queue_poll(self.queue.get(), milliseconds(wait)) };
        let Ok(event) = OwnedHandle::new(event, sys::rd_kafka_event_destroy) else {
            return Ok(None);
        };
        // SAFETY: the event is live until the end of this function, and what is read of it lives as long;
        // its texts are NUL-terminated; `count` is a valid place to write to.
        unsafe {
            if Code::from(sys::rd_kafka_event_error(event.get())) != Code::NoError {
                return Err(text(sys::rd_kafka_event_error_string(event.get())));
            }
            let result = sys::rd_kafka_event_DescribeTopics_result(event.get());
            if result.is_null() {
                return Err("another answer than was asked for".into());
            }
            let mut count = 0;
            let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            let mut told = HashMap::new();
            for at in 0..count {
                let topic = *topics.add(at);
                told.insert(text(sys::rd_kafka_TopicDescription_name(topic)), read(topic));
            }
            Ok(Some(told))
        }
    }
}

/// Whether this client's user may write to a topic; `None` if the broker does not tell. Blocks.
///
/// # Errors
/// An error of librdkafka or the broker.
pub fn may_write<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    broker: i32,
    timeout: Duration,
) -> Result<Option<bool>, String> {
    let question = TopicQuestion::ask_with(client, &[topic.to_owned()], broker, timeout, true)?;
    // SAFETY: `writes` is given live descriptions alone.
    let told = question.read(timeout, |topic| unsafe { writes(topic) })?;
    Ok(told.ok_or_else(|| "no answer in time".to_owned())?.remove(topic).flatten())
}

/// # Safety
/// `topic` points to a live description.
unsafe fn writes(topic: *const sys::rd_kafka_TopicDescription_t) -> Option<bool> {
    use sys::rd_kafka_AclOperation_t::{
        RD_KAFKA_ACL_OPERATION_ALL as ALL, RD_KAFKA_ACL_OPERATION_WRITE as WRITE,
    };
    let mut count = 0;
    // SAFETY: by this function's own contract; `count` is a valid place to write to, and says how many
    // operations stand at the pointer, which lives as long as the description. They are read as the numbers
    // that they are in C, since a broker may know more of them.
    let operations = unsafe {
        let start = sys::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count);
        if start.is_null() {
            return None;
        }
        std::slice::from_raw_parts(start.cast::<u32>(), count)
    };
    let allows = |operation: &u32| [ALL as u32, WRITE as u32].contains(operation);
    // A user without any right could not have described the topic.
    (count > 0).then(|| operations.iter().any(allows))
}

/// The broker to ask: the one that sent this metadata, or any if its id is not known yet.
pub fn broker_of(metadata: &Metadata) -> i32 {
    let any = metadata.brokers().first().map_or(0, MetadataBroker::id);
    Some(metadata.orig_broker_id()).filter(|id| *id >= 0).unwrap_or(any)
}

/// Asks about these topics, without duplicates, and waits for the answer.
///
/// # Errors
/// An error of librdkafka or the broker about the whole question.
pub fn describe_topics<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &[String],
    timeout: Duration,
) -> Result<HashMap<String, TopicAnswer>, String> {
    let metadata = consumer.client().fetch_metadata(topics.first().map(|name| &**name), timeout);
    let broker = broker_of(&metadata.map_err(|error| error.to_string())?);
    let question = TopicQuestion::ask(consumer.client(), topics, broker, timeout)?;
    question.answer(timeout)?.ok_or_else(|| "no answer in time".to_owned())
}

/// The id of each topic.
///
/// # Errors
/// An error about one of them, or about the question.
pub fn topic_ids<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &[String],
    timeout: Duration,
) -> Result<HashMap<String, u128>, String> {
    let told =
        describe_topics(consumer, topics, timeout)?.into_iter().map(|(name, told)| match told {
            TopicAnswer::There { id: Some(id) } => Ok((name, id)),
            TopicAnswer::There { id: None } => {
                Err(format!("the brokers tell no id of topic `{name}`: Kafka 2.8 is needed"))
            }
            TopicAnswer::Missing => Err(format!("topic `{name}` does not exist")),
            TopicAnswer::Denied => {
                Err(format!("topic `{name}` may not be described: grant DESCRIBE on it"))
            }
            TopicAnswer::NotKnown(text) => Err(format!("topic `{name}`: {text}")),
        });
    told.collect()
}

/// # Safety
/// `topic` points to a live description.
unsafe fn told_of(topic: *const sys::rd_kafka_TopicDescription_t) -> TopicAnswer {
    // SAFETY: by this function's own contract; what is read of it lives as long.
    unsafe {
        let error = sys::rd_kafka_TopicDescription_error(topic);
        match Code::from(sys::rd_kafka_error_code(error)) {
            Code::NoError => {}
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownTopicId => {
                return TopicAnswer::Missing;
            }
            Code::TopicAuthorizationFailed => return TopicAnswer::Denied,
            _ => return TopicAnswer::NotKnown(text(sys::rd_kafka_error_string(error))),
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        let high = sys::rd_kafka_Uuid_most_significant_bits(id).cast_unsigned();
        let low = sys::rd_kafka_Uuid_least_significant_bits(id).cast_unsigned();
        let id = (u128::from(high) << 64) | u128::from(low);
        TopicAnswer::There { id: (id != 0).then_some(id) }
    }
}

fn milliseconds(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

/// An object of librdkafka that is destroyed on drop.
struct OwnedHandle<T> {
    thing: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

// SAFETY: librdkafka's objects may be used from any thread, one at a time, which `&self` methods of
// their only owner keep to.
unsafe impl<T> Send for OwnedHandle<T> {}

impl<T> OwnedHandle<T> {
    fn new(thing: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Result<Self, String> {
        let thing = NonNull::new(thing).ok_or("librdkafka is out of memory")?;
        Ok(Self { thing, destroy })
    }

    fn get(&self) -> *mut T {
        self.thing.as_ptr()
    }
}

impl<T> Drop for OwnedHandle<T> {
    fn drop(&mut self) {
        // SAFETY: ours, live, and destroyed once.
        unsafe { (self.destroy)(self.thing.as_ptr()) }
    }
}

/// # Safety
/// `text` is null or points to a NUL-terminated string.
unsafe fn text(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by this function's own contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

//! Kafka's ids of topics: the call of librdkafka that `rdkafka` does not wrap.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka_sys as sys;

/// The id of each topic. A topic that is deleted and created again under its name has another.
///
/// # Errors
/// What librdkafka or the broker says of one of them, or of the question.
pub fn topic_ids<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &[String],
    timeout: Duration,
) -> Result<HashMap<String, u128>, String> {
    let names: Result<Vec<CString>, _> = topics.iter().map(|name| CString::new(&**name)).collect();
    let names = names.map_err(|_| "a topic's name holds a NUL".to_owned())?;
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // Any broker can tell; librdkafka would wait for the controller, which a mock cluster lacks.
    let metadata = consumer.client().fetch_metadata(topics.first().map(|name| &**name), timeout);
    let broker = metadata.map_err(|error| error.to_string())?.orig_broker_id();
    let client = consumer.client().native_ptr();
    // SAFETY: the client is alive for as long as `consumer` is borrowed; queue, options, collection and
    // event are our own, made here and destroyed once by `Owned`; the names outlive the call, which
    // copies them; a null error text asks for none.
    let event = unsafe {
        let queue = Owned::new(sys::rd_kafka_queue_new(client), sys::rd_kafka_queue_destroy)?;
        let op = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = sys::rd_kafka_AdminOptions_new(client, op);
        let options = Owned::new(options, sys::rd_kafka_AdminOptions_destroy)?;
        let no_text = (std::ptr::null_mut(), 0);
        sys::rd_kafka_AdminOptions_set_request_timeout(
            options.get(),
            timeout_ms,
            no_text.0,
            no_text.1,
        );
        sys::rd_kafka_AdminOptions_set_broker(options.get(), broker, no_text.0, no_text.1);
        let collection =
            sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let collection = Owned::new(collection, sys::rd_kafka_TopicCollection_destroy)?;
        sys::rd_kafka_DescribeTopics(client, collection.get(), options.get(), queue.get());
        let event = sys::rd_kafka_queue_poll(queue.get(), timeout_ms);
        Owned::new(event, sys::rd_kafka_event_destroy)?
    };
    // SAFETY: the event is live until the end of this function, and what is read of it lives as long;
    // its texts are NUL-terminated; `count` is a valid place to write to.
    unsafe {
        if RDKafkaErrorCode::from(sys::rd_kafka_event_error(event.get()))
            != RDKafkaErrorCode::NoError
        {
            return Err(text(sys::rd_kafka_event_error_string(event.get())));
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event.get());
        if result.is_null() {
            return Err("another answer than was asked for".into());
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        let mut ids = HashMap::new();
        for at in 0..count {
            let topic = *topics.add(at);
            let name = text(sys::rd_kafka_TopicDescription_name(topic));
            let error = sys::rd_kafka_TopicDescription_error(topic);
            if RDKafkaErrorCode::from(sys::rd_kafka_error_code(error)) != RDKafkaErrorCode::NoError
            {
                return Err(format!("topic `{name}`: {}", text(sys::rd_kafka_error_string(error))));
            }
            let id = sys::rd_kafka_TopicDescription_topic_id(topic);
            let high = sys::rd_kafka_Uuid_most_significant_bits(id).cast_unsigned();
            let low = sys::rd_kafka_Uuid_least_significant_bits(id).cast_unsigned();
            let id = (u128::from(high) << 64) | u128::from(low);
            if id == 0 {
                return Err(format!(
                    "the brokers tell no id of topic `{name}`: Kafka 2.8 is needed"
                ));
            }
            ids.insert(name, id);
        }
        Ok(ids)
    }
}

/// A thing of librdkafka's that is destroyed when it goes.
struct Owned<T> {
    thing: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    fn new(thing: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Result<Self, String> {
        let thing = NonNull::new(thing).ok_or("no answer in time")?;
        Ok(Self { thing, destroy })
    }

    fn get(&self) -> *mut T {
        self.thing.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
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

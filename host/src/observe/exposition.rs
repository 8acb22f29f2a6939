//! The metrics in Prometheus' format.
//!
//! Counters and histograms are recorded as things happen. Gauges are states: they are read at each
//! scrape, so the series of a partition ends with its assignment.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metrics::{SetRecorderError, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::Observed;
use super::count::begin_at_zero;
use super::metrics::{
    BATCHES, BRAKE_HOLDS, BRAKE_SHARE, BUDGET_LIMIT, BUDGET_USED, BUILD, FRESHNESS, IN_FLIGHT, LAG,
    LONGEST_WAIT, LOOKUP_AGE, LOOKUP_MEMORY, LOOKUP_ROWS, METRICS, MetricKind, PARTITIONS, PAUSED,
    WAITING,
};

/// How often histograms are folded into their buckets between scrapes.
pub const UPKEEP: Duration = Duration::from_secs(5);

/// The recorder of this process, as text.
#[derive(Debug)]
pub struct Exposition {
    recorded: PrometheusHandle,
    observed: Observed,
}

impl Exposition {
    /// Installs the recorder of this process.
    ///
    /// # Errors
    /// It was called before.
    pub fn install(observed: Observed) -> Result<Self, SetRecorderError<PrometheusRecorder>> {
        let recorder = recorder();
        let recorded = recorder.handle();
        metrics::set_global_recorder(recorder)?;
        describe(|kind| kind != MetricKind::Gauge);
        begin_at_zero();
        Ok(Self { recorded, observed })
    }

    /// The states that it shows.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Folds histograms into their buckets; otherwise samples pile up until the next scrape.
    pub fn upkeep(&self) {
        self.recorded.run_upkeep();
    }

    /// Every metric, in Prometheus' text format.
    pub fn render(&self) -> String {
        let states = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&states, || {
            describe(|kind| kind == MetricKind::Gauge);
            self.look();
        });
        self.recorded.render() + &states.handle().render()
    }

    fn look(&self) {
        let Observed { status, brake, progress, budget, lookups } = &self.observed;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let standings = progress.standings(i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
        for standing in &standings {
            let partition = standing.partition.partition.to_string();
            let labels = [&*standing.partition.topic, &partition];
            if let Some(lag) = standing.lag {
                LAG.set(&labels, lag as f64);
            }
            if let Some(seconds) = standing.freshness_seconds {
                FRESHNESS.set(&labels, seconds);
            }
        }
        PARTITIONS.set(&[], standings.len() as f64);
        IN_FLIGHT.set(&[], progress.in_flight() as f64);
        BATCHES.set(&[], budget.batches() as f64);
        BUDGET_USED.set(&[], budget.used_bytes() as f64);
        BUDGET_LIMIT.set(&[], budget.max_bytes() as f64);
        for (name, lookup) in lookups.now() {
            LOOKUP_ROWS.set(&[&name], lookup.rows as f64);
            LOOKUP_MEMORY.set(&[&name], lookup.memory_bytes as f64);
            LOOKUP_AGE.set(&[&name], lookup.age.as_secs_f64());
        }
        BRAKE_SHARE.set(&[], brake.share(Instant::now()));
        BRAKE_HOLDS.set(&[], f64::from(brake.is_holding()));
        for (who, waited) in status.longest_waits() {
            LONGEST_WAIT.set(&[&who.replace(' ', "_")], waited.as_secs_f64());
        }
        PAUSED.set(&[], f64::from(status.is_paused()));
        WAITING.set(&[], f64::from(status.is_waiting()));
        BUILD.set(&[env!("CARGO_PKG_VERSION")], 1.0);
    }
}

fn recorder() -> PrometheusRecorder {
    METRICS
        .iter()
        .filter_map(|metric| match metric.kind {
            MetricKind::Histogram(bounds) => Some((metric, bounds)),
            MetricKind::Counter | MetricKind::Gauge => None,
        })
        .fold(PrometheusBuilder::new(), |builder, (metric, bounds)| {
            let name = Matcher::Full(metric.name.to_owned());
            match builder.set_buckets_for_metric(name, bounds) {
                Ok(builder) => builder,
                // It refuses only an empty list of bounds.
                Err(error) => unreachable!("{}: {error}", metric.name),
            }
        })
        .build_recorder()
}

fn describe(is_wanted: impl Fn(MetricKind) -> bool) {
    for metric in METRICS.iter().filter(|metric| is_wanted(metric.kind)) {
        match metric.kind {
            MetricKind::Counter => describe_counter!(metric.name, metric.help),
            MetricKind::Gauge => describe_gauge!(metric.name, metric.help),
            MetricKind::Histogram(_) => describe_histogram!(metric.name, metric.help),
        }
    }
}

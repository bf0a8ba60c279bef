package ingest

import "github.com/prometheus/client_golang/prometheus"

// metrics are what /metrics shows of the edge and the writer. Labels hold no value
// that a client chooses.
type metrics struct {
	conversions   prometheus.Counter     // accepted
	clientEvents  prometheus.Counter     // accepted
	rejected      *prometheus.CounterVec // code
	dropped       prometheus.Counter
	insertedRows  *prometheus.CounterVec // table
	insertBatches *prometheus.CounterVec // table
	retries       prometheus.Counter
	deadLetters   prometheus.Counter
	latency       prometheus.Histogram
}

func newMetrics(registry *prometheus.Registry) *metrics {
	accepted := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tieback_events_accepted_total", Help: "Events made durable, by kind (conversion, client_event).",
	}, []string{"kind"})
	m := &metrics{
		conversions: accepted.WithLabelValues("conversion"), clientEvents: accepted.WithLabelValues("client_event"),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tieback_requests_rejected_total", Help: "Requests refused, by error code.",
		}, []string{"code"}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tieback_client_events_dropped_total", Help: "Client events of a readable batch that were bad or older than 7 days.",
		}),
		insertedRows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tieback_rows_inserted_total", Help: "Rows inserted into ClickHouse, by table.",
		}, []string{"table"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tieback_insert_retries_total", Help: "Inserts into ClickHouse that failed and were tried again.",
		}),
		insertBatches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tieback_insert_batches_total", Help: "Batches inserted into ClickHouse, by table.",
		}, []string{"table"}),
		deadLetters: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tieback_dead_letters_total", Help: "Rows put aside because they cannot be inserted.",
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tieback_durable_seconds", Help: "Time until accepted events were on disk.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .5, 1, 5},
		}),
	}
	registry.MustRegister(accepted, m.rejected, m.dropped, m.insertedRows, m.insertBatches, m.retries, m.deadLetters, m.latency)
	return m
}

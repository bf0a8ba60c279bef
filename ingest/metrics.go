package ingest

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count what the edge and the writer do. They are shown on /metrics and noted in
// service_minutes. Labels hold no value that a client chooses, but for the accounts of what was
// dropped, which are configured ones and bounded.
type Metrics struct {
	conversions, clientEvents  atomic.Uint64 // accepted
	adjustments                atomic.Uint64 // accepted
	insertRetries, deadLetters atomic.Uint64

	rejected      labelled[string] // by error code
	insertedRows  labelled[string] // by table
	insertBatches labelled[string] // by table
	dropped       labelled[Dropped]

	dropping         sync.Mutex
	droppingAccounts map[string]bool // that have counters of their own

	requests     *prometheus.HistogramVec
	durable      prometheus.Histogram
	durableNanos atomic.Int64
	durableCalls atomic.Uint64

	backlog func() (bytes int64, oldest time.Duration) // of the spool; nil without a writer

	refusedConnections atomic.Uint64
}

// Dropped names client events that were not stored.
type Dropped struct {
	Account string // OtherAccounts beyond the first mostDropping
	Reason  string // too_old, placeholder, unreadable, unknown_type, bad_time, or a fault's code
}

// OtherAccounts stands for all accounts for which there is no counter of their own.
const OtherAccounts = "(others)"

// mostDropping bounds how many accounts have counters of their own.
const mostDropping = 500

// NewMetrics returns counters that start at 0.
func NewMetrics() *Metrics {
	requests := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "tieback_http_request_seconds", Help: "Time that requests took, by method, route and status.",
		Buckets: []float64{.001, .005, .02, .1, .5, 2, 10},
	}, []string{"method", "route", "status"})
	return &Metrics{requests: requests, durable: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tieback_durable_seconds", Help: "Time until accepted events were on disk.",
		Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .5, 1, 5},
	})}
}

// labelled are counters by a label.
type labelled[L comparable] struct {
	mu     sync.Mutex
	counts map[L]uint64
}

func (l *labelled[L]) add(label L, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = map[L]uint64{}
	}
	l.counts[label] += uint64(n)
}

func (l *labelled[L]) read() map[L]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}

func (l *labelled[L]) sum() (sum uint64) {
	for _, n := range l.read() {
		sum += n
	}
	return sum
}

// drop counts client events of an account that are not stored, by their reasons.
func (m *Metrics) drop(account string, reasons []string) {
	if len(reasons) == 0 {
		return
	}
	m.dropping.Lock()
	defer m.dropping.Unlock()
	switch {
	case m.droppingAccounts[account]:
	case len(m.droppingAccounts) >= mostDropping:
		account = OtherAccounts
	case m.droppingAccounts == nil:
		m.droppingAccounts = map[string]bool{account: true}
	default:
		m.droppingAccounts[account] = true
	}
	for _, reason := range reasons {
		m.dropped.add(Dropped{account, reason}, 1)
	}
}

// madeDurable counts a wait for the disk.
func (m *Metrics) madeDurable(took time.Duration) {
	m.durable.Observe(took.Seconds())
	m.durableNanos.Add(took.Nanoseconds())
	m.durableCalls.Add(1)
}

// Figures are totals since the start, apart from the spool's, which are as they are now.
type Figures struct {
	Conversions, Adjustments, ClientEvents                  uint64
	Rejected, Dropped                                       uint64
	InsertedRows, InsertBatches, InsertRetries, DeadLetters uint64
	SpoolBytes                                              uint64
	SpoolOldest                                             time.Duration
	Durable                                                 time.Duration // sum of the waits for the disk
	DurableCalls                                            uint64

	DroppedBy map[Dropped]uint64
}

// Figures reads them.
func (m *Metrics) Figures() Figures {
	f := Figures{
		Conversions: m.conversions.Load(), Adjustments: m.adjustments.Load(), ClientEvents: m.clientEvents.Load(), Rejected: m.rejected.sum(), Dropped: m.dropped.sum(),
		InsertedRows: m.insertedRows.sum(), InsertBatches: m.insertBatches.sum(),
		InsertRetries: m.insertRetries.Load(), DeadLetters: m.deadLetters.Load(),
		Durable: time.Duration(m.durableNanos.Load()), DurableCalls: m.durableCalls.Load(), DroppedBy: m.dropped.read(),
	}
	if m.backlog != nil {
		bytes, oldest := m.backlog()
		f.SpoolBytes, f.SpoolOldest = uint64(bytes), oldest
	}
	return f
}

// What /metrics shows.
var (
	acceptedDesc = prometheus.NewDesc("tieback_events_accepted_total", "Events made durable, by kind (conversion, adjustment, client_event).", []string{"kind"}, nil)
	rejectedDesc = prometheus.NewDesc("tieback_requests_rejected_total", "Requests refused, by error code.", []string{"code"}, nil)
	droppedDesc  = prometheus.NewDesc("tieback_client_events_dropped_total", "Client events of a readable batch that were not stored, by account and reason.", []string{"account", "reason"}, nil)
	rowsDesc     = prometheus.NewDesc("tieback_rows_inserted_total", "Rows inserted into ClickHouse, by table.", []string{"table"}, nil)
	batchesDesc  = prometheus.NewDesc("tieback_insert_batches_total", "Batches inserted into ClickHouse, by table.", []string{"table"}, nil)
	retriesDesc  = prometheus.NewDesc("tieback_insert_retries_total", "Inserts into ClickHouse that failed and were tried again.", nil, nil)
	refusedDesc  = prometheus.NewDesc("tieback_connections_refused_total", "Connections that were closed at once, since too many were open.", nil, nil)
	lettersDesc  = prometheus.NewDesc("tieback_dead_letters_total", "Rows put aside because they cannot be inserted.", nil, nil)
	bytesDesc    = prometheus.NewDesc("tieback_spool_bytes", "Bytes of accepted events that wait to be inserted.", nil, nil)
	oldestDesc   = prometheus.NewDesc("tieback_spool_oldest_seconds", "For how long the oldest accepted event has waited to be inserted.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{acceptedDesc, rejectedDesc, droppedDesc, rowsDesc, batchesDesc, retriesDesc, refusedDesc, lettersDesc, bytesDesc, oldestDesc} {
		to <- desc
	}
	m.durable.Describe(to)
	m.requests.Describe(to)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	f := m.Figures()
	count := func(desc *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	count(acceptedDesc, f.Conversions, "conversion")
	count(acceptedDesc, f.Adjustments, "adjustment")
	count(acceptedDesc, f.ClientEvents, "client_event")
	for code, n := range m.rejected.read() {
		count(rejectedDesc, n, code)
	}
	for key, n := range f.DroppedBy {
		count(droppedDesc, n, key.Account, key.Reason)
	}
	for table, n := range m.insertedRows.read() {
		count(rowsDesc, n, table)
	}
	for table, n := range m.insertBatches.read() {
		count(batchesDesc, n, table)
	}
	count(retriesDesc, f.InsertRetries)
	count(refusedDesc, m.refusedConnections.Load())
	count(lettersDesc, f.DeadLetters)
	if m.backlog != nil {
		to <- prometheus.MustNewConstMetric(bytesDesc, prometheus.GaugeValue, float64(f.SpoolBytes))
		to <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, f.SpoolOldest.Seconds())
	}
	m.durable.Collect(to)
	m.requests.Collect(to)
}

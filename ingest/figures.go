package ingest

import (
	"fmt"

	dto "github.com/prometheus/client_model/go"
)

// Figures are what /metrics shows of the edge and the writer, as totals since the
// start, apart from the spool's, which are as they are now.
type Figures struct {
	Conversions, ClientEvents, Rejected, Dropped            float64
	InsertedRows, InsertBatches, InsertRetries, DeadLetters float64
	SpoolBytes, SpoolOldestSeconds                          float64
	DurableSeconds, DurableCalls                            float64 // sum and number of the waits for the disk
}

// Figures reads them.
func (s *Server) Figures() (Figures, error) {
	families, err := s.cfg.Registry.Gather()
	if err != nil {
		return Figures{}, fmt.Errorf("gather the metrics: %w", err)
	}
	byName := map[string]*dto.MetricFamily{}
	for _, family := range families {
		byName[family.GetName()] = family
	}
	f := Figures{
		Conversions:        total(byName["tieback_events_accepted_total"], "conversion"),
		ClientEvents:       total(byName["tieback_events_accepted_total"], "client_event"),
		Rejected:           total(byName["tieback_requests_rejected_total"], ""),
		Dropped:            total(byName["tieback_client_events_dropped_total"], ""),
		InsertedRows:       total(byName["tieback_rows_inserted_total"], ""),
		InsertBatches:      total(byName["tieback_insert_batches_total"], ""),
		InsertRetries:      total(byName["tieback_insert_retries_total"], ""),
		DeadLetters:        total(byName["tieback_dead_letters_total"], ""),
		SpoolBytes:         total(byName["tieback_spool_bytes"], ""),
		SpoolOldestSeconds: total(byName["tieback_spool_oldest_seconds"], ""),
	}
	for _, metric := range byName["tieback_durable_seconds"].GetMetric() {
		f.DurableSeconds += metric.GetHistogram().GetSampleSum()
		f.DurableCalls += float64(metric.GetHistogram().GetSampleCount())
	}
	return f, nil
}

// total sums up a family's counters or gauges, those with a label of that value unless
// it is empty.
func total(family *dto.MetricFamily, label string) (sum float64) {
	for _, metric := range family.GetMetric() {
		if label == "" || len(metric.GetLabel()) > 0 && metric.GetLabel()[0].GetValue() == label {
			sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return sum
}

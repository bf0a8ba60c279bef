package ingest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tieback/tieback/catalog"
)

// Items of a batch were received at the same time; of two with one key the first counts, so
// its ingest_id must be the smaller text (R5).
func TestIngestIDsOfABatch(t *testing.T) {
	one := `{"customerId":"c1","apiName":"bought","userDomain":"crm","userId":"u1","actionId":"1","actionTimestamp":1790000000000},`
	body := []byte("[" + strings.TrimSuffix(strings.Repeat(one, maxBatchEvents), ",") + "]")
	now := time.UnixMilli(1790000000123)
	s := NewServer(Config{Catalog: fixedCatalog{snap: &catalog.Snapshot{}}})
	first, second := s.newBatch("c1", now), s.newBatch("c1", now)
	firstErr, secondErr := first.check(body), second.check(body)
	if firstErr != nil || secondErr != nil || len(first.records) != maxBatchEvents {
		t.Fatal(firstErr, secondErr, len(first.records))
	}
	seen := map[string]bool{}
	for _, b := range []*batch{first, second} {
		var read rows
		for _, record := range b.records {
			if err := read.add(string(record)); err != nil {
				t.Fatal(err)
			}
		}
		var ids []string
		for _, c := range read.conversions {
			id := c.IngestID
			if sec, nsec := id.Time().UnixTime(); id.Version() != 7 || id.Variant() != 1 || time.Unix(sec, nsec).UnixMilli() != now.UnixMilli() {
				t.Fatalf("%s has version %d, variant %s and is of %s", id, id.Version(), id.Variant(), time.Unix(sec, nsec))
			}
			ids = append(ids, id.String())
			seen[id.String()] = true
		}
		if !slices.IsSorted(ids) {
			t.Error("the ids are not in the order of the items")
		}
	}
	if len(seen) != 2*maxBatchEvents {
		t.Errorf("%d different ids of %d events", len(seen), 2*maxBatchEvents)
	}
}

package ingest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/ingest/spool"
)

// BenchmarkBatch checks a batch of 500 as POST /events does, without HTTP and disk.
func BenchmarkBatch(b *testing.B) {
	s := NewServer(Config{Catalog: fixedCatalog{snap: withName(&catalog.Snapshot{}, "application-accepted")}})
	one := `{"customerId":"123456789","apiName":"application-accepted","userDomain":"salesforce","userId":"72349876","actionId":"23823940","actionTimestamp":1578316150000,"value":149.99}`
	body := []byte("[" + strings.TrimSuffix(strings.Repeat(one+",", 500), ",") + "]")
	now := time.UnixMilli(1578316150000)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		batch := s.newBatch("123456789", now)
		err := batch.check(body)
		if err != nil || len(batch.records) != 500 || len(batch.answer()) == 0 {
			b.Fatal(err, batch)
		}
		batch.release()
	}
}

// withName gives the account an event of that name.
func withName(snap *catalog.Snapshot, names ...string) *catalog.Snapshot {
	snap.Names = map[string][]catalog.EventName{}
	for _, name := range names {
		snap.Names["123456789"] = append(snap.Names["123456789"], catalog.EventName{CustomerID: "123456789", EventID: name, APIName: name, From: time.UnixMilli(0)})
	}
	return snap
}

// BenchmarkEvent posts single events over loopback into a real spool.
func BenchmarkEvent(b *testing.B) {
	dir := b.TempDir()
	sp, err := spool.Open(dir, spool.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer sp.Close()
	secret, token := catalog.NewToken("123456789", "main", time.Now())
	snap := withName(&catalog.Snapshot{Tokens: map[string]catalog.Token{token.Prefix: token}}, "application-accepted")
	s := NewServer(Config{Catalog: fixedCatalog{snap: snap}, Spool: sp})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = s.Serve(listener) }()
	defer s.Shutdown(context.Background())
	client := &fasthttp.HostClient{Addr: listener.Addr().String(), MaxConns: 64}
	body := fmt.Appendf(nil, `{"customerId":"123456789","apiName":"application-accepted","userDomain":"salesforce","userId":"72349876","actionId":"23823940","actionTimestamp":%d,"value":149.99}`, time.Now().UnixMilli())
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		req.SetRequestURI("http://" + listener.Addr().String() + "/event")
		req.Header.SetMethod("POST")
		req.Header.Set("Authorization", "ApiKey "+secret.Reveal())
		req.SetBodyRaw(body)
		for pb.Next() {
			if err := client.Do(req, res); err != nil || res.StatusCode() != 200 {
				b.Error(err, res.StatusCode())
				return
			}
		}
	})
	client.CloseIdleConnections()
}

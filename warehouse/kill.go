package warehouse

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// killPatience bounds how long the end of a statement is waited for that was told to end.
const killPatience = 5 * time.Second

// killing ends statements in ClickHouse whose callers give up. Over HTTP, ClickHouse goes on
// with a statement when its client is gone, so each has an id that it is killed by. (The native
// protocol tells ClickHouse by itself.)
type killing struct{ next *http.Transport }

func (k killing) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, query := req.Context(), req.URL.Query()
	if ended := workOf(ctx).ended; ended != nil && ended() {
		return nil, ErrLockLost // while it waited for a connection
	}
	id := workOf(ctx).holder + uuid.NewString()
	query.Set("query_id", id)
	if _, drivers := ctx.Deadline(); drivers {
		query.Del("max_execution_time") // as the driver connects it makes one of that, which a server may forbid
	}
	req = req.Clone(ctx)
	req.URL.RawQuery = query.Encode()
	res, err := k.next.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			k.kill(req, id)
		}
		return nil, err
	}
	res.Body = &killedBody{ReadCloser: res.Body, ctx: ctx, kill: sync.OnceFunc(func() { k.kill(req, id) })}
	return res, nil
}

// CloseIdleConnections lets the transport's go: without, ClickHouse waits for their next statement.
func (k killing) CloseIdleConnections() { k.next.CloseIdleConnections() }

// killedBody is a result that is being read.
type killedBody struct {
	io.ReadCloser
	ctx  context.Context
	kill func()
	done bool // read to its end: the statement has ended
}

func (b *killedBody) Read(p []byte) (n int, err error) {
	n, err = b.ReadCloser.Read(p)
	b.done = b.done || err == io.EOF
	return n, err
}

func (b *killedBody) Close() error {
	err := b.ReadCloser.Close()
	if !b.done && b.ctx.Err() != nil {
		b.kill()
	}
	return err
}

// kill ends a statement and waits for its end. One that was cut off on its way may come to be
// known a moment later, so what is not there yet is looked for again.
func (k killing) kill(statement *http.Request, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(statement.Context()), killPatience)
	defer cancel()
	for range 3 {
		if killed, err := k.killOnce(ctx, statement, id); killed || err != nil {
			return // without an answer ClickHouse is gone, and the statement with it
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (k killing) killOnce(ctx context.Context, statement *http.Request, id string) (killed bool, err error) {
	text := "kill query where query_id = '" + id + "' sync format TabSeparated"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, statement.URL.String(), strings.NewReader(text))
	if err != nil {
		return false, err
	}
	req.URL.RawQuery = url.Values{"query_id": {uuid.NewString()}}.Encode()
	req.Header = statement.Header.Clone()
	req.Header.Del("Content-Encoding")
	res, err := k.next.RoundTrip(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	return len(said) > 0, err
}

type workKey struct{}

// work is what is done under a lock.
type work struct {
	holder string      // begins the ids of all its statements
	ended  func() bool // whether others may have taken the lock over; nil where they can't
}

func withWork(ctx context.Context, w work) context.Context {
	return context.WithValue(ctx, workKey{}, w)
}

func workOf(ctx context.Context) work {
	w, _ := ctx.Value(workKey{}).(work)
	return w
}

// Unlocked returns a context that outlives ctx and a lock that it is under, for what is to be noted of work that has ended.
func Unlocked(ctx context.Context) context.Context {
	return withWork(context.WithoutCancel(ctx), work{})
}

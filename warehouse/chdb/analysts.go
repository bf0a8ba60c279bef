package chdb

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"

	analysts "github.com/tieback/tieback/dashboards/clickhouse"
)

// Analysts returns a handler that is ClickHouse's own HTTP interface, for the user of analysts
// and no other: what they may do is said in that user's file. Who asks needs the password, none
// if it is empty.
func (c *Client) Analysts(password string) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { c.asAnalyst(r, password) },
		Transport:     c.readers,
		FlushInterval: -1,                                                  // results are handed on as they come
		ErrorLog:      slog.NewLogLogger(c.log.Handler(), slog.LevelDebug), // readers go away all the time
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, fmt.Sprintf("the embedded ClickHouse does not answer: %v", err), http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Without this a statement's end that is still being read is cut off once the answer has
		// begun, and the answer with it.
		_ = http.NewResponseController(w).EnableFullDuplex()
		proxy.ServeHTTP(w, r)
	})
}

// asAnalyst makes a request one of the analysts' user, and one that ClickHouse refuses if it has
// not the right name and password.
func (c *Client) asAnalyst(r *httputil.ProxyRequest, password string) {
	e, _ := ReadEndpoint(c.dataDir) // without it the transport says what is wrong
	r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", e.Address, e.Address
	r.SetXForwarded() // the quota is each address's own
	user, given := credentials(r.In)
	key := e.AnalystPassword
	if user != "" && user != "default" && user != analysts.AnalystUser {
		key = rand.Text()
	} else {
		user = analysts.AnalystUser
	}
	if password != "" && !same(given, password) {
		key = rand.Text()
	}
	query := r.In.URL.Query()
	query.Del("user")
	query.Del("password")
	r.Out.URL.RawQuery = query.Encode()
	r.Out.Header.Del("Authorization")
	r.Out.Header.Set("X-ClickHouse-User", user)
	r.Out.Header.Set("X-ClickHouse-Key", key)
}

// credentials are the user and password of a request, in any of the forms that ClickHouse takes.
func credentials(r *http.Request) (user, password string) {
	if user, password, ok := r.BasicAuth(); ok {
		return user, password
	}
	if user, key := r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key"); user != "" || key != "" {
		return user, key
	}
	query := r.URL.Query()
	return query.Get("user"), query.Get("password")
}

func same(a, b string) bool {
	hashA, hashB := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(hashA[:], hashB[:]) == 1
}
